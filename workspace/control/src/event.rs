//! What the core is told.

use crate::{
    Device, Failure, Fault, Generation, Incarnation, JobName, Request, Session, Split, Stage, Time,
    WorkerName,
};

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Somebody asks for something.
    Asked(Verb),
    /// A worker connected and said who it is.
    Registered(Session, Registration),
    /// A worker says something about the task of a generation.
    Said {
        /// On which connection.
        session: Session,
        /// The generation it speaks of.
        generation: Generation,
        /// What.
        what: FromWorker,
    },
    /// A worker's connection ended.
    Left {
        /// Which connection.
        session: Session,
        /// How, in words.
        why: String,
    },
    /// A worker's process is known to have ended: whoever started it saw it end, and says so before
    /// starting another of that name.
    Ended {
        /// Whose.
        worker: WorkerName,
        /// How, in words.
        why: String,
    },
    /// Time went by. Comes several times a second; when it does not, it is the coordinator that
    /// slept, and nobody else's silence.
    Tick,
}

/// What people ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// Take a job on.
    Submit(Box<Request>),
    /// End it, for good; training writes a checkpoint first.
    Cancel(JobName),
    /// Stop it and keep its place; training writes a checkpoint first.
    Pause(JobName),
    /// Go on with a paused one.
    Resume(JobName),
    /// Try a failed or cancelled one again, from its newest checkpoint.
    Retry(JobName),
    /// Forget one that is over. Its files stay.
    Delete(JobName),
    /// Move it in the queue.
    Prioritise(JobName, i32),
    /// Do one more stage of a job that is over: measure or export another checkpoint.
    Also(JobName, Stage),
    /// Give a worker no more tasks; training goes on without it.
    Drain(WorkerName),
    /// Give a drained worker tasks again.
    Undrain(WorkerName),
    /// Have a job suffer a fault, at one of its workers or, without one, at the coordinator.
    Inject(JobName, Option<WorkerName>, Fault),
}

/// Who a worker is.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// Its name.
    pub name: WorkerName,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// What it computes on.
    pub device: Device,
    /// Host, process, versions: for people.
    pub about: String,
    /// The task it has, begun under this coordinator or another.
    pub running: Option<Membership>,
    /// The training whose state it has in memory.
    pub state: Option<Membership>,
}

/// A worker's part in a generation of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The job.
    pub job: JobName,
    /// The generation.
    pub generation: Generation,
}

/// What a worker says.
///
/// A worker that connects again says again that it is leaving, and what it said about its task:
/// where rank 0 listens, where training began, its checkpoint part of the newest step (not the one
/// written last: an older step's may take longer), the newest visible checkpoint, and what came of
/// it. So every message may come more than once. A task that is finished or failed counts as had
/// until another one is assigned or it is aborted.
#[derive(Clone, Debug, PartialEq)]
pub enum FromWorker {
    /// It is alive.
    Heartbeat,
    /// It was told to end, by the system: it takes no more tasks.
    Leaving,
    /// It has no task any more, whatever became of it.
    Idle,
    /// It is ready for a training that it was asked to get ready for, or could not get so.
    Ready {
        /// Which.
        job: JobName,
        /// When that was submitted.
        submitted: Time,
        /// Why it is not.
        failure: Option<Failure>,
    },
    /// How far the task is.
    Progress(Progress),
    /// Milliseconds it computes for a lane of a step, without what it waits for.
    Pace(f64),
    /// Rank 0 listens for the others.
    RendezvousReady {
        /// Host name or address.
        host: String,
        /// Port.
        port: u32,
    },
    /// Rank 0 knows where training begins.
    Started(Started),
    /// The held-out metrics after a step.
    Validated(Validated),
    /// This rank's part of a checkpoint is written.
    CheckpointPart {
        /// Its step.
        step: u64,
        /// The part's description.
        part: String,
    },
    /// A checkpoint is visible.
    CheckpointCommitted {
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
    /// The task is finished.
    Done(TaskResult),
    /// The task failed.
    Failed(Failure),
}

/// How far a task is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// What is being done, in words.
    pub stage: String,
    /// Units done.
    pub done: u64,
    /// Of so many; 0 = unknown.
    pub total: u64,
    /// What is counted.
    pub unit: String,
    /// Of training only.
    pub training: Option<Training>,
}

/// How training goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Training {
    /// Committed steps.
    pub step: u64,
    /// Epochs, with fraction.
    pub epoch: f64,
    /// Mean loss since the last report.
    pub loss: f64,
    /// Rows (users) trained a second.
    pub rows_per_second: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Where the time went.
    pub spent: Spent,
}

/// Seconds by what they went into, as rank 0 sees it, over all runs of the job.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Computing.
    pub compute: f64,
    /// Waiting for batches.
    pub data: f64,
    /// Meeting the other ranks: moving data, and waiting for the slowest.
    pub communication: f64,
    /// Copying the state for checkpoints.
    pub checkpoint: f64,
    /// Evaluating on validation rows.
    pub evaluation: f64,
    /// From assignments to first steps: meeting, loading, restoring.
    pub starting: f64,
}

/// Where training begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Started {
    /// Steps committed before.
    pub step: u64,
    /// Steps of the whole training.
    pub total_steps: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// When the checkpoint it resumes from was written, milliseconds since 1970.
    pub resumed_unix_ms: Option<u64>,
    /// Newer checkpoints that were damaged and why.
    pub passed_over: Vec<String>,
    /// It goes on from what its workers had in memory.
    pub kept: bool,
}

/// Held-out metrics after a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Validated {
    /// The step.
    pub step: u64,
    /// Its epoch, with fraction.
    pub epoch: f64,
    /// The metric that chooses the best checkpoint.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// None before was better.
    pub best: bool,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskResult {
    /// Of prepare.
    Prepared {
        /// Where the dataset is.
        dataset_uri: String,
        /// Its fingerprint.
        fingerprint: String,
        /// It was there already.
        reused: bool,
        /// What the owner of the data should know.
        warnings: Vec<String>,
    },
    /// Of training.
    Trained {
        /// Committed steps.
        step: u64,
        /// Steps of the whole training.
        total_steps: u64,
        /// It was told to stop.
        stopped: bool,
        /// Why it ended early by itself; empty when it did not.
        ended_early: String,
    },
    /// Of an evaluation.
    Evaluated {
        /// Step of the checkpoint.
        step: u64,
        /// The held-out rows.
        split: Split,
        /// The report as JSON; of rank 0 only.
        report: String,
    },
    /// Of an export.
    Exported {
        /// Step of the checkpoint.
        step: u64,
        /// Files written.
        files: Vec<String>,
    },
}
