//! Watching keys: a snapshot, and what changes after it.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, Stream, StreamExt};

use crate::error::StoreError;
use crate::metadata::{Version, Versioned};

/// What a watch tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Everything there is, as of one moment; whatever was told before counts no more. Always the
    /// first, and again whenever the store cannot vouch that no change was missed.
    Snapshot(Vec<(String, Versioned)>),
    /// A key was written.
    Put(String, Versioned),
    /// A key was deleted, or vanished with its lease, by this version.
    Deleted(String, Version),
}

impl Update {
    /// Brings a copy of what is watched up to date.
    pub fn apply(self, copy: &mut BTreeMap<String, Versioned>) {
        match self {
            Update::Snapshot(all) => *copy = all.into_iter().collect(),
            Update::Put(key, value) => {
                copy.insert(key, value);
            }
            Update::Deleted(key, _) => {
                copy.remove(&key);
            }
        }
    }
}

/// The stream of [`MetadataStore::watch`](crate::MetadataStore::watch).
///
/// While the store is out of reach it tells nothing, and goes on where it was when the store is
/// back. It ends after an error, which is then none that time mends.
pub struct Watch {
    updates: BoxStream<'static, Result<Update, StoreError>>,
}

impl Watch {
    pub(crate) fn new(updates: impl Stream<Item = Result<Update, StoreError>> + Send + 'static) -> Watch {
        Watch { updates: updates.boxed() }
    }

    /// The next update, however long it takes. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Result<Update, StoreError>> {
        self.updates.next().await
    }
}

impl Stream for Watch {
    type Item = Result<Update, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.updates.poll_next_unpin(context)
    }
}
