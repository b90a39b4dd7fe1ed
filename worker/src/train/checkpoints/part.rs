//! One rank's part of a checkpoint on its way to storage.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use twinspire_checkpoint::{
    CheckpointError, CheckpointStore, Generation, PartInfo, Patience, Step, TensorSlice,
};
use twinspire_proto::v1::{CheckpointDelayed, CheckpointFailed, CheckpointPart, worker_message::Body};
use twinspire_storage::{Location, StorageError};

use crate::task::Link;

/// A file of audit records.
pub(super) struct Records {
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

/// A part that could not be written, with the records that were to come before it.
pub(super) struct Unwritten {
    pub(super) error: CheckpointError,
    pub(super) records: Vec<Records>,
}

pub(super) struct Writing {
    pub(super) run: Location,
    pub(super) store: CheckpointStore,
    pub(super) link: Link,
    pub(super) step: u64,
    pub(super) generation: Generation,
    pub(super) rank: usize,
    pub(super) world: usize,
    pub(super) records: Vec<Records>,
    pub(super) slices: Vec<TensorSlice>,
    /// Set when it takes longer than writing does.
    pub(super) late: Arc<AtomicBool>,
}

impl Writing {
    pub(super) async fn run(self) -> Result<(), Unwritten> {
        let step = self.step;
        match self.write().await {
            Ok(part) => {
                // Text and numbers: this cannot fail.
                let part_json = serde_json::to_string(&part).unwrap_or_default();
                self.link.say(Body::CheckpointPart(CheckpointPart { step, part_json }));
                Ok(())
            }
            Err(error) => {
                self.link.say(Body::CheckpointFailed(CheckpointFailed { step, message: error.to_string() }));
                Err(Unwritten { error, records: self.records })
            }
        }
    }

    /// The audit records come first: what a checkpoint commits has been recorded.
    async fn write(&self) -> Result<PartInfo, CheckpointError> {
        let patience = Patience::default();
        let delayed = |why: &StorageError| {
            self.late.store(true, Relaxed);
            let message = why.to_string();
            self.link.say(Body::CheckpointDelayed(CheckpointDelayed { step: self.step, message }));
        };
        for Records { name, bytes } in &self.records {
            let put = || async { self.run.put(name, bytes.clone()).await.map_err(CheckpointError::from) };
            patience.retry_and_tell("write audit records", put, delayed).await.0?;
        }
        let what = format!("write the checkpoint of step {}", self.step);
        let part =
            || self.store.write_part(Step(self.step), self.generation, self.rank, self.world, &self.slices);
        patience.retry_and_tell(&what, part, delayed).await.0
    }
}
