//! Checkpoints of a running training, in the background.
//!
//! ```text
//! every rank    copy of its share of the state ─► audit records, then its part ─► "part written"
//! coordinator   all ranks wrote theirs ─► "commit" to rank 0
//! rank 0        manifest ─► "committed" ─► what retention does not keep is deleted
//! ```
//!
//! Training waits for the copy only, and a little for the part before, should that still be under
//! way: once, and not when storage has refused it already. When a checkpoint cannot be written, or
//! the coordinator is away and cannot have it committed, training goes on, loudly; only the last one
//! of a task must succeed, and for the coordinator it waits as long as that is away.

mod commit;
mod part;
mod pending;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use tokio_util::task::AbortOnDropHandle;
use twinspire_checkpoint::{
    CheckpointError, CheckpointStore, Generation, TensorInfo, TensorSlice, slice_range,
};
use twinspire_dataset::{LaneBatch, audit};
use twinspire_proto::v1::{CheckpointFailed, worker_message::Body};
use twinspire_storage::Location;
use twinspire_towers::NamedTensor;

use self::{
    commit::{Commits, Draft},
    part::{Records, Unwritten, Writing},
};
use super::{ledger::Ledger, standing::Standing};
use crate::{
    model::{Loaded, dtype, identity},
    task::{Control, Task, TaskError},
};

/// Writes the checkpoints of this rank, and commits those of all ranks if it is the first.
pub(super) struct Checkpoints {
    run: Location,
    store: CheckpointStore,
    generation: u64,
    every: Duration,
    /// Training waits no longer than this for the part before: the other ranks wait meanwhile, in
    /// a collective that has a time-out.
    stall: Duration,
    audit: audit::AuditPart,
    /// Of parts that could not be written: the next one writes them.
    unrecorded: Vec<Records>,
    in_flight: Option<InFlight>,
    /// The newest that was begun.
    begun: Option<u64>,
    /// Since when time is counted until the next is due, and how much had gone by then.
    clock: Instant,
    ahead: Duration,
    /// Of rank 0.
    commits: Option<Arc<Commits>>,
}

struct InFlight {
    step: u64,
    /// Storage has refused it, or training has waited for it in vain.
    late: Arc<AtomicBool>,
    writing: AbortOnDropHandle<Result<(), Unwritten>>,
}

/// What became of the part in flight.
enum Settled {
    Written,
    Failed(CheckpointError),
    /// The part of this step is still being written.
    UnderWay(u64),
}

impl Checkpoints {
    /// What is trained has been in no checkpoint for `unsaved` already.
    pub(super) fn start(task: &Task, loaded: &Loaded, unsaved: Duration) -> Result<Checkpoints, TaskError> {
        let mut commits = None;
        if let (true, Some(orders)) = (task.is_first(), task.orders.take_commits()) {
            let generation = Generation(task.generation);
            let all = Arc::new(Commits::new(loaded.checkpoints.clone(), generation, task.link.clone()));
            // It outlives a task that fails: a peer that dies must not cost a checkpoint all of which
            // is written.
            task.runtime.spawn(Arc::clone(&all).run(orders, task.orders.token()));
            commits = Some(all);
        }
        Ok(Checkpoints {
            run: Location::parse(&task.places.run)?,
            store: loaded.checkpoints.clone(),
            generation: task.generation,
            every: task.spec.checkpoint.every.0,
            stall: Duration::from_millis(task.assign.collective_timeout_ms) / 4,
            audit: audit::AuditPart::default(),
            unrecorded: Vec::new(),
            in_flight: None,
            begun: None,
            clock: Instant::now(),
            ahead: unsaved,
            commits,
        })
    }

    /// Takes note of rows that were trained.
    pub(super) fn trained(&mut self, batches: &[LaneBatch]) {
        for batch in batches {
            self.audit.push(&audit::AuditRecord::of(batch, self.generation));
        }
    }

    /// Step of the newest checkpoint that is known to be visible; rank 0 knows.
    pub(super) fn visible(&self) -> u64 {
        self.commits.as_ref().map_or(0, |commits| commits.visible())
    }

