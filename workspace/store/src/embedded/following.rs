//! Watches of the embedded store: writers shout, watches listen.
//!
//! A writer waits for nobody. A watch that has fallen too far behind to be told each change, or
//! whose store has had trouble with its disk, begins again with a snapshot.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, Stream};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::sleep;

use super::Embedded;
use super::tables::Entries;
use crate::error::StoreError;
use crate::metadata::{Version, Versioned};
use crate::watch::Update;

/// Changes that a watch may be behind.
pub(super) const KEPT: usize = 256;

/// How long to wait for a disk in trouble.
const PAUSE: Duration = Duration::from_secs(1);

/// What a writer shouts.
#[derive(Clone, Debug)]
pub(super) enum Shout {
    /// A key has this value now, or none.
    Change { key: String, version: Version, value: Option<Arc<[u8]>> },
    /// A write failed: nobody knows whether it happened.
    Trouble,
}

/// A watch, and where it is.
pub(super) struct Following {
    pub(super) store: Embedded,
    pub(super) prefix: String,
    pub(super) shouts: Receiver<Shout>,
    /// The snapshot that is to be told, if any.
    pub(super) snapshot: Option<Entries>,
    /// The last write that is in what was told.
    pub(super) told: Version,
}

impl Following {
    pub(super) fn updates(self) -> impl Stream<Item = Result<Update, StoreError>> + Send {
        stream::unfold(Some(self), |following| async {
            let mut following = following?;
            let update = following.next().await;
            let goes_on = update.is_ok();
            Some((update, goes_on.then_some(following)))
        })
    }

    async fn next(&mut self) -> Result<Update, StoreError> {
        if let Some(entries) = self.snapshot.take() {
            return Ok(Update::Snapshot(entries));
        }
        loop {
            match self.shouts.recv().await {
                Ok(Shout::Change { key, version, value })
                    if version > self.told && key.starts_with(&self.prefix) =>
                {
                    return Ok(match value {
                        Some(value) => Update::Put(key, Versioned { version, value: value.to_vec() }),
                        None => Update::Deleted(key, version),
                    });
                }
                // Of another prefix, or in the snapshot already.
                Ok(Shout::Change { .. }) => {}
                // The store holds the sender, and this holds the store: it is not closed.
                Ok(Shout::Trouble) | Err(RecvError::Lagged(_) | RecvError::Closed) => {
                    return self.begin_again().await;
                }
            }
        }
    }

    async fn begin_again(&mut self) -> Result<Update, StoreError> {
        loop {
            // Listens first: what is written meanwhile is in the snapshot, or heard, or both.
            self.shouts = self.shouts.resubscribe();
            match self.store.snapshot(&self.prefix).await {
                Ok((told, entries)) => {
                    self.told = told;
                    return Ok(Update::Snapshot(entries));
                }
                Err(error) if error.is_retryable() => sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
    }
}
