//! What can go wrong in the control plane itself.

use std::{io, path::PathBuf};

use thiserror::Error;

/// An error of the control plane.
#[derive(Debug, Error)]
pub enum ControlError {
    /// No port to listen on.
    #[error("cannot listen on {address}: {source}; give another address, or stop who listens there")]
    Listen {
        /// Where.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Worker processes cannot be started.
    #[error(transparent)]
    Processes(#[from] twinspire_processes::ProcessError),
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
    /// The metadata store failed.
    #[error(transparent)]
    Store(#[from] twinspire_store::StoreError),
    /// Somebody else wrote where only the leader does.
    #[error("{key} was changed by another coordinator, which leads now: this one stops")]
    Superseded {
        /// The key.
        key: String,
    },
    /// What is stored is not what this version writes.
    #[error(
        "the record {key} cannot be read: {why}; was it written by another version? bring that back, or start over (--fresh)"
    )]
    BadRecord {
        /// Its key.
        key: String,
        /// Why not.
        why: String,
    },
    /// A worker's report is not what this version reads.
    #[error("a worker's evaluation report cannot be read: {why}")]
    BadReport {
        /// Why not.
        why: String,
    },
    /// The coordinator is ending.
    #[error("the coordinator is stopping; ask again")]
    Stopped,
    /// A request that is refused.
    #[error(transparent)]
    Refused(#[from] twinspire_control::Refusal),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] twinspire_storage::StorageError),
    /// Checkpoints cannot be listed.
    #[error(transparent)]
    Checkpoints(#[from] twinspire_checkpoint::CheckpointError),
    /// A job that is submitted is wrong.
    #[error("{report}")]
    BadJob {
        /// Every problem, with its field.
        report: String,
    },
    /// A path that means something else on every machine.
    #[error(
        "{field}: `{uri}` is relative, and workers may be on other machines: write an absolute path that all of them share, or s3://BUCKET/…"
    )]
    Relative {
        /// The field of the job.
        field: &'static str,
        /// What it says.
        uri: String,
    },
    /// No coordinator where one should be.
    #[error(
        "no coordinator answers at {addresses}: {why}; start one with `coordinator serve`, or name it with --coordinator URL or TWINSPIRE_COORDINATOR"
    )]
    Unreachable {
        /// Where it was looked for.
        addresses: String,
        /// What the last of them said.
        why: String,
    },
    /// A local run that is over has no coordinator any more.
    #[error(
        "the local run of {job} in {runs} is over, and no coordinator answers: `events`, `checkpoints`, `audit`, \
         `evaluate` and `export` read what it left, and its logs are in {runs}/{job}/logs; if a coordinator has the job, name it with --coordinator URL"
    )]
    Over {
        /// The job.
        job: String,
        /// Its directory of runs.
        runs: String,
    },
    /// A coordinator said no.
    #[error("{message}")]
    Answered {
        /// Stable code of what it said.
        code: &'static str,
        /// Whether asking differently would help.
        mistake: bool,
        /// What it said.
        message: String,
    },
    /// No such job here.
    #[error(
        "there is no job called {job} under {runs}{known}; name its directory of runs with --runs, give its job file, or name the coordinator that has it with --coordinator"
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
    /// An option that only makes sense for a job of this machine.
    #[error(
        "{option} does not go with a job of a coordinator, which runs as it was submitted; leave it out, or leave --coordinator (and TWINSPIRE_COORDINATOR) out to work on this machine"
    )]
    NotOfService {
        /// The option.
        option: &'static str,
    },
    /// A job that does not train any more is to be made to fail.
    #[error("nothing was made to fail: {why}; do it while the job trains")]
    NothingToStrike {
        /// Where the job is.
        why: String,
    },
    /// A coordinator that nobody would start again.
    #[error(
        "a local run has one coordinator, which nobody starts again: leave kill-coordinator out, or try it with a job of `coordinator serve`"
    )]
    OnlyCoordinator,
    /// A service did what was asked for, and what came of it is not to be had.
    #[error("{job}: {what} is done, but the coordinator that knows what came of it has changed; ask again")]
    LostResult {
        /// The job.
        job: String,
        /// What was asked for.
        what: &'static str,
    },
    /// A live view without a terminal.
    #[error(
        "`watch` draws on a terminal, and {what} is none; use `coordinator status JOB -w` or `coordinator list -w`"
    )]
    NoTerminal {
        /// Standard input or output.
        what: &'static str,
    },
    /// The terminal cannot be drawn on.
    #[error("the terminal cannot be used: {source}; use `coordinator status JOB -w` instead")]
    Terminal {
        /// What the system said.
        source: io::Error,
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
    ("TW5002", "Worker processes of a local run did not register in time, or none of them can do its work."),
    ("TW5003", "The coordinator cannot listen on the address it was given."),
    ("TW5005", "A log or a file of the run cannot be read or written."),
    ("TW5006", "Signals cannot be handled."),
    ("TW5007", "Another coordinator is running this job."),
    ("TW5008", "The job's state cannot be kept or read."),
    ("TW5009", "There is no job of that name here."),
    ("TW5010", "The job file has changed in a way that cannot be resumed."),
    ("TW5011", "More workers were asked for than the job has lanes."),
    ("TW5012", "A worker's evaluation report cannot be read."),
    ("TW5013", "The coordinator is stopping, or another one leads now."),
    ("TW5014", "A job that was submitted is wrong."),
    (
        "TW5015",
        "A job that was submitted names a relative path, which workers on other machines cannot find.",
    ),
    ("TW5016", "No coordinator answers."),
    ("TW5017", "The coordinator answered with an error that has no code."),
    ("TW5018", "An option that does not go with a job of a coordinator."),
    (
        "TW5019",
        "What a coordinator was asked for is done, and the result is not to be had from the present one.",
    ),
    ("TW5020", "A live view was asked for where there is no terminal, or none that can be used."),
    ("TW5021", "A local run has one coordinator: it is not killed on purpose."),
    ("TW5022", "A job that does not train any more is to be made to fail."),
];

