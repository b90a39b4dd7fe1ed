//! Checkpoints of a running training, in the background.
//!
//! ```text
//! every rank    copy of its share of the state ─► audit records, then its part ─► "part written"
//! coordinator   all ranks wrote theirs ─► "commit" to rank 0
//! rank 0        manifest ─► "committed" ─► what retention does not keep is deleted
//! ```
//!
//! Training waits for the copy only, and for the part before, should that still be under way. When
//! a checkpoint cannot be written training goes on, loudly; only the last one of a task must
//! succeed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::{sync::watch, task::JoinHandle};
use twinspire_checkpoint::{
    CheckpointError, CheckpointStore, Generation, Manifest, PartInfo, Patience, Step, TensorInfo,
    TensorSlice, slice_range,
};
use twinspire_dataset::{LaneBatch, audit};
use twinspire_proto::v1::{CheckpointCommitted, CheckpointFailed, CheckpointPart, worker_message::Body};
use twinspire_storage::Location;
use twinspire_towers::NamedTensor;

use super::standing::Standing;
use crate::{
    model::{Loaded, dtype, identity},
    task::{Commit, Control, Link, Task, TaskError},
};

/// What rank 0 writes into a manifest besides the parts.
#[derive(Clone, Debug)]
struct Draft {
    tensors: Vec<TensorInfo>,
    epoch: u32,
    lanes: u32,
    spec: String,
    dataset: String,
    metrics: BTreeMap<String, f64>,
    extra: serde_json::Value,
}

type Drafts = Arc<Mutex<BTreeMap<u64, Draft>>>;

/// How the newest commit ended: its step, and why it failed.
type Concluded = Option<(u64, Option<TaskFailure>)>;

/// A failure that can be told twice.
#[derive(Clone, Debug)]
struct TaskFailure {
    code: &'static str,
    message: String,
}

/// Writes the checkpoints of this rank, and commits those of all ranks if it is the first.
pub(super) struct Checkpoints {
    run: Location,
    store: CheckpointStore,
    generation: u64,
    every: Duration,
    audit: audit::AuditPart,
    in_flight: Option<JoinHandle<Result<(), CheckpointError>>>,
    /// The newest that was begun.
    begun: Option<u64>,
    begun_at: Instant,
    drafts: Drafts,
    concluded: watch::Receiver<Concluded>,
}

impl Checkpoints {
    pub(super) fn start(task: &Task, loaded: &Loaded) -> Result<Checkpoints, TaskError> {
        let drafts = Drafts::default();
        let (conclude, concluded) = watch::channel(None);
        if let (true, Some(commits)) = (task.is_first(), task.orders.take_commits()) {
            let committer = Committer {
                store: loaded.checkpoints.clone(),
                generation: Generation(task.generation),
                link: task.link.clone(),
                drafts: Arc::clone(&drafts),
                conclude,
            };
            task.runtime.spawn(committer.run(commits));
        }
        Ok(Checkpoints {
            run: Location::parse(&task.places.run)?,
            store: loaded.checkpoints.clone(),
            generation: task.generation,
            every: task.spec.checkpoint.every.0,
            audit: audit::AuditPart::default(),
            in_flight: None,
            begun: None,
            begun_at: Instant::now(),
            drafts,
            concluded,
        })
    }

    /// Takes note of rows that were trained.
    pub(super) fn trained(&mut self, batches: &[LaneBatch]) {
        for batch in batches {
            self.audit.push(&audit::AuditRecord::of(batch, self.generation));
        }
    }

    /// Rank 0 wishes for a checkpoint when it is time for one and the one before is committed.
    pub(super) fn wish(&self, task: &Task) -> Control {
        let due = self.every > Duration::ZERO && self.begun_at.elapsed() >= self.every;
        if task.is_first() && due && self.last_is_concluded() { Control::CHECKPOINT } else { Control::GO_ON }
    }

    fn last_is_concluded(&self) -> bool {
        match (&*self.concluded.borrow(), self.begun) {
            (_, None) => true,
            (Some((concluded, _)), Some(begun)) => *concluded >= begun,
            (None, Some(_)) => false,
        }
    }

    /// Copies this rank's share of the state and writes it in the background.
    pub(super) fn begin(
        &mut self,
        task: &Task,
        loaded: &Loaded,
        standing: &Standing,
    ) -> Result<(), TaskError> {
        // Its failure was told; the next may succeed.
        let _ = self.settle(task);
        let step = loaded.trainer.step_number();
        let (rank, world) = (task.assign.rank as usize, task.assign.world as usize);
        let state = loaded.trainer.state();
        let slices = state.iter().map(|tensor| share(tensor, rank, world)).collect::<Result<Vec<_>, _>>()?;
        drop(state);
        if task.is_first() {
            let draft = Draft {
                tensors: slices.iter().map(|slice| slice.info.clone()).collect(),
                epoch: loaded.plan.cursor(step.saturating_sub(1)).epoch,
                lanes: task.spec.lanes,
                spec: identity(&task.spec),
                dataset: loaded.dataset.manifest().fingerprint.clone(),
                metrics: standing.metrics_of(step),
                extra: standing.to_json(),
            };
            self.drafts.lock().unwrap_or_else(PoisonError::into_inner).insert(step, draft);
        }
        let records = self.audit.take().map(|(first, bytes)| {
            (audit::part_name(self.generation, rank, first), bytes::Bytes::from(bytes))
        });
        let writing = Writing {
            run: self.run.clone(),
            store: self.store.clone(),
            link: task.link.clone(),
            step,
            generation: Generation(self.generation),
            rank,
            world,
            records,
            slices,
        };
        self.in_flight = Some(task.runtime.spawn(writing.run()));
        (self.begun, self.begun_at) = (Some(step), Instant::now());
        Ok(())
    }

