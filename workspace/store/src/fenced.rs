//! A store that only the leader can write to.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::lease::Lease;
use crate::metadata::{Fence, MetadataStore, Swap, Versioned, Write};
use crate::watch::Watch;

/// A store whose writes are done only while a [`Fence`] holds: all others are
/// [`StoreError::Deposed`]. Reads go through as they are.
///
/// The store itself checks it with each write, so it does not matter how late the writer notices
/// that it leads no longer, or that a write was on its way for long.
#[derive(Clone)]
pub struct Fenced {
    store: Arc<dyn MetadataStore>,
    fence: Fence,
}

impl Fenced {
    /// Puts `fence` before all writes to `store`.
    pub fn new(store: Arc<dyn MetadataStore>, fence: Fence) -> Fenced {
        Fenced { store, fence }
    }

    /// What must hold.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }
}

#[async_trait]
impl MetadataStore for Fenced {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        self.store.get(key).await
    }

    async fn write(&self, write: Write<'_>) -> Result<Swap, StoreError> {
        if write.fence.is_some_and(|other| *other != self.fence) {
            let reason = format!("it has a fence of its own beside that of `{}`", self.fence.key);
            return Err(StoreError::Refused { key: write.key.to_owned(), reason });
        }
        self.store.write(write.fenced(&self.fence)).await
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError> {
        self.store.range(prefix).await
    }

    async fn watch(&self, prefix: &str) -> Result<Watch, StoreError> {
        self.store.watch(prefix).await
    }

    async fn lease(&self, ttl: Duration) -> Result<Lease, StoreError> {
        self.store.lease(ttl).await
    }
}
