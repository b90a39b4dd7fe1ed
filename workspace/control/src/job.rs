//! A job, from request to result.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    Attempt, DeviceWish, Failure, Generation, JobName, Phase, Stage, Time, Timeouts, WorkerName,
    fitness::Unfit, stragglers::Stragglers,
};

/// What somebody asks for by submitting a job, as far as it matters to decisions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The job's name.
    pub name: JobName,
    /// Submitting the same name and key again is the same request.
    pub key: String,
    /// Higher ones go first.
    pub priority: i32,
    /// Virtual workers.
    pub lanes: u32,
    /// Fewest workers it trains with.
    pub min_workers: u32,
    /// Most workers it trains with.
    pub max_workers: u32,
    /// What it computes on.
    pub device: DeviceWish,
    /// What to do, in order.
    pub plan: Vec<Stage>,
    /// The newest generation that anything of this name has had.
    pub generation: Generation,
    /// Step of the newest checkpoint there is already.
    pub checkpoint: Option<u64>,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// Its workers may be made to fail on purpose.
    #[serde(default)]
    pub chaos: bool,
    /// What is done about workers that are slower than the others.
    #[serde(default)]
    pub stragglers: Stragglers,
}

/// What keeps training from going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interruption {
    /// Something failed.
    Fault,
    /// Its company changes: workers join, or leave in good order.
    Change,
}

/// What whoever has the say over a job wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Get on with it.
    Run,
    /// Stop, and keep what there is.
    Pause,
    /// Stop for good.
    Cancel,
}

/// A job. What is serialised is its record in the state store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What was asked for.
    pub request: Request,
    /// Its place in the queue, among those of its priority.
    pub sequence: u64,
    /// When it was submitted.
    pub submitted: Time,
    /// What is wanted of it now.
    pub wish: Wish,
    /// Where it is.
    pub phase: Phase,
    /// Why it is there.
    pub reason: String,
    /// Since when it has been in this phase.
    pub since: Time,
    /// Stages to come, the present one included.
    pub remaining: VecDeque<Stage>,
    /// The newest generation there ever was.
    pub generation: Generation,
    /// The newest one when it was submitted: older ones are of another job of its name.
    #[serde(default)]
    pub born: Generation,
    /// The dataset, once prepared.
    pub dataset_uri: Option<String>,
    /// Step of the newest checkpoint known to be visible.
    pub checkpoint: Option<u64>,
    /// Step of the newest one that was decided to be made visible. Recorded before rank 0 is told, by compare-and-swap:
    /// a coordinator that does not lead any more has nothing committed.
    #[serde(default)]
    pub committing: Option<u64>,
    /// When the newest checkpoint became visible, or training went on from one or began.
    #[serde(default)]
    pub saved: Option<Time>,
    /// Why it failed, when it did.
    pub failure: Option<Failure>,
    /// The most steps that training has gone on after from what workers had in memory.
    #[serde(default)]
    pub reached: u64,
    /// Training has begun once since it was submitted: what it takes is there.
    #[serde(default)]
    pub has_trained: bool,
    /// Tries since it last got further.
    pub retries: u32,
    /// The task under way.
    pub attempt: Option<Attempt>,
    /// Training was under way and is not any more: why, and since when.
    #[serde(default)]
    pub interrupted: Option<(Interruption, Time)>,
    /// Workers that are left out for now.
    #[serde(skip)]
    pub unfit: BTreeMap<WorkerName, Unfit>,
    /// Not to be tried again before then.
    #[serde(skip)]
    pub not_before: Option<Time>,
    /// The phase of a job that was over, to which it returns after one more stage.
    pub returns_to: Option<Phase>,
}

impl Job {
    pub(crate) fn new(request: Request, sequence: u64, newest: Generation, now: Time) -> Job {
        Job {
            sequence,
            submitted: now,
            wish: Wish::Run,
            phase: Phase::Pending,
            reason: "submitted".into(),
            since: now,
            remaining: request.plan.iter().copied().collect(),
            generation: request.generation,
            born: newest,
            dataset_uri: None,
            checkpoint: request.checkpoint,
            committing: None,
            saved: None,
            failure: None,
            reached: 0,
            has_trained: false,
            retries: 0,
            attempt: None,
            interrupted: None,
            unfit: BTreeMap::new(),
            not_before: None,
            returns_to: None,
            request,
        }
    }

    /// Its name.
    pub fn name(&self) -> &JobName {
        &self.request.name
    }

    /// The stage it waits for workers for, at this time.
    pub(crate) fn waits_for(&self, now: Time) -> Option<Stage> {
        let waits = self.phase == Phase::Pending
            && self.wish == Wish::Run
            && self.attempt.is_none()
            && self.not_before.is_none_or(|then| then <= now);
        self.remaining.front().copied().filter(|_| waits)
    }

    /// Whether it waits, or will, to train on from what its workers have in memory.
    pub(crate) fn goes_on_from_memory(&self) -> bool {
        let trains = self.remaining.front() == Some(&Stage::Train);
        trains && self.interrupted.is_some() && self.phase == Phase::Pending && self.wish == Wish::Run
    }

    /// Whether its stage was asked for when the job was over: of a coordinator that has the job, or as
    /// a plan of its own, about a job that was trained before.
    pub(crate) fn is_afterwards(&self) -> bool {
        self.returns_to.is_some() || !self.request.plan.contains(&Stage::Train)
    }

    /// Fewest and most workers it takes for a stage.
    pub(crate) fn workers(&self, stage: Stage) -> (u32, u32) {
        let Request { min_workers, max_workers, .. } = self.request;
        stage.workers(min_workers, max_workers)
    }

    /// Where it stands in the queue: smaller goes first.
    pub fn rank(&self) -> (std::cmp::Reverse<i32>, u64) {
        (std::cmp::Reverse(self.request.priority), self.sequence)
    }
}
