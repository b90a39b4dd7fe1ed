use twinspire_collective::CollectiveError;

/// What can go wrong in training.
#[derive(Debug, thiserror::Error)]
pub enum TowersError {
    /// The loss is not a number any more.
    #[error(
        "the loss is {loss} at step {step}, lane {lane}: training stopped before the step was applied. \
         Lower `train.optimizer.lr`, set `train.clip_norm`, or look for extreme values in the item features"
    )]
    LossNotFinite {
        /// The step, counted from 0.
        step: u64,
        /// The lane whose rows gave it.
        lane: u32,
        /// NaN or an infinity.
        loss: f64,
    },
    /// The gradients are not numbers any more, though the loss is.
    #[error(
        "the gradient is not finite at step {step}: training stopped before the step was applied. \
         Lower `train.optimizer.lr` or set `train.clip_norm`"
    )]
    GradientNotFinite {
        /// The step, counted from 0.
        step: u64,
    },
    /// The towers' own output is not numbers any more.
    #[error(
        "the item vectors are not finite: the towers have been trained to infinity. \
         Lower `train.optimizer.lr` or set `train.clip_norm`, and start over with --fresh"
    )]
    VectorsNotFinite,
    /// Workers could not exchange tensors.
    #[error(transparent)]
    Collective(#[from] CollectiveError),
    /// A checkpoint does not belong to this model.
    #[error(
        "the checkpoint does not fit the job: {why}. Train on with the job file it was made with, or start with --fresh"
    )]
    StateMismatch {
        /// Which tensor, and how it differs.
        why: String,
    },
    /// The job asks for a device that is not there.
    #[error(
        "device `cuda` is asked for, but {why}. Set `device: cpu`, or `auto` to use a GPU only when there is one"
    )]
    NoCuda {
        /// Why not.
        why: String,
    },
    /// The job's towers cannot be built on this dataset.
    #[error("{0}")]
    Unbuildable(String),
    /// A tower's TorchScript does not do what the tower does.
    #[error(
        "the TorchScript at {path} differs from the tower by {off:e}: it was removed; this is a bug, please report it"
    )]
    Script {
        /// Where it was saved.
        path: String,
        /// Largest difference of a number.
        off: f64,
    },
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl TowersError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            TowersError::LossNotFinite { .. } => "TW4001",
            TowersError::GradientNotFinite { .. } => "TW4002",
            TowersError::VectorsNotFinite => "TW4008",
            TowersError::Collective(error) => error.code(),
            TowersError::StateMismatch { .. } => "TW4003",
            TowersError::NoCuda { .. } => "TW4004",
            TowersError::Unbuildable(_) => "TW4005",
            TowersError::Torch(_) => "TW4006",
            TowersError::Script { .. } => "TW4007",
        }
    }
}

/// Codes of this crate with what they mean.
pub const CODES: &[(&str, &str)] = &[
    ("TW4001", "The loss became NaN or infinite."),
    ("TW4002", "The gradient became NaN or infinite."),
    ("TW4003", "A checkpoint's tensors do not fit the job's model."),
    ("TW4004", "`device: cuda` was asked for and no usable GPU is there."),
    ("TW4005", "The towers cannot be built on this dataset."),
    ("TW4006", "libtorch failed: out of memory, or a bug."),
    ("TW4007", "A tower saved as TorchScript gave other embeddings when loaded back."),
    ("TW4008", "The item vectors became NaN or infinite."),
];