impl ControlError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ControlError::Listen { .. } => "TW5003",
            ControlError::Processes(error) => error.code(),
            ControlError::File { .. } => "TW5005",
            ControlError::Signals { .. } => "TW5006",
            ControlError::Busy { .. } => "TW5007",
            ControlError::BadRecord { .. } => "TW5008",
            ControlError::Store(error) => error.code(),
            ControlError::Superseded { .. } | ControlError::Stopped => "TW5013",
            ControlError::BadReport { .. } => "TW5012",
            ControlError::Refused(refusal) => refusal.code(),
            ControlError::Storage(error) => error.code(),
            ControlError::Checkpoints(error) => error.code(),
            ControlError::BadJob { .. } => "TW5014",
            ControlError::Relative { .. } => "TW5015",
            ControlError::Unreachable { .. } | ControlError::Over { .. } => "TW5016",
            ControlError::Answered { code, .. } => code,
            ControlError::NoJob { .. } => "TW5009",
            ControlError::Changed { .. } => "TW5010",
            ControlError::TooManyWorkers { .. } => "TW5011",
            ControlError::NotOfService { .. } => "TW5018",
            ControlError::LostResult { .. } => "TW5019",
            ControlError::OnlyCoordinator => "TW5021",
            ControlError::NothingToStrike { .. } => "TW5022",
            ControlError::NoTerminal { .. } | ControlError::Terminal { .. } => "TW5020",
        }
    }

    /// Whether the person asking made a mistake, rather than the machine.
    pub fn is_user_mistake(&self) -> bool {
        match self {
            ControlError::NoJob { .. }
            | ControlError::Changed { .. }
            | ControlError::TooManyWorkers { .. }
            | ControlError::Refused(_)
            | ControlError::BadJob { .. }
            | ControlError::NotOfService { .. }
            | ControlError::OnlyCoordinator
            | ControlError::NothingToStrike { .. }
            | ControlError::NoTerminal { .. }
            | ControlError::Relative { .. } => true,
            ControlError::Storage(error) => error.is_user_mistake(),
            ControlError::Checkpoints(error) => error.is_user_mistake(),
            ControlError::Answered { mistake, .. } => *mistake,
            _ => false,
        }
    }

    /// The gRPC status it is answered with.
    pub(crate) fn grpc_code(&self) -> tonic::Code {
        use twinspire_control::Refusal;
        match self {
            ControlError::Refused(Refusal::Exists(_)) => tonic::Code::AlreadyExists,
            ControlError::Refused(Refusal::NoJob(_) | Refusal::NoWorker(_)) => tonic::Code::NotFound,
            ControlError::Refused(_) => tonic::Code::FailedPrecondition,
            ControlError::BadJob { .. } | ControlError::Relative { .. } => tonic::Code::InvalidArgument,
            ControlError::Stopped | ControlError::Superseded { .. } => tonic::Code::Unavailable,
            error if error.is_user_mistake() => tonic::Code::FailedPrecondition,
            _ => tonic::Code::Internal,
        }
    }
}
