//! Ranges of many pages, watches that were overtaken, and what others put into etcd.

use std::collections::BTreeMap;

use etcd_client::Client;
use futures::future::join_all;
use twinspire_store::{MetadataStore, PATIENCE, Update};
use twinspire_test_etcd::Cluster;

use crate::{done, in_time, open, value};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_has_as_many_pages_as_it_takes() {
    let Some(cluster) = Cluster::start(1).unwrap() else { return };
    let store = &open(&cluster.place("pages"), PATIENCE).await.unwrap();
    let keys: Vec<String> = (0..1_203).map(|i| format!("{i:05}")).collect();
    for some in keys.chunks(100) {
        join_all(some.iter().map(|key| done(store, key, None, value(key)))).await;
    }
    let found: Vec<String> = store.range("").await.unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(found, keys);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_was_overtaken_by_a_compaction_begins_again() {
    let Some(cluster) = Cluster::start(1).unwrap() else { return };
    let store = &open(&cluster.place("compacted"), PATIENCE).await.unwrap();
    let mut watch = store.watch("").await.unwrap();
    let mut version = None;
    for i in 0..600 {
        version = Some(done(store, "key", version, value(&i.to_string())).await);
    }
    let mut etcd = Client::connect(cluster.endpoints(), None).await.unwrap();
    etcd.compact(i64::try_from(version.unwrap().0).unwrap(), None).await.unwrap();
    let end = done(store, "end", None, value("")).await;

    let (mut copy, mut snapshots) = (BTreeMap::new(), 0);
    while !copy.contains_key("end") {
        let update = in_time(watch.next()).await.unwrap().unwrap();
        snapshots += usize::from(matches!(update, Update::Snapshot(_)));
        update.apply(&mut copy);
    }
    assert_eq!(snapshots, 2, "what was not told one by one is told at once");
    assert_eq!((copy["key"].value.as_slice(), copy["end"].version), (&b"599"[..], end));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_with_different_prefixes_know_nothing_of_each_other() {
    let Some(cluster) = Cluster::start(1).unwrap() else { return };
    let a = open(&cluster.place("a"), PATIENCE).await.unwrap();
    let ab = open(&cluster.place("ab"), PATIENCE).await.unwrap();
    let a_b = open(&cluster.place("a/b"), PATIENCE).await.unwrap();
    done(&ab, "key", None, value("of ab")).await;
    assert_eq!(a.range("").await.unwrap(), []);
    assert_eq!(a.get("key").await.unwrap(), None);
    // Deeper is inside, which is how one looks at all clusters.
    done(&a_b, "key", None, value("of a/b")).await;
    assert_eq!(a.get("b/key").await.unwrap().unwrap().value, b"of a/b");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_can_be_read_and_put_by_hand() {
    let Some(cluster) = Cluster::start(1).unwrap() else { return };
    let store = open(&cluster.place(""), PATIENCE).await.unwrap();
    let mut etcd = Client::connect(cluster.endpoints(), None).await.unwrap();
    done(&store, "ours", None, value("{}")).await;
    let seen = etcd.get("/twinspire/ours", None).await.unwrap();
    let seen = seen.kvs()[0].value_str().unwrap();
    assert!(seen.starts_with("{}\n") && seen.lines().count() == 2, "{seen}");

    etcd.put("/twinspire/theirs", "by hand", None).await.unwrap();
    let theirs = store.get("theirs").await.unwrap().unwrap();
    assert_eq!(theirs.value, b"by hand");
    done(&store, "theirs", Some(theirs.version), value("by us")).await;
    assert_eq!(store.get("theirs").await.unwrap().unwrap().value, b"by us");
}
