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
}

/// Codes and what they mean.
pub const CODES: &[(&str, &str)] = &[
    ("TW5301", "There is a job of that name already."),
    ("TW5302", "There is no job of that name."),
    ("TW5303", "There is no worker of that name."),
    ("TW5304", "The job is in a phase in which that cannot be done."),
    ("TW5305", "The job has no checkpoint to work from yet."),
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
        }
    }
}
