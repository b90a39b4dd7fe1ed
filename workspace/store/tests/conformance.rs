//! One suite for every implementation of `MetadataStore`; each test of it has keys of its own.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use futures::future::join_all;
use twinspire_store::{Embedded, MAX_VALUE, MetadataStore, Swap, Version, Versioned};

fn value(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

async fn done(
    store: &dyn MetadataStore,
    key: &str,
    expected: Option<Version>,
    value: Option<Vec<u8>>,
) -> Version {
    match store.compare_and_swap(key, expected, value).await.unwrap() {
        Swap::Done(version) => version,
        conflict => panic!("{key}: {conflict:?}"),
    }
}

async fn a_value_is_written_replaced_and_deleted_by_who_knows_it(store: &dyn MetadataStore) {
    assert_eq!(store.get("a/key").await.unwrap(), None);
    let first = done(store, "a/key", None, value("1")).await;
    let second = done(store, "a/key", Some(first), value("2")).await;
    assert!(second > first);
    let now = Versioned { version: second, value: b"2".to_vec() };
    assert_eq!(store.get("a/key").await.unwrap(), Some(now));
    done(store, "a/key", Some(second), None).await;
    assert_eq!(store.get("a/key").await.unwrap(), None);
}

async fn who_does_not_know_it_is_told_the_present_value(store: &dyn MetadataStore) {
    let first = done(store, "b", None, value("1")).await;
    let second = done(store, "b", Some(first), value("")).await;
    let present = Swap::Conflict(Some(Versioned { version: second, value: vec![] }));
    for expected in [None, Some(first), Some(Version(second.0 + 1))] {
        assert_eq!(store.compare_and_swap("b", expected, value("x")).await.unwrap(), present);
        assert_eq!(store.compare_and_swap("b", expected, None).await.unwrap(), present);
    }
    assert_eq!(
        store.compare_and_swap("b/absent", Some(first), value("x")).await.unwrap(),
        Swap::Conflict(None)
    );
    assert_eq!(store.compare_and_swap("b/absent", Some(first), None).await.unwrap(), Swap::Conflict(None));
}

async fn a_version_never_comes_back(store: &dyn MetadataStore) {
    let first = done(store, "c", None, value("same")).await;
    let deleted = done(store, "c", Some(first), None).await;
    let again = done(store, "c", None, value("same")).await;
    assert!(first < deleted && deleted < again);
    assert!(matches!(store.compare_and_swap("c", Some(first), None).await.unwrap(), Swap::Conflict(Some(_))));
}

async fn a_range_is_what_begins_with_the_prefix_in_order(store: &dyn MetadataStore) {
    for key in ["d/2", "d/10", "d/1", "d", "d0", "e/1", "d/\u{10FFFF}"] {
        done(store, key, None, value(key)).await;
    }
    let range = store.range("d/").await.unwrap();
    let keys: Vec<&str> = range.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["d/1", "d/10", "d/2", "d/\u{10FFFF}"]);
    assert!(range.iter().all(|(key, versioned)| versioned.value == key.as_bytes()));
    assert_eq!(store.range("d/3").await.unwrap(), []);
}

async fn of_concurrent_swaps_each_counts_once(store: Arc<dyn MetadataStore>) {
    let adders = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut added = 0;
            while added < 10 {
                let now = store.get("f").await.unwrap();
                let count: u32 = now
                    .as_ref()
                    .map_or(0, |now| String::from_utf8(now.value.clone()).unwrap().parse().unwrap());
                let next = value(&(count + 1).to_string());
                let swap = store.compare_and_swap("f", now.map(|now| now.version), next).await.unwrap();
                added += u32::from(matches!(swap, Swap::Done(_)));
            }
        })
    });
    for adder in join_all(adders).await {
        adder.unwrap();
    }
    assert_eq!(store.get("f").await.unwrap().unwrap().value, b"80");
}

async fn what_no_store_takes_is_refused(store: &dyn MetadataStore) {
    done(store, "g", None, Some(vec![0; MAX_VALUE])).await;
    for (key, value) in [("g/large", vec![0; MAX_VALUE + 1]), ("", vec![])] {
        let error = store.compare_and_swap(key, None, Some(value)).await.unwrap_err();
        assert!(error.code() == "TW5104" && !error.is_retryable(), "{error}");
    }
}

async fn conformance(store: Arc<dyn MetadataStore>) {
    a_value_is_written_replaced_and_deleted_by_who_knows_it(&*store).await;
    who_does_not_know_it_is_told_the_present_value(&*store).await;
    a_version_never_comes_back(&*store).await;
    a_range_is_what_begins_with_the_prefix_in_order(&*store).await;
    of_concurrent_swaps_each_counts_once(Arc::clone(&store)).await;
    what_no_store_takes_is_refused(&*store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_store_conforms() {
    let directory = tempfile::tempdir().unwrap();
    conformance(Arc::new(Embedded::open(&directory.path().join("new/state.redb")).await.unwrap())).await;
}
