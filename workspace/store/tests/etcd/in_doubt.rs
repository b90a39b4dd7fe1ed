//! Hold 4: what is told of a swap whose answer was lost.

use std::time::Duration;

use twinspire_store::{Etcd, Fence, MetadataStore, StoreError, Swap, Version, Versioned, Write};
use twinspire_test_etcd::Cluster;

use crate::proxy::{Network, Proxy};
use crate::{done, in_time, open, value};

const PATIENCE: Duration = Duration::from_secs(20);

/// A client behind a network that loses things, and one that is not.
struct Doubt {
    _cluster: Cluster,
    proxy: Proxy,
    far: Etcd,
    near: Etcd,
    first: Version,
}

impl Doubt {
    /// The key `key` is 1, by version `first`.
    async fn begin() -> Option<Doubt> {
        let cluster = Cluster::start(1).unwrap()?;
        let proxy = Proxy::before(&cluster.endpoints()[0]).await;
        let far = open(&format!("etcd://{}/doubt", proxy.endpoint), PATIENCE).await.unwrap();
        let near = open(&cluster.place("doubt"), PATIENCE).await.unwrap();
        let first = done(&near, "key", None, value("1")).await;
        Some(Doubt { _cluster: cluster, proxy, far, near, first })
    }

    /// The far client writes while the network is `network`; then `meanwhile` happens, and the
    /// network is whole again.
    async fn write(
        &self,
        write: Write<'_>,
        network: Network,
        meanwhile: impl AsyncFnOnce(),
    ) -> Result<Swap, StoreError> {
        self.proxy.set(network);
        let writing = self.far.write(write);
        let mending = async {
            meanwhile().await;
            self.proxy.set(Network::Whole);
        };
        in_time(async { tokio::join!(writing, mending) }).await.0
    }

    async fn now(&self) -> Option<Versioned> {
        self.near.get("key").await.unwrap()
    }

    /// Waits until the far client's write has arrived.
    async fn arrived(&self) -> Option<Versioned> {
        let mut watch = self.near.watch("key").await.unwrap();
        while self.now().await.is_some_and(|now| now.version == self.first) {
            watch.next().await.unwrap().unwrap();
        }
        self.now().await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_that_was_done_is_told_as_done() {
    let Some(doubt) = Doubt::begin().await else { return };
    let write = Write::put("key", Some(doubt.first), b"2");
    let swap = doubt.write(write, Network::NoAnswers, async || drop(doubt.arrived().await)).await.unwrap();
    let now = doubt.now().await.unwrap();
    assert_eq!(now.value, b"2");
    assert_eq!(swap, Swap::Done(now.version));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_creation_that_was_done_is_told_as_done() {
    let Some(doubt) = Doubt::begin().await else { return };
    let created = async || while doubt.near.get("new").await.unwrap().is_none() {};
    let swap = doubt.write(Write::put("new", None, b"1"), Network::NoAnswers, created).await.unwrap();
    assert_eq!(swap, Swap::Done(doubt.near.get("new").await.unwrap().unwrap().version));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_that_was_done_is_told_as_done_though_others_have_overwritten_it() {
    let Some(doubt) = Doubt::begin().await else { return };
    let mut ours = None;
    let overwrite = async || {
        let arrived = doubt.arrived().await.unwrap();
        let other = done(&doubt.near, "key", Some(arrived.version), value("2")).await;
        done(&doubt.near, "key", Some(other), value("3")).await;
        ours = Some(arrived.version);
    };
    let write = Write::put("key", Some(doubt.first), b"2");
    let swap = doubt.write(write, Network::NoAnswers, overwrite).await.unwrap();
    assert_eq!(swap, Swap::Done(ours.unwrap()));
    assert_eq!(doubt.now().await.unwrap().value, b"3");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_that_never_arrived_conflicts_with_one_that_did() {
    let Some(doubt) = Doubt::begin().await else { return };
    let overwrite = async || {
        // The same value, from the same version: only the stamp tells them apart.
        let other = done(&doubt.near, "key", Some(doubt.first), value("2")).await;
        done(&doubt.near, "key", Some(other), value("3")).await;
    };
    let write = Write::put("key", Some(doubt.first), b"2");
    let swap = doubt.write(write, Network::Down, overwrite).await.unwrap();
    assert_eq!(swap, Swap::Conflict(doubt.now().await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_that_never_arrived_is_done_in_the_end() {
    let Some(doubt) = Doubt::begin().await else { return };
    let write = Write::put("key", Some(doubt.first), b"2");
    let swap = doubt.write(write, Network::Down, async || {}).await.unwrap();
    let now = doubt.now().await.unwrap();
    assert_eq!((swap, now.value), (Swap::Done(now.version), b"2".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_leaves_nothing_to_tell_by() {
    let Some(doubt) = Doubt::begin().await else { return };
    let write = Write::delete("key", doubt.first);
    let error =
        doubt.write(write, Network::NoAnswers, async || drop(doubt.arrived().await)).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("may or may not"), "{error}");
    assert_eq!(doubt.now().await, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_leader_is_told_what_it_wrote_before() {
    let Some(doubt) = Doubt::begin().await else { return };
    let term = done(&doubt.near, "leader", None, value("far")).await;
    let fence = Fence { key: "leader".into(), version: term };
    let depose = async || {
        doubt.arrived().await;
        done(&doubt.near, "leader", Some(term), None).await;
    };
    let write = Write::put("key", Some(doubt.first), b"2").fenced(&fence);
    let swap = doubt.write(write, Network::NoAnswers, depose).await.unwrap();
    let now = doubt.now().await.unwrap();
    assert_eq!(swap, Swap::Done(now.version));
    let error = doubt.far.write(Write::put("key", Some(now.version), b"3").fenced(&fence)).await.unwrap_err();
    assert_eq!(error.code(), "TW5108");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposed_leader_whose_write_never_arrived_is_told_that_it_is_deposed() {
    let Some(doubt) = Doubt::begin().await else { return };
    let fence =
        Fence { key: "leader".into(), version: done(&doubt.near, "leader", None, value("far")).await };
    let depose = async || {
        done(&doubt.near, "leader", Some(fence.version), None).await;
    };
    let write = Write::put("key", Some(doubt.first), b"2").fenced(&fence);
    let error = doubt.write(write, Network::Down, depose).await.unwrap_err();
    assert_eq!(error.code(), "TW5108");
    assert_eq!(doubt.now().await.unwrap().version, doubt.first);
}
