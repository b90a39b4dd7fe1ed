//! Elections, and holds 7 of those who lost one.

use futures::FutureExt;
use tokio::time::timeout;
use twinspire_store::{Election, Leader, MetadataStore};

use crate::backend::{Backend, TTL, done, until, value};
use crate::other_process::OtherProcess;

async fn election(backend: &Backend) -> Election {
    Election::new(backend.open().await, "leader")
}

pub(crate) async fn the_next_leads_when_the_leader_resigns(backend: &Backend) {
    let first = election(backend).await.campaign("a:1", TTL).await.unwrap();
    assert!(!first.is_lost());
    let candidate = election(backend).await;
    let mut waiting = tokio::spawn(async move { candidate.campaign("b:2", TTL).await });
    assert!(timeout(TTL / 4, &mut waiting).await.is_err(), "one leads at a time");
    // A key that merely begins like it is none of its concern.
    done(&*backend.open().await, "leader-board", None, value("")).await;

    let term = first.term();
    first.resign().await.unwrap();
    let second = waiting.await.unwrap().unwrap();
    assert!(second.term() > term);
    let leader = Leader { address: "b:2".into(), term: second.term() };
    assert_eq!(election(backend).await.leader().await.unwrap(), Some(leader));
}

pub(crate) async fn a_candidate_that_gives_up_does_not_lead(backend: &Backend) {
    let first = election(backend).await.campaign("a:1", TTL).await.unwrap();
    let candidate = election(backend).await;
    assert!(timeout(TTL / 4, candidate.campaign("b:2", TTL)).await.is_err());
    first.resign().await.unwrap();
    let third = candidate.campaign("c:3", TTL).await.unwrap();
    assert_eq!(candidate.leader().await.unwrap().unwrap().term, third.term());
    drop(third);
    until("nobody leads", || async { candidate.leader().await.unwrap().is_none() }).await;
}

pub(crate) async fn a_leader_that_was_deposed_writes_nothing(backend: &Backend) {
    let first = election(backend).await.campaign("a:1", TTL).await.unwrap();
    let (store, term) = (first.store(), first.term());
    let version = done(&store, "job", None, value("1")).await;
    first.resign().await.unwrap();
    // Nobody leads yet: it does not either.
    let error = store.compare_and_swap("job", Some(version), value("2")).await.unwrap_err();
    assert_eq!(error.code(), "TW5108");

    let second = election(backend).await.campaign("a:1", TTL).await.unwrap();
    let error = store.compare_and_swap("job", Some(version), value("2")).await.unwrap_err();
    assert!(error.code() == "TW5108" && error.to_string().contains("leader"), "{error}");
    done(&second.store(), "job", Some(version), value("3")).await;
    assert_eq!(store.get("job").await.unwrap().unwrap().value, b"3");
    assert!(second.term() > term);
}

pub(crate) async fn a_leader_is_told_when_its_key_is_taken_away(backend: &Backend) {
    let mut first = election(backend).await.campaign("a:1", TTL).await.unwrap();
    assert!(timeout(TTL / 4, first.lost()).await.is_err(), "it is there");
    done(&*backend.open().await, "leader", Some(first.term()), None).await;
    first.lost().await;
    let error = first.store().compare_and_swap("job", None, value("1")).await.unwrap_err();
    assert_eq!(error.code(), "TW5108");
}

pub(crate) async fn everybody_sees_who_leads(backend: &Backend) {
    let election = election(backend).await;
    let mut observer = election.observe().await.unwrap();
    assert_eq!(observer.next().await.unwrap().unwrap(), None);
    assert!(timeout(TTL / 8, observer.next()).await.is_err(), "nothing changes");
    for address in ["a:1", "b:2"] {
        let leadership = election.campaign(address, TTL).await.unwrap();
        let leader = Leader { address: address.into(), term: leadership.term() };
        assert_eq!(observer.next().await.unwrap().unwrap(), Some(leader));
        leadership.resign().await.unwrap();
        assert_eq!(observer.next().await.unwrap().unwrap(), None);
    }
    assert!(observer.next().now_or_never().is_none());
}

pub(crate) async fn another_leads_when_the_leader_is_killed(backend: &Backend) {
    let mut other = OtherProcess::start("leader", backend);
    other.wait_for("leading").await;
    if backend.is_shared() {
        let leader = election(backend).await.leader().await.unwrap().unwrap();
        assert_eq!(leader.address, "the other");
    }
    other.kill();
    let leadership = election(backend).await.campaign("me", TTL).await.unwrap();
    // What it wrote as the leader stands.
    let store = leadership.store();
    let now = store.get("count").await.unwrap().unwrap();
    done(&store, "count", Some(now.version), value("mine")).await;
}

pub(crate) async fn another_leads_when_the_leader_is_frozen(backend: &Backend) {
    let mut other = OtherProcess::start("leader", backend);
    other.wait_for("leading").await;
    other.freeze();
    if !backend.is_shared() {
        // Not where the file is the leader's alone, as long as it lives.
        let error = twinspire_store::open(backend.place()).await.err().unwrap();
        assert_eq!(error.code(), "TW5102");
        return;
    }
    let leadership = election(backend).await.campaign("me", TTL).await.unwrap();
    let store = leadership.store();
    let now = store.get("count").await.unwrap().unwrap();
    // It goes on as if nothing had happened, and even knows the version.
    other.thaw();
    other.wait_for("deposed").await;
    assert_eq!(store.get("count").await.unwrap().unwrap(), now);
}
