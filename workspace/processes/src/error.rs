use std::{io, path::PathBuf};

/// Codes of this crate and what they mean.
pub const CODES: &[(&str, &str)] = &[
    ("TW5004", "The worker program cannot be started."),
    ("TW5005", "A log or a file of the run cannot be read or written."),
];

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program is missing, or may not be run.
    #[error("{} cannot be started: {source}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file its output goes to.
    #[error("the log {} cannot be written: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ProcessError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ProcessError::Start { .. } => "TW5004",
            ProcessError::Log { .. } => "TW5005",
        }
    }
}
