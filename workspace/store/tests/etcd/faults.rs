//! Members that die and freeze in the midst of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use twinspire_store::{Etcd, MetadataStore, PATIENCE, Swap, Update, Version, Watch};
use twinspire_test_etcd::Cluster;

use crate::{DEADLINE, done, in_time, open, value};

const WRITERS: usize = 4;

/// Tasks that add to one counter, and write a key of their own.
struct Traffic {
    /// What was acknowledged.
    added: Arc<AtomicUsize>,
    goal: Arc<AtomicUsize>,
    writers: Vec<JoinHandle<(usize, usize)>>,
}

impl Traffic {
    async fn begin(place: &str) -> Traffic {
        let (added, goal) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(usize::MAX)));
        let mut writers = Vec::new();
        for name in 0..WRITERS {
            let store = open(place, PATIENCE).await.unwrap();
            writers.push(tokio::spawn(write(store, name, Arc::clone(&added), Arc::clone(&goal))));
        }
        Traffic { added, goal, writers }
    }

    /// Waits for so many more acknowledged additions.
    async fn goes_on(&self, more: usize) {
        let goal = self.added.load(Ordering::SeqCst) + more;
        let end = Instant::now() + DEADLINE;
        while self.added.load(Ordering::SeqCst) < goal {
            assert!(Instant::now() < end, "no write for too long");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it; the additions that were acknowledged, and of each writer what it wrote to its own key.
    async fn end(self) -> (usize, Vec<usize>) {
        self.goal.store(0, Ordering::SeqCst);
        let outcomes = join_all(self.writers).await.into_iter().map(Result::unwrap);
        let (added, own): (Vec<usize>, Vec<usize>) = outcomes.unzip();
        (added.iter().sum(), own)
    }
}

async fn write(store: Etcd, name: usize, all: Arc<AtomicUsize>, goal: Arc<AtomicUsize>) -> (usize, usize) {
    let (mut added, mut own, mut version) = (0, 0, None);
    while all.load(Ordering::SeqCst) < goal.load(Ordering::SeqCst) {
        own += 1;
        version = Some(done(&store, &format!("own/{name}"), version, value(&own.to_string())).await);
        let now = store.get("count").await.unwrap();
        let count: usize =
            now.as_ref().map_or(0, |now| String::from_utf8(now.value.clone()).unwrap().parse().unwrap());
        let next = value(&(count + 1).to_string());
        if let Swap::Done(_) =
            store.compare_and_swap("count", now.map(|now| now.version), next).await.unwrap()
        {
            added += 1;
            all.fetch_add(1, Ordering::SeqCst);
        }
    }
    (added, own)
}

/// All values of the counter that a watch tells, each once, in order, up to `last`.
async fn all_counts(watch: &mut Watch, last: usize) {
    assert_eq!(watch.next().await.unwrap().unwrap(), Update::Snapshot(vec![]));
    let mut version = Version(0);
    for count in 1..=last {
        let Update::Put(_, now) = watch.next().await.unwrap().unwrap() else { panic!("after {count}") };
        assert!(now.version > version);
        version = now.version;
        assert_eq!(String::from_utf8(now.value).unwrap(), count.to_string());
    }
}

/// Runs traffic through `fault`; no acknowledged write may be lost, and the watch tells of all.
async fn nothing_is_lost(cluster: &mut Cluster, fault: impl AsyncFnOnce(&mut Cluster, &Traffic)) {
    let place = cluster.place("faults");
    let store = open(&place, PATIENCE).await.unwrap();
    let mut watch = store.watch("count").await.unwrap();
    let lease = store.lease(Duration::from_secs(10)).await.unwrap();
    let traffic = Traffic::begin(&place).await;
    traffic.goes_on(30).await;
    fault(cluster, &traffic).await;
    traffic.goes_on(30).await;

    let (added, own) = traffic.end().await;
    let count = store.get("count").await.unwrap().unwrap().value;
    assert_eq!(String::from_utf8(count).unwrap(), added.to_string());
    for (name, last) in own.into_iter().enumerate() {
        let now = store.get(&format!("own/{name}")).await.unwrap().unwrap().value;
        assert_eq!(String::from_utf8(now).unwrap(), last.to_string());
    }
    all_counts(&mut watch, added).await;
    assert!(!lease.is_lost(), "a lease outlives an election");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_leader_is_killed() {
    let Some(mut cluster) = Cluster::start(3).unwrap() else { return };
    let kill = async |cluster: &mut Cluster, traffic: &Traffic| {
        let leader = cluster.leader();
        cluster.kill(leader);
        traffic.goes_on(30).await;
        // And when it is back, the next.
        tokio::task::block_in_place(|| cluster.restart(leader).unwrap());
        cluster.kill(cluster.leader());
    };
    in_time(nothing_is_lost(&mut cluster, kill)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_leader_freezes() {
    let Some(mut cluster) = Cluster::start(3).unwrap() else { return };
    let freeze = async |cluster: &mut Cluster, traffic: &Traffic| {
        let leader = cluster.leader();
        cluster.freeze(leader);
        traffic.goes_on(30).await;
        cluster.thaw(leader);
    };
    in_time(nothing_is_lost(&mut cluster, freeze)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_calls_fail_in_time_and_work_again_later() {
    let Some(mut cluster) = Cluster::start(3).unwrap() else { return };
    let store = open(&cluster.place("majority"), Duration::from_secs(4)).await.unwrap();
    let version = done(&store, "key", None, value("1")).await;
    let lease = store.lease(Duration::from_secs(2)).await.unwrap();
    cluster.kill(0);
    cluster.kill(1);

    let error = in_time(store.compare_and_swap("key", Some(version), value("2"))).await.unwrap_err();
    assert!(error.code() == "TW5101" && error.is_retryable(), "{error}");
    assert!(in_time(store.get("key")).await.unwrap_err().is_retryable());
    // Its holder does not wait for the store to say so.
    in_time(lease.lost()).await;
    assert!(lease.is_lost());

    tokio::task::block_in_place(|| cluster.restart(0).unwrap());
    let end = Instant::now() + DEADLINE;
    while let Err(error) = store.get("key").await {
        assert!(error.is_retryable() && Instant::now() < end, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_at_the_address_is_told() {
    let error = in_time(open("etcd://127.0.0.1:1", Duration::from_secs(1))).await.err().unwrap();
    assert!(error.code() == "TW5101" && error.is_retryable(), "{error}");
    let said = error.to_string();
    assert!(said.contains("etcd://127.0.0.1:1") && said.contains("refused"), "{said}");
}
