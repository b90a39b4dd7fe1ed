//! Holds 6.

use futures::FutureExt;
use tokio::time::sleep;
use twinspire_store::Write;

use crate::backend::{Backend, TTL, done_write, until};
use crate::other_process::OtherProcess;

pub(crate) async fn a_key_stays_while_its_lease_is_held(backend: &Backend) {
    let store = &*backend.open().await;
    let lease = store.lease(TTL).await.unwrap();
    done_write(store, Write::put("held", None, b"").under(&lease)).await;
    // There is no condition to wait for: what is shown is that time changes nothing.
    sleep(lease.ttl() * 2).await;
    assert!(store.get("held").await.unwrap().is_some());
    assert!(!lease.is_lost() && lease.lost().now_or_never().is_none());
}

pub(crate) async fn a_key_vanishes_with_its_lease(backend: &Backend) {
    let store = &*backend.open().await;
    let (given_up, dropped) = (store.lease(TTL * 30).await.unwrap(), store.lease(TTL * 30).await.unwrap());
    done_write(store, Write::put("a/1", None, b"").under(&given_up)).await;
    done_write(store, Write::put("a/2", None, b"").under(&given_up)).await;
    done_write(store, Write::put("b", None, b"").under(&dropped)).await;
    done_write(store, Write::put("stays", None, b"")).await;

    given_up.revoke().await.unwrap();
    assert_eq!(store.range("a/").await.unwrap(), []);
    assert!(store.get("b").await.unwrap().is_some());
    drop(dropped);
    until("gone with its lease", || async { store.get("b").await.unwrap().is_none() }).await;
    assert!(store.get("stays").await.unwrap().is_some());
}

pub(crate) async fn a_key_belongs_to_the_lease_of_its_last_write(backend: &Backend) {
    let store = &*backend.open().await;
    let (first, second) = (store.lease(TTL).await.unwrap(), store.lease(TTL).await.unwrap());
    let freed = done_write(store, Write::put("freed", None, b"").under(&first)).await;
    done_write(store, Write::put("freed", Some(freed), b"")).await;
    let moved = done_write(store, Write::put("moved", None, b"").under(&first)).await;
    done_write(store, Write::put("moved", Some(moved), b"").under(&second)).await;
    let deleted = done_write(store, Write::put("again", None, b"").under(&first)).await;
    done_write(store, Write::delete("again", deleted)).await;
    done_write(store, Write::put("again", None, b"")).await;

    first.revoke().await.unwrap();
    let left = |range: Vec<(String, _)>| range.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(left(store.range("").await.unwrap()), ["again", "freed", "moved"]);
    second.revoke().await.unwrap();
    assert_eq!(left(store.range("").await.unwrap()), ["again", "freed"]);
}

pub(crate) async fn nothing_can_be_put_under_a_lease_that_has_ended(backend: &Backend) {
    let store = &*backend.open().await;
    let lease = store.lease(TTL).await.unwrap();
    let write = Write::put("late", None, b"").under(&lease);
    lease.revoke().await.unwrap();
    let error = store.write(write).await.unwrap_err();
    assert!(error.code() == "TW5107" && !error.is_retryable(), "{error}");
    assert_eq!(store.get("late").await.unwrap(), None);
}

pub(crate) async fn a_key_vanishes_when_its_holder_is_killed(backend: &Backend) {
    let mut holder = OtherProcess::start("holder", backend);
    holder.wait_for("holding").await;
    if backend.is_shared() {
        assert!(backend.open().await.get("held").await.unwrap().is_some());
    }
    holder.kill();
    let store = &*backend.open().await;
    until("gone with its holder", || async { store.get("held").await.unwrap().is_none() }).await;
    assert!(store.get("stays").await.unwrap().is_some());
}