    /// Waits for the part in flight.
    fn settle(&mut self, task: &Task) -> Result<(), TaskError> {
        let Some(in_flight) = self.in_flight.take() else { return Ok(()) };
        match task.runtime.block_on(in_flight) {
            Ok(written) => Ok(written?),
            Err(broken) => Err(TaskError::panic(broken.to_string())),
        }
    }

    /// Waits until the last checkpoint is there: this rank's part of it, and for rank 0 the commit.
    pub(super) fn finish(&mut self, task: &Task) -> Result<(), TaskError> {
        self.settle(task)?;
        let Some(begun) = self.begun.filter(|_| task.is_first()) else { return Ok(()) };
        let there = |concluded: &Concluded| matches!(concluded, Some((step, _)) if *step >= begun);
        let ended = task.runtime.block_on(self.concluded.wait_for(there)).map(|concluded| concluded.clone());
        match ended {
            Ok(Some((_, Some(failure)))) => Err(TaskError::of(failure.code, failure.message)),
            Ok(_) => Ok(()),
            Err(_) => Err(TaskError::panic("the committer of checkpoints ended".into())),
        }
    }
}

/// This rank's elements of a tensor.
fn share(tensor: &NamedTensor, rank: usize, world: usize) -> Result<TensorSlice, TaskError> {
    let NamedTensor { name, tensor } = tensor;
    let elements = tensor.numel();
    let dtype = dtype(tensor.kind())
        .ok_or_else(|| TaskError::panic(format!("tensor `{name}` is of a kind that cannot be saved")))?;
    let range = slice_range(elements, rank, world);
    let mut bytes = vec![0u8; range.len() * dtype.size()];
    let mine = tensor.narrow(0, range.start as i64, range.len() as i64);
    mine.f_copy_data_u8(&mut bytes, range.len()).map_err(twinspire_towers::TowersError::from)?;
    let info = TensorInfo { name: name.clone(), dtype, shape: vec![elements] };
    Ok(TensorSlice { info, bytes: bytes.into() })
}

/// One rank's part on its way to storage.
struct Writing {
    run: Location,
    store: CheckpointStore,
    link: Link,
    step: u64,
    generation: Generation,
    rank: usize,
    world: usize,
    records: Option<(String, bytes::Bytes)>,
    slices: Vec<TensorSlice>,
}

impl Writing {
    async fn run(self) -> Result<(), CheckpointError> {
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
                Err(error)
            }
        }
    }

    /// The audit records come first: what a checkpoint commits has been recorded.
    async fn write(&self) -> Result<PartInfo, CheckpointError> {
        let patience = Patience::default();
        if let Some((name, bytes)) = &self.records {
            let put = || async { self.run.put(name, bytes.clone()).await.map_err(CheckpointError::from) };
            patience.retry("write audit records", put).await.0?;
        }
        let what = format!("write the checkpoint of step {}", self.step);
        let part =
            || self.store.write_part(Step(self.step), self.generation, self.rank, self.world, &self.slices);
        patience.retry(&what, part).await.0
    }
}

/// Makes checkpoints visible, on rank 0.
struct Committer {
    store: CheckpointStore,
    generation: Generation,
    link: Link,
    drafts: Drafts,
    conclude: watch::Sender<Concluded>,
}

impl Committer {
    async fn run(self, mut commits: tokio::sync::mpsc::UnboundedReceiver<Commit>) {
        while let Some(Commit { step, parts }) = commits.recv().await {
            let failure = match self.commit(step, &parts).await {
                Ok(()) => {
                    self.link.say(Body::CheckpointCommitted(CheckpointCommitted { step }));
                    self.collect().await;
                    None
                }
                Err(failure) => {
                    let message = failure.message.clone();
                    self.link.say(Body::CheckpointFailed(CheckpointFailed { step, message }));
                    Some(failure)
                }
            };
            self.conclude.send_replace(Some((step, failure)));
        }
    }

    async fn commit(&self, step: u64, parts: &[String]) -> Result<(), TaskFailure> {
        let unusable = |why: String| TaskFailure { code: "TW5206", message: why };
        let parts: Vec<PartInfo> =
            parts.iter().map(|part| serde_json::from_str(part)).collect::<Result<_, _>>().map_err(|why| {
                unusable(format!("a part of the checkpoint of step {step} cannot be read: {why}"))
            })?;
        let draft = {
            let mut drafts = self.drafts.lock().unwrap_or_else(PoisonError::into_inner);
            let later = drafts.split_off(&(step + 1));
            std::mem::replace(&mut *drafts, later).remove(&step)
        };
        let draft =
            draft.ok_or_else(|| unusable(format!("there is no checkpoint of step {step} to commit")))?;
        let manifest = Manifest {
            epoch: draft.epoch,
            spec_fingerprint: draft.spec,
            dataset_fingerprint: draft.dataset,
            lanes: draft.lanes,
            metrics: draft.metrics,
            extra: draft.extra,
            ..Manifest::new(Step(step), self.generation, draft.tensors, parts)
        };
        let what = format!("commit the checkpoint of step {step}");
        let (committed, _) = Patience::default().retry(&what, || self.store.commit(manifest.clone())).await;
        committed.map(|_| ()).map_err(|error| TaskFailure { code: error.code(), message: error.to_string() })
    }

    async fn collect(&self) {
        match self.store.collect().await {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(?gone, "deleted old checkpoints"),
            // What is not deleted now is by the next.
            Err(why) => tracing::warn!(%why, "old checkpoints could not be deleted"),
        }
    }
}
