//! What can go wrong while generating.

use std::path::PathBuf;

/// Why a log could not be generated.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A number of the spec is out of its range.
    #[error("{field}: {value} {why}")]
    Spec {
        /// Field of [`crate::GenerateSpec`].
        field: &'static str,
        /// Its value.
        value: u64,
        /// What it must be.
        why: String,
    },
    /// The directory holds files that were not generated here.
    #[error("{}: not empty, and not made by `generate`: nothing was touched. Choose an empty directory", dir.display())]
    InTheWay {
        /// The directory.
        dir: PathBuf,
    },
    /// A file could not be written.
    #[error("{}: {why}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A thread ended without a result.
    #[error("a generator thread ended without a result; this is a fault of Twinspire, please report it")]
    Thread,
}

/// Codes of this crate and what they mean.
pub const CODES: &[(&str, &str)] = &[
    ("TW2090", "a number given to `generate` is out of range"),
    ("TW2091", "the directory given to `generate` holds other files"),
    ("TW2092", "`generate` could not write a file"),
    ("TW2093", "a generator thread ended without a result"),
];

impl GenerateError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            GenerateError::Spec { .. } => "TW2090",
            GenerateError::InTheWay { .. } => "TW2091",
            GenerateError::Write { .. } => "TW2092",
            GenerateError::Thread => "TW2093",
        }
    }

    /// Whether the person asking made a mistake, rather than the machine.
    pub fn is_user_mistake(&self) -> bool {
        matches!(self, GenerateError::Spec { .. } | GenerateError::InTheWay { .. })
    }

    pub(crate) fn write(path: impl Into<PathBuf>, why: impl std::fmt::Display) -> Self {
        GenerateError::Write { path: path.into(), why: why.to_string() }
    }
}
