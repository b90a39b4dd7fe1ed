//! What a job goes through.

use serde::{Deserialize, Serialize};

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Accepted, not begun.
    Pending,
    /// The log is being turned into a dataset.
    Preparing,
    /// The towers are being trained.
    Running,
    /// Retrieval is being measured.
    Evaluating,
    /// Embeddings and weights are being written.
    Exporting,
    /// Everything that was planned is done.
    Succeeded,
    /// It cannot go on.
    Failed,
    /// Somebody stopped it; it can be resumed.
    Stopped,
}

impl Phase {
    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed | Phase::Stopped)
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Phase::Pending => "pending",
            Phase::Preparing => "preparing",
            Phase::Running => "running",
            Phase::Evaluating => "evaluating",
            Phase::Exporting => "exporting",
            Phase::Succeeded => "succeeded",
            Phase::Failed => "failed",
            Phase::Stopped => "stopped",
        })
    }
}

/// One kind of heavy work: a task leased to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Log -> dataset, on one worker.
    Prepare,
    /// Dataset -> towers, on all workers.
    Train,
    /// Towers -> metrics, on all workers.
    Evaluate,
    /// Towers -> embeddings, on one worker.
    Export,
}

impl Stage {
    /// The phase a job is in meanwhile.
    pub fn phase(self) -> Phase {
        match self {
            Stage::Prepare => Phase::Preparing,
            Stage::Train => Phase::Running,
            Stage::Evaluate => Phase::Evaluating,
            Stage::Export => Phase::Exporting,
        }
    }

    /// Workers it takes when the job has `workers`.
    pub fn world(self, workers: u32) -> u32 {
        match self {
            Stage::Prepare | Stage::Export => 1,
            Stage::Train | Stage::Evaluate => workers,
        }
    }
}

/// Held-out rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Those that choose the best checkpoint.
    Validation,
    /// Those that are reported.
    Test,
}
