//! Why a request is refused. Nothing has changed then.

use crate::{JobName, Phase, WorkerName};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is taken.
    #[error(
        "there is a job called {0} already; give this one another name, or `delete {0}` once that one is over"
    )]
    Exists(JobName),
    /// No such job.
    #[error("there is no job called {0}; `list` shows those there are")]
    NoJob(JobName),
    /// No such worker.
    #[error("there is no worker called {0}; `workers` shows those there are")]
    NoWorker(WorkerName),
    /// The job's phase does not allow it.
    #[error("{job} is {phase}: {instead}")]
    WrongPhase {
        /// The job.
        job: JobName,
        /// Its phase.
        phase: Phase,
        /// What can be done instead.
        instead: &'static str,
    },
    /// There are no towers to measure or write yet.
    #[error("{0} has no checkpoint yet; wait for its first one")]
    NoCheckpoint(JobName),
    /// Nobody said that the job may be made to suffer.
    #[error(
        "{0} does not allow that: only a job submitted with `chaos: true` is made to fail on purpose (--set chaos=true)"
    )]
    NoChaos(JobName),
    /// The worker has no part in the job.
    #[error("{worker} does not work for {job} at the moment; `status {job}` shows who does")]
    NotAtIt {
        /// The job.
        job: JobName,
        /// The worker.
        worker: WorkerName,
    },
    /// The pool has as many jobs as it takes.
    #[error(
        "{job} is not taken on: there are {there} jobs that are not over, and this coordinator takes {limit} (--max-jobs); wait for one of them, `cancel` one, or raise the limit"
    )]
    TooManyJobs {
        /// The job.
        job: JobName,
        /// Jobs there are that are not over.
        there: usize,
        /// As many are taken.
        limit: u32,
    },
    /// The job asks for more workers than one may have.
    #[error(
        "{job} asks for up to {asked} workers, and this coordinator gives a job {limit} at most (--max-workers-per-job); submit it with --set workers='{{min: {min}, max: {limit}}}'"
    )]
    TooManyWorkers {
        /// The job.
        job: JobName,
        /// Most workers it asks for.
        asked: u32,
        /// Fewest it could have instead.
        min: u32,
        /// A job may have so many.
        limit: u32,
    },
}

/// Codes and what they mean.
pub const CODES: &[(&str, &str)] = &[
    ("TW5301", "There is a job of that name already."),
    ("TW5302", "There is no job of that name."),
    ("TW5303", "There is no worker of that name."),
    ("TW5304", "The job is in a phase in which that cannot be done."),
    ("TW5305", "The job has no checkpoint to work from yet."),
    ("TW5306", "The coordinator has as many jobs as it takes (`--max-jobs`)."),
    ("TW5307", "The job asks for more workers than the coordinator gives one (`--max-workers-per-job`)."),
    ("TW5308", "The job was not submitted with `chaos: true`, so nothing is made to fail on purpose."),
    ("TW5309", "The worker has no part in the job at the moment."),
];

impl Refusal {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::Exists(_) => "TW5301",
            Refusal::NoJob(_) => "TW5302",
            Refusal::NoWorker(_) => "TW5303",
            Refusal::WrongPhase { .. } => "TW5304",
            Refusal::NoCheckpoint(_) => "TW5305",
            Refusal::TooManyJobs { .. } => "TW5306",
            Refusal::TooManyWorkers { .. } => "TW5307",
            Refusal::NoChaos(_) => "TW5308",
            Refusal::NotAtIt { .. } => "TW5309",
        }
    }
}
