use twinspire_storage::StorageError;

use crate::ids::{Generation, Step};
use crate::restore::Skipped;

/// Codes of this crate and what they mean, in one line each.
pub const CODES: &[(&str, &str)] = &[
    ("TW3101", "checkpoints are there, but none is whole"),
    ("TW3102", "the checkpoint asked for is not there"),
    ("TW3103", "the checkpoint asked for is damaged"),
    ("TW3104", "a newer generation of the job has written checkpoints: this one may not commit"),
    ("TW3105", "a checkpoint was to be committed that could not be restored"),
];

/// Why a checkpoint could not be written or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields are what the message shows")]
pub enum CheckpointError {
    #[error("none of the checkpoints in {uri} is whole: {}; delete them to start afresh", list(skipped))]
    NoneWhole { uri: String, skipped: Vec<Skipped> },

    #[error("there is no checkpoint of step {step} in {uri}; `coordinator checkpoints` lists those that are")]
    NotThere { uri: String, step: Step },

    #[error("the checkpoint of step {step} in {uri} is damaged: {}; restore another step", list(skipped))]
    Damaged { uri: String, step: Step, skipped: Vec<Skipped> },

    #[error(
        "generation {ours} may not commit step {step} to {uri}: generation {theirs} has written there \
         (step {their_step}); a newer run of this job took over, or another job uses the same place"
    )]
    Fenced { uri: String, step: Step, ours: Generation, theirs: Generation, their_step: Step },

    #[error("the checkpoint of step {step} would not be whole: {reason}")]
    Unsound { step: Step, reason: String },

    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl CheckpointError {
    /// The stable code, an entry of [`CODES`] or of [`twinspire_storage::CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            CheckpointError::NoneWhole { .. } => "TW3101",
            CheckpointError::NotThere { .. } => "TW3102",
            CheckpointError::Damaged { .. } => "TW3103",
            CheckpointError::Fenced { .. } => "TW3104",
            CheckpointError::Unsound { .. } => "TW3105",
            CheckpointError::Storage(error) => error.code(),
        }
    }

    /// Whether the person asking has to ask for something else: there is no such checkpoint, or
    /// none that is whole.
    pub fn is_user_mistake(&self) -> bool {
        match self {
            CheckpointError::NoneWhole { .. }
            | CheckpointError::NotThere { .. }
            | CheckpointError::Damaged { .. } => true,
            CheckpointError::Fenced { .. } | CheckpointError::Unsound { .. } => false,
            CheckpointError::Storage(error) => error.is_user_mistake(),
        }
    }
}

fn list(skipped: &[Skipped]) -> String {
    skipped.iter().map(Skipped::to_string).collect::<Vec<_>>().join("; ")
}
