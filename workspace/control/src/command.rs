//! What the core wants done.

use std::{ops::Range, time::Duration};

use crate::{
    Failure, Fault, Generation, Interruption, Job, JobName, Phase, Pool, Progress, Rank, Refusal, Session,
    Stage, Started, TaskResult, Time, Validated, WorkerName,
};

/// Something the shell carries out. Commands are carried out in the order given: what is recorded
/// comes first (invariant F).
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Write down where a job is.
    Record(Box<Job>),
    /// A job is forgotten: remove its record.
    Forget(JobName),
    /// Write down what is known of the pool.
    RecordPool(Pool),
    /// Tell a worker something.
    Send {
        /// On which connection.
        session: Session,
        /// About the task of this generation.
        generation: Generation,
        /// What.
        order: Order,
    },
    /// End a connection: whoever is at its other end does not count any more.
    Dismiss {
        /// Which.
        session: Session,
        /// Why.
        reason: String,
    },
    /// What became of the request that was the event.
    Answer(Result<Answer, Refusal>),
    /// Let people know.
    Tell {
        /// About which job.
        job: JobName,
        /// What.
        notice: Notice,
    },
}

/// A request that was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done, or under way.
    Done,
    /// It was so already.
    Already,
}

/// What a worker is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Do this task. One that the worker has already, by its generation, is no news.
    Assign(Assignment),
    /// You may join this training: get ready for it. It is no task yet.
    GetReady(Assignment),
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
    /// Make a checkpoint visible. Comes again when it may have been missed, even for one that is
    /// visible already: then the worker only says so again.
    CommitCheckpoint {
        /// Its step.
        step: u64,
        /// What each rank wrote, by rank.
        parts: Vec<String>,
    },
    /// The task is given up: end it at once, and say when you are idle.
    Abort,
    /// Suffer a fault.
    Suffer(Fault),
    /// End the process.
    Shutdown,
    /// End the process: another one has its name.
    Replaced,
}

/// A task for one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The job.
    pub job: JobName,
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
    /// Time-out of collectives.
    pub collective_timeout: Duration,
    /// Between two heartbeats.
    pub heartbeat: Duration,
    /// How long it has to let go of the task.
    pub let_go: Duration,
    /// Step of the newest checkpoint known to be visible.
    pub newest_checkpoint: Option<u64>,
    /// For how long what was trained has been in no checkpoint.
    pub unsaved: Duration,
    /// When the job was submitted: tells jobs of one name apart.
    pub submitted: Time,
    /// The stage was asked for when the job was over: what comes of it stands beside the job's own results.
    pub afterwards: bool,
}

/// What people are told about a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The job is in another phase, or in the same for another reason.
    Phase {
        /// Which.
        phase: Phase,
        /// Why.
        reason: String,
    },
    /// Workers are at it.
    Assigned {
        /// What they do.
        stage: Stage,
        /// Their generation.
        generation: Generation,
        /// Who, by rank.
        workers: Vec<WorkerName>,
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
    /// A checkpoint cannot be written for now; it is tried again, and training goes on.
    CheckpointDelayed {
        /// Its step.
        step: u64,
        /// Why.
        message: String,
    },
    /// A checkpoint could not be written; training goes on.
    CheckpointFailed {
        /// Its step.
        step: u64,
        /// Why.
        message: String,
    },
    /// The task is tried again.
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
    /// Somebody has it suffer a fault.
    Injected {
        /// Where, unless it is the coordinator.
        worker: Option<WorkerName>,
        /// Which.
        fault: Fault,
    },
    /// Training goes on: a step is committed again.
    WentOn {
        /// What kept it from going on.
        interruption: Interruption,
        /// How long ago that began.
        after: Duration,
        /// The step.
        step: u64,
    },
    /// A worker is slower than the others, or no more.
    Pace {
        /// Which.
        worker: WorkerName,
        /// Times as long as the others it computes for a lane; none when it keeps pace again.
        factor: Option<f64>,
    },
    /// Workers that may join get ready for it.
    GettingReady {
        /// Which.
        workers: Vec<WorkerName>,
    },
    /// A worker cannot do the job's work; the others train on without it.
    NotReady {
        /// Who, and why.
        failure: Failure,
    },
    /// One that could not is ready now.
    Ready {
        /// Which.
        worker: WorkerName,
    },
    /// Training stops at the next step boundary.
    Stopping {
        /// Why.
        reason: String,
    },
    /// A stage is finished.
    Done(TaskResult),
    /// One more stage is, that was asked for when the job was over.
    AlsoDone(TaskResult),
    /// A message was refused.
    Refused {
        /// Which and why.
        reason: String,
    },
}
