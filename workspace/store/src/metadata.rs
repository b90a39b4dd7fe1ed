//! The trait, and what a write is.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::lease::{Lease, LeaseId};
use crate::watch::Watch;

/// Bytes of a value at most, in every implementation: plans and manifests live in object storage.
pub const MAX_VALUE: usize = 100_000;

/// Bytes of a key at most, in every implementation.
pub const MAX_KEY: usize = 1_000;

/// A key's version: grows with every write of it. Versions are the store's, not the key's: of two
/// writes to any keys, the later has the greater version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A value and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Version.
    pub version: Version,
    /// Value.
    pub value: Vec<u8>,
}

/// What became of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// Done; the key's version now, or that of its deletion.
    Done(Version),
    /// The key has another version than expected: this one, or it is not there.
    Conflict(Option<Versioned>),
}

/// The condition that a key still has a version, for writes to other keys: usually that this
/// coordinator still leads. See [`Leadership`](crate::Leadership).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The key that is looked at.
    pub key: String,
    /// The version it must have.
    pub version: Version,
}

/// A write: of one key, and only if it has the expected version.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The key, `jobs/beauty/generation`.
    pub key: &'a str,
    /// The version that it must have; `None`: it must not be there.
    pub expected: Option<Version>,
    /// What to write; `None` deletes the key.
    pub value: Option<&'a [u8]>,
    /// The lease that the key vanishes with. Each write says it anew: without one, the key is no
    /// longer under any.
    pub lease: Option<LeaseId>,
    /// What must hold besides.
    pub fence: Option<&'a Fence>,
}

impl<'a> Write<'a> {
    /// Writes `value` to `key` if its version is `expected`, or if it is not there.
    pub fn put(key: &'a str, expected: Option<Version>, value: &'a [u8]) -> Write<'a> {
        Write { key, expected, value: Some(value), lease: None, fence: None }
    }

    /// Deletes `key` if its version is `expected`.
    pub fn delete(key: &'a str, expected: Version) -> Write<'a> {
        Write { key, expected: Some(expected), value: None, lease: None, fence: None }
    }

    /// The key vanishes with `lease`.
    pub fn under(self, lease: &Lease) -> Write<'a> {
        Write { lease: Some(lease.id()), ..self }
    }

    /// Written only while `fence` holds.
    pub fn fenced(self, fence: &'a Fence) -> Write<'a> {
        Write { fence: Some(fence), ..self }
    }

    /// What became of a write whose fence no longer holds.
    pub(crate) fn deposed(&self) -> StoreError {
        let leader = self.fence.map_or_else(String::new, |fence| fence.key.clone());
        StoreError::Deposed { key: self.key.to_owned(), leader }
    }

    /// What every implementation checks before it does anything.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let refused =
            |reason: String| Err(StoreError::Refused { key: self.key.chars().take(80).collect(), reason });
        let bytes = self.value.map_or(0, <[u8]>::len);
        if self.key.is_empty() {
            refused("a key has at least one character".into())
        } else if self.key.len() > MAX_KEY {
            refused(format!("it has {} bytes, {MAX_KEY} are the most", self.key.len()))
        } else if bytes > MAX_VALUE {
            refused(format!(
                "its value has {bytes} bytes, {MAX_VALUE} are the most; large things belong into object storage"
            ))
        } else {
            Ok(())
        }
    }
}

/// A store of small values under ordered keys, such as `jobs/beauty/generation`.
///
/// What holds of every implementation stands at the head of this crate.
#[async_trait]
pub trait MetadataStore: Send + Sync {
    /// The value of `key`.
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// The only write there is.
    async fn write(&self, write: Write<'_>) -> Result<Swap, StoreError>;

    /// Writes `value` to `key` (`None` deletes it) if its version is `expected` (`None`: if it is
    /// not there): [`MetadataStore::write`] without lease and fence.
    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: Option<Vec<u8>>,
    ) -> Result<Swap, StoreError> {
        self.write(Write { key, expected, value: value.as_deref(), lease: None, fence: None }).await
    }

    /// All keys that begin with `prefix`, in order, as of one moment.
    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError>;

    /// All keys that begin with `prefix`, and then every change of them.
    async fn watch(&self, prefix: &str) -> Result<Watch, StoreError>;

    /// A lease that is kept alive in the background until it is dropped. Its keys vanish when its
    /// holder has not been heard of for `ttl`, which the store may round up.
    async fn lease(&self, ttl: Duration) -> Result<Lease, StoreError>;
}
