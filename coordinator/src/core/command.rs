//! What the core wants done.

use std::{ops::Range, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Failure, Generation, Launch, Phase, Progress, Rank, Split, Stage, Started, Validated, WorkerId};

/// Something the shell carries out. Commands are carried out in the order given.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// End all worker processes there are, and start `count` new ones after a pause.
    Launch {
        /// Number of this start.
        launch: Launch,
        /// Processes to start.
        count: u32,
        /// Pause before.
        after: Duration,
    },
    /// Tell a worker something.
    Send {
        /// Whom.
        worker: WorkerId,
        /// About the task of this generation.
        generation: Generation,
        /// What.
        order: Order,
    },
    /// Write down where the job is, before going on.
    Record(Record),
    /// Let people know.
    Tell(Notice),
    /// The job is over: end the workers.
    Finish(Outcome),
}

/// What a worker is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Do this task.
    Assign(Assignment),
    /// Rank 0 listens there.
    Rendezvous {
        /// Host name or address.
        host: String,
        /// Port.
        port: u32,
    },
    /// Finish the step in flight and end the task.
    StopAfterStep {
        /// Write a checkpoint first.
        checkpoint: bool,
    },
    /// Make a checkpoint visible.
    CommitCheckpoint {
        /// Its step.
        step: u64,
        /// What each rank wrote, by rank.
        parts: Vec<String>,
    },
}

/// A task for one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// What kind of work.
    pub stage: Stage,
    /// Place of the worker.
    pub rank: Rank,
    /// Number of workers.
    pub world: u32,
    /// Lanes it holds.
    pub lanes: Range<u32>,
    /// The dataset; empty for `prepare`.
    pub dataset_uri: String,
    /// Step of the checkpoint to use; `None` = the best.
    pub checkpoint_step: Option<u64>,
    /// Held-out rows to evaluate on.
    pub split: Split,
    /// Time-out of collectives.
    pub collective_timeout: Duration,
}

/// What is kept of a job in the state store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Where the job is.
    pub phase: Phase,
    /// Why it is there.
    pub reason: String,
    /// The newest generation there ever was.
    pub generation: Generation,
    /// Step of the newest checkpoint known to be visible.
    pub checkpoint: Option<u64>,
    /// The dataset, once prepared.
    pub dataset_uri: Option<String>,
    /// Why it failed, when it did.
    pub failure: Option<Failure>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything planned is done.
    Succeeded,
    /// It cannot go on.
    Failed(Failure),
    /// It was stopped and can be resumed.
    Stopped {
        /// What there is to resume from, in words.
        reason: String,
    },
}

/// What people are told.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The job is in another phase.
    Phase {
        /// Which.
        phase: Phase,
        /// Why.
        reason: String,
    },
    /// How far the task is.
    Progress(Progress),
    /// Training begins.
    Started(Started),
    /// Retrieval was measured on held-out rows.
    Validated(Validated),
    /// A checkpoint is visible.
    Committed {
        /// Its step.
        step: u64,
    },
    /// A checkpoint could not be written; training goes on.
    CheckpointFailed {
        /// Its step.
        step: u64,
        /// Why.
        message: String,
    },
    /// The workers are started again.
    Retrying {
        /// Why.
        failure: Failure,
        /// How often that happened since the job last got further, this time included.
        retry: u32,
        /// How often it may.
        of: u32,
        /// Pause before.
        after: Duration,
    },
    /// Somebody asked for a stop, and it is under way.
    Stopping {
        /// What happens first.
        reason: String,
    },
    /// A stage is finished.
    Done(super::TaskResult),
    /// A message was refused.
    Refused {
        /// Which and why.
        reason: String,
    },
}
