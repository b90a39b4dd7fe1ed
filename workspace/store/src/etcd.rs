//! The store in an etcd cluster.

mod connect;
mod lease;
mod members;
mod range;
mod retry;
mod stamp;
mod swap;
mod trouble;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::members::Members;
use self::trouble::Trouble;
use crate::error::StoreError;
use crate::lease::Lease;
use crate::metadata::{MetadataStore, Swap, Versioned, Write};
use crate::place::EtcdPlace;
use crate::watch::Watch;

/// How long a call is tried, unless [`Etcd::open`] is told otherwise. An etcd cluster that lost its
/// leader has a new one after 1 to 3 seconds.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A metadata store in etcd 3.4 or newer, for any number of coordinators.
///
/// - **Versions** are etcd's revisions, which count all writes to the cluster.
/// - **A call** is tried on one member after the other until one answers, for as long as the
///   store's patience; then it is [`StoreError::Unavailable`].
/// - **A write that is tried again** after its answer was lost knows its own earlier success by a
///   stamp at the end of the value, and tells nothing that it cannot prove; see `swap.rs`.
/// - **A watch** is opened anew from where it was; after a compaction it begins again.
/// - **Keys** of a cluster of coordinators begin with one prefix, so that several share an etcd.
///
/// Restoring etcd from a backup takes revisions back: stop all coordinators before.
#[derive(Clone)]
pub struct Etcd {
    members: Arc<Members>,
    /// For messages.
    place: String,
    /// What all keys in etcd begin with.
    prefix: String,
    patience: Duration,
}

impl Etcd {
    /// Connects to the cluster, trying for as long as `patience`, as all calls will.
    ///
    /// # Errors
    /// No member answers; they let this client not in; a certificate or password cannot be read.
    pub async fn open(place: &EtcdPlace, patience: Duration) -> Result<Etcd, StoreError> {
        connect::connect(place, patience).await
    }

    /// The key in etcd.
    fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key here.
    fn bare(&self, key: &[u8]) -> Result<String, Trouble> {
        let bare = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(&self.prefix));
        bare.map(str::to_owned).ok_or_else(|| {
            Trouble::Damaged(format!("`{}` is no key of Twinspire's", String::from_utf8_lossy(key)))
        })
    }
}

#[async_trait]
impl MetadataStore for Etcd {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        range::get(self, key).await
    }

    async fn write(&self, write: Write<'_>) -> Result<Swap, StoreError> {
        write.check()?;
        swap::swap(self, write).await
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError> {
        Ok(range::snapshot(self, prefix).await?.1)
    }

    async fn watch(&self, prefix: &str) -> Result<Watch, StoreError> {
        watch::watch(self, prefix).await
    }

    async fn lease(&self, ttl: Duration) -> Result<Lease, StoreError> {
        lease::lease(self, ttl).await
    }
}
