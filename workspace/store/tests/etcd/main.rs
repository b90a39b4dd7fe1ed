//! What is particular to the store in etcd: faults, lost answers, and being let in.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access;
mod faults;
mod in_doubt;
mod proxy;
mod reading;

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;
use twinspire_store::{Etcd, MetadataStore, Place, StoreError, Swap, Version};

/// For what must happen, on a machine that does ten other things.
const DEADLINE: Duration = Duration::from_secs(90);

/// Fails when a test hangs.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(DEADLINE, work).await.expect("nothing has happened for a minute and a half")
}

async fn open(place: &str, patience: Duration) -> Result<Etcd, StoreError> {
    let Place::Etcd(place) = place.parse()? else { panic!("{place}") };
    Etcd::open(&place, patience).await
}

fn value(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

/// A swap that must be done.
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
