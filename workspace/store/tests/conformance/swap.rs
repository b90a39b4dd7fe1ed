//! Holds 1, 3, 4 and 7.

use futures::future::join_all;
use twinspire_store::{Fence, Fenced, MAX_KEY, MAX_VALUE, MetadataStore, Swap, Version, Versioned, Write};

use crate::backend::{Backend, done, done_write, value};

pub(crate) async fn a_value_is_written_replaced_and_deleted_by_who_knows_it(backend: &Backend) {
    let store = &*backend.open().await;
    assert_eq!(store.get("key").await.unwrap(), None);
    let first = done(store, "key", None, value("1")).await;
    let second = done(store, "key", Some(first), value("2")).await;
    assert!(second > first);
    let now = Versioned { version: second, value: b"2".to_vec() };
    assert_eq!(store.get("key").await.unwrap(), Some(now));
    done(store, "key", Some(second), None).await;
    assert_eq!(store.get("key").await.unwrap(), None);
}

pub(crate) async fn who_does_not_know_it_is_told_the_present_value(backend: &Backend) {
    let store = &*backend.open().await;
    let first = done(store, "key", None, value("1")).await;
    let second = done(store, "key", Some(first), value("")).await;
    let present = Swap::Conflict(Some(Versioned { version: second, value: vec![] }));
    for expected in [None, Some(first), Some(Version(second.0 + 1)), Some(Version(u64::MAX))] {
        assert_eq!(store.compare_and_swap("key", expected, value("x")).await.unwrap(), present);
        assert_eq!(store.compare_and_swap("key", expected, None).await.unwrap(), present);
    }
    for expected in [first, Version(0), Version(u64::MAX)] {
        let absent = store.compare_and_swap("absent", Some(expected), value("x")).await.unwrap();
        assert_eq!(absent, Swap::Conflict(None));
        assert_eq!(
            store.compare_and_swap("absent", Some(expected), None).await.unwrap(),
            Swap::Conflict(None)
        );
    }
}

pub(crate) async fn a_version_never_comes_back(backend: &Backend) {
    let store = &*backend.open().await;
    let first = done(store, "key", None, value("same")).await;
    let deleted = done(store, "key", Some(first), None).await;
    let again = done(store, "key", None, value("same")).await;
    assert!(first < deleted && deleted < again);
    let late = store.compare_and_swap("key", Some(first), None).await.unwrap();
    assert!(matches!(late, Swap::Conflict(Some(now)) if now.version == again));
}

pub(crate) async fn a_later_write_of_any_key_has_a_greater_version(backend: &Backend) {
    let store = &*backend.open().await;
    let mut last = Version(0);
    for key in ["b", "a", "c", "a/b"] {
        let created = done(store, key, None, value("1")).await;
        let replaced = done(store, key, Some(created), value("2")).await;
        assert!(last < created && created < replaced);
        last = replaced;
    }
}

pub(crate) async fn of_concurrent_swaps_each_counts_once(backend: &Backend) {
    let adders = (0..8).map(|_| async {
        let store = backend.open().await;
        tokio::spawn(async move {
            let mut added = 0;
            while added < 10 {
                let now = store.get("count").await.unwrap();
                let count: u32 = now
                    .as_ref()
                    .map_or(0, |now| String::from_utf8(now.value.clone()).unwrap().parse().unwrap());
                let next = value(&(count + 1).to_string());
                let swap = store.compare_and_swap("count", now.map(|now| now.version), next).await.unwrap();
                added += u32::from(matches!(swap, Swap::Done(_)));
            }
        })
        .await
    });
    join_all(adders).await.into_iter().for_each(Result::unwrap);
    assert_eq!(backend.open().await.get("count").await.unwrap().unwrap().value, b"80");
}

pub(crate) async fn of_concurrent_creations_one_is_done(backend: &Backend) {
    let creators = (0..8).map(|name: u32| async move {
        let swap = backend.open().await.compare_and_swap("one", None, value(&name.to_string())).await;
        (name, swap.unwrap())
    });
    let outcomes = join_all(creators).await;
    let done: Vec<u32> =
        outcomes.iter().filter(|(_, swap)| matches!(swap, Swap::Done(_))).map(|(name, _)| *name).collect();
    let [winner] = done[..] else { panic!("{outcomes:?}") };
    assert_eq!(
        backend.open().await.get("one").await.unwrap().unwrap().value,
        winner.to_string().into_bytes()
    );
}

pub(crate) async fn what_no_store_takes_is_refused(backend: &Backend) {
    let store = &*backend.open().await;
    done(store, &"k".repeat(MAX_KEY), None, Some(vec![0; MAX_VALUE])).await;
    let long = "k".repeat(MAX_KEY + 1);
    for (key, value) in [("large", vec![0; MAX_VALUE + 1]), ("", vec![]), (long.as_str(), vec![])] {
        let error = store.compare_and_swap(key, None, Some(value)).await.unwrap_err();
        assert!(error.code() == "TW5104" && !error.is_retryable(), "{error}");
    }
}

pub(crate) async fn a_fenced_write_is_done_while_the_fence_holds(backend: &Backend) {
    let store = backend.open().await;
    let term = done(&*store, "leader", None, value("me")).await;
    let fence = Fence { key: "leader".into(), version: term };
    let fenced = Fenced::new(store.clone(), fence.clone());

    let first = done(&fenced, "key", None, value("1")).await;
    assert!(matches!(
        fenced.compare_and_swap("key", None, value("x")).await.unwrap(),
        Swap::Conflict(Some(_))
    ));

    // Another leader, even with the same name.
    done(&*store, "leader", Some(term), value("me")).await;
    for (expected, next) in [(Some(first), value("2")), (Some(first), None), (None, value("3"))] {
        let error = fenced.compare_and_swap("key", expected, next).await.unwrap_err();
        assert!(error.code() == "TW5108" && !error.is_retryable(), "{error}");
    }
    let error = store.write(Write::delete("key", first).fenced(&fence)).await.unwrap_err();
    assert_eq!(error.code(), "TW5108");
    assert_eq!(store.get("key").await.unwrap().unwrap().value, b"1");

    // A fence before a key that is not there holds no more than any other.
    let nobody = Fence { key: "nobody".into(), version: term };
    let error = store.write(Write::put("key", Some(first), b"2").fenced(&nobody)).await.unwrap_err();
    assert_eq!(error.code(), "TW5108");
    // Two fences cannot both hold the door.
    let error = fenced.write(Write::put("key", Some(first), b"2").fenced(&nobody)).await.unwrap_err();
    assert_eq!(error.code(), "TW5104");
    done_write(&*store, Write::put("key", Some(first), b"2")).await;
}
