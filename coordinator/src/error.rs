//! What can go wrong in the control plane itself.

use std::{io, path::PathBuf};

use thiserror::Error;

/// An error of the control plane.
#[derive(Debug, Error)]
pub enum ControlError {
    /// No port to listen on.
    #[error("cannot listen on 127.0.0.1: {source}; is the loopback interface up?")]
    Listen {
        /// What the system said.
        source: io::Error,
    },
    /// The worker program is missing.
    #[error("cannot start the worker program {}: {source}; it belongs beside the coordinator, build it with `cargo build -p twinspire-worker`", path.display())]
    NoWorkerProgram {
        /// Where it was looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A worker's log cannot be opened.
    #[error("cannot write the log {}: {source}; choose another directory with --set runs=DIR", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the run cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// `read`, `write`, `remove`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Signals cannot be handled.
    #[error("cannot listen for Ctrl-C: {source}")]
    Signals {
        /// What the system said.
        source: io::Error,
    },
    /// Another coordinator has the job.
    #[error("{job} is being run by another coordinator on this machine ({why}); wait for it, or stop it")]
    Busy {
        /// The job.
        job: String,
        /// What the store said.
        why: String,
    },
    /// The state store failed.
    #[error("the state of {job} cannot be kept in {}: {source}", path.display())]
    Store {
        /// The job.
        job: String,
        /// The store's file.
        path: PathBuf,
        /// What the store said.
        source: twinspire_store::StoreError,
    },
    /// What is stored is not what this version writes.
    #[error("{} cannot be read as {what}: {why}; start over with --fresh", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// Why it is not.
        why: String,
    },
    /// No such job here.
    #[error(
        "there is no job called {job} under {runs}{known}; name its directory of runs with --runs, or give its job file"
    )]
    NoJob {
        /// The name asked for.
        job: String,
        /// Where it was looked for.
        runs: String,
        /// Those there are, in words.
        known: String,
    },
    /// A change that would not be a resume.
    #[error(
        "{job} cannot go on where it was, because the job file has changed:\n{conflicts}\nput these back, give the job another name, or start over with --fresh"
    )]
    Changed {
        /// The job.
        job: String,
        /// One line a field.
        conflicts: String,
    },
    /// More workers than lanes.
    #[error(
        "{workers} workers cannot share {lanes} lanes: each needs one at least; ask for at most {lanes}, or start over (--fresh) with --set lanes={workers}"
    )]
    TooManyWorkers {
        /// Asked for.
        workers: u32,
        /// There are.
        lanes: u32,
    },
}

/// Codes and what they mean.
pub const CODES: &[(&str, &str)] = &[
    (
        "TW5001",
        "A worker process died, froze or was cut off, more often than the job was willing to start it again.",
    ),
    ("TW5002", "Worker processes started but did not register in time."),
    ("TW5003", "The coordinator cannot listen on the loopback interface."),
    ("TW5004", "The worker program cannot be started."),
    ("TW5005", "A log or a file of the run cannot be read or written."),
    ("TW5006", "Signals cannot be handled."),
    ("TW5007", "Another coordinator is running this job."),
    ("TW5008", "The job's state cannot be kept or read."),
    ("TW5009", "There is no job of that name here."),
    ("TW5010", "The job file has changed in a way that cannot be resumed."),
    ("TW5011", "More workers were asked for than the job has lanes."),
];

impl ControlError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ControlError::Listen { .. } => "TW5003",
            ControlError::NoWorkerProgram { .. } => "TW5004",
            ControlError::Log { .. } | ControlError::File { .. } => "TW5005",
            ControlError::Signals { .. } => "TW5006",
            ControlError::Busy { .. } => "TW5007",
            ControlError::Store { .. } | ControlError::Unreadable { .. } => "TW5008",
            ControlError::NoJob { .. } => "TW5009",
            ControlError::Changed { .. } => "TW5010",
            ControlError::TooManyWorkers { .. } => "TW5011",
        }
    }

    /// Whether the person asking made a mistake, rather than the machine.
    pub fn is_user_mistake(&self) -> bool {
        matches!(
            self,
            ControlError::NoJob { .. } | ControlError::Changed { .. } | ControlError::TooManyWorkers { .. }
        )
    }
}
