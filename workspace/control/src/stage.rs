//! What a job goes through, and what it runs on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The one list of phases: the type, all its values, and their names.
macro_rules! phases {
    ($($(#[$doc:meta])* $phase:ident = $name:literal,)*) => {
        /// Where a job is in its life.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Phase {
            $($(#[$doc])* #[serde(rename = $name)] $phase,)*
        }

        impl Phase {
            /// All there are.
            pub const ALL: &[Phase] = &[$(Phase::$phase),*];

            /// What people call it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Phase::$phase => $name,)*
                }
            }
        }
    };
}

phases! {
    /// In the queue.
    Pending = "pending",
    /// The log is being turned into a dataset.
    Preparing = "preparing",
    /// The towers are being trained.
    Running = "running",
    /// Retrieval is being measured.
    Evaluating = "evaluating",
    /// Embeddings and weights are being written.
    Exporting = "exporting",
    /// Somebody paused it; `resume` goes on.
    Paused = "paused",
    /// Everything that was planned is done.
    Succeeded = "succeeded",
    /// It cannot go on; `retry` tries again.
    Failed = "failed",
    /// Somebody cancelled it; `retry` goes on.
    Cancelled = "cancelled",
}

impl Phase {
    /// Whether nothing follows unless somebody asks for it.
    pub fn is_final(self) -> bool {
        matches!(self, Phase::Succeeded | Phase::Failed | Phase::Cancelled)
    }

    /// Whether workers are at it.
    pub fn is_active(self) -> bool {
        matches!(self, Phase::Preparing | Phase::Running | Phase::Evaluating | Phase::Exporting)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One kind of heavy work: a task leased to workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Log -> dataset, on one worker.
    Prepare,
    /// Dataset -> towers, on all workers the job may have.
    Train,
    /// Towers -> metrics, on as many as there are.
    Evaluate {
        /// The held-out rows.
        split: Split,
        /// Step of the checkpoint; `None` = the best.
        step: Option<u64>,
    },
    /// Towers -> embeddings and weights, on one worker.
    Export {
        /// Step of the checkpoint; `None` = the best.
        step: Option<u64>,
    },
}

impl Stage {
    /// The phase a job is in meanwhile.
    pub fn phase(self) -> Phase {
        match self {
            Stage::Prepare => Phase::Preparing,
            Stage::Train => Phase::Running,
            Stage::Evaluate { .. } => Phase::Evaluating,
            Stage::Export { .. } => Phase::Exporting,
        }
    }

    /// Fewest and most workers it takes, when training takes `min` to `max`. One at least.
    pub fn workers(self, min: u32, max: u32) -> (u32, u32) {
        let min = min.max(1);
        let max = max.max(min);
        match self {
            Stage::Prepare | Stage::Export { .. } => (1, 1),
            Stage::Train => (min, max),
            Stage::Evaluate { .. } => (1, max),
        }
    }

    /// Whether it can be stopped at a step boundary and go on later from a checkpoint. The others
    /// leave nothing half-done, and begin again.
    pub fn has_checkpoints(self) -> bool {
        self == Stage::Train
    }
}

/// Held-out rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Those that choose the best checkpoint.
    Validation,
    /// Those that are reported.
    Test,
}

/// What a worker computes on. An attempt's workers are all of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// Processor cores.
    Cpu,
    /// A CUDA device.
    Cuda,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Device::Cpu => "cpu",
            Device::Cuda => "cuda",
        })
    }
}

/// What a job wants to compute on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceWish {
    /// Processor cores only.
    Cpu,
    /// CUDA devices only.
    Cuda,
    /// CUDA devices if enough are free, else processor cores.
    #[default]
    Auto,
}

impl DeviceWish {
    /// The kinds of workers that will do, the preferred one first. A machine with a CUDA device
    /// has processor cores too; and preparing a log needs no more than those.
    pub fn kinds(self, stage: Stage) -> &'static [Device] {
        match (stage, self) {
            (Stage::Prepare, _) | (_, DeviceWish::Cpu) => &[Device::Cpu, Device::Cuda],
            (_, DeviceWish::Cuda) => &[Device::Cuda],
            (_, DeviceWish::Auto) => &[Device::Cuda, Device::Cpu],
        }
    }
}