    /// Rank 0 wishes for a checkpoint when it is time for one and the one before is committed, or
    /// there is nobody to say that it may be.
    pub(super) fn wish(&self, task: &Task) -> Control {
        let Some(commits) = &self.commits else { return Control::GO_ON };
        let due = self.every > Duration::ZERO && self.clock.elapsed() + self.ahead >= self.every;
        let concluded = self.begun.is_none_or(|begun| commits.is_concluded(begun));
        if due && (concluded || !task.link.is_connected()) { Control::CHECKPOINT } else { Control::GO_ON }
    }

    /// Copies this rank's share of the state and writes it in the background. The last one of a
    /// task waits for the part before as long as that takes; another is left out when that takes
    /// too long.
    pub(super) fn begin(
        &mut self,
        task: &Task,
        loaded: &Loaded,
        standing: &Standing,
        ledger: &Ledger,
        is_last: bool,
    ) -> Result<(), TaskError> {
        let step = loaded.trainer.step_number();
        (self.clock, self.ahead) = (Instant::now(), Duration::ZERO);
        if let Settled::UnderWay(before) = self.settle(task, (!is_last).then_some(self.stall))? {
            let message =
                format!("worker {} is still writing its part of that of step {before}", task.assign.rank);
            tracing::warn!(step, "no checkpoint: {message}");
            task.link.say(Body::CheckpointFailed(CheckpointFailed { step, message }));
            return Ok(());
        }
        let (rank, world) = (task.assign.rank as usize, task.assign.world as usize);
        let state = loaded.trainer.state();
        let slices = state.iter().map(|tensor| share(tensor, rank, world)).collect::<Result<Vec<_>, _>>()?;
        drop(state);
        if let Some(commits) = &self.commits {
            let draft = Draft {
                tensors: slices.iter().map(|slice| slice.info.clone()).collect(),
                epoch: loaded.plan.cursor(step.saturating_sub(1)).epoch,
                lanes: task.spec.lanes,
                spec: identity(&task.spec),
                dataset: loaded.dataset.manifest().fingerprint.clone(),
                metrics: standing.metrics_of(step),
                extra: standing.to_json(),
            };
            commits.begin(step, draft);
        }
        let mut records = std::mem::take(&mut self.unrecorded);
        records.extend(self.audit.take().map(|(first, bytes)| Records {
            name: audit::part_name(self.generation, rank, first),
            bytes: bytes.into(),
        }));
        let witnesses = if task.is_first() { ledger.before(self.generation) } else { Vec::new() };
        if !witnesses.is_empty() {
            let name = audit::witness_name(self.generation, step);
            records.push(Records { name, bytes: audit::encode_witnesses(&witnesses).into() });
        }
        let late = Arc::new(AtomicBool::new(false));
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
            late: Arc::clone(&late),
        };
        let writing = AbortOnDropHandle::new(task.runtime.spawn(writing.run()));
        self.in_flight = Some(InFlight { step, late, writing });
        self.begun = Some(step);
        Ok(())
    }

    /// Waits for the part in flight, or only so long. Its failure was told; the next may succeed.
    fn settle(&mut self, task: &Task, within: Option<Duration>) -> Result<Settled, TaskError> {
        let Some(mut in_flight) = self.in_flight.take() else { return Ok(Settled::Written) };
        let ended = task.block_on(async {
            match within {
                None => Some((&mut in_flight.writing).await),
                Some(within) => {
                    let within = if in_flight.late.load(Relaxed) { Duration::ZERO } else { within };
                    tokio::time::timeout(within, &mut in_flight.writing).await.ok()
                }
            }
        })?;
        match ended {
            Some(Ok(Ok(()))) => Ok(Settled::Written),
            Some(Ok(Err(Unwritten { error, records }))) => {
                self.unrecorded = records;
                Ok(Settled::Failed(error))
            }
            Some(Err(broken)) => Err(TaskError::panic(broken.to_string())),
            None => {
                let step = in_flight.step;
                in_flight.late.store(true, Relaxed);
                self.in_flight = Some(in_flight);
                Ok(Settled::UnderWay(step))
            }
        }
    }

    /// Waits until the last checkpoint is there: this rank's part of it, and for rank 0 the commit.
    pub(super) fn finish(&mut self, task: &Task) -> Result<(), TaskError> {
        if let Settled::Failed(error) = self.settle(task, None)? {
            return Err(error.into());
        }
        match (self.begun, &self.commits) {
            (Some(begun), Some(commits)) => task.block_on(commits.conclusion(begun))?,
            _ => Ok(()),
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
