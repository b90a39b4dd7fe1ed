//! The job file as types, every field with its default.
//!
//! One file a section, in the order people write them. Doc comments here are the job-file
//! reference: `docs/job-file.md` and the JSON Schema are generated from them.

mod catalogue;
mod checkpoint;
mod evaluate;
mod log;
mod loss;
mod split;
mod towers;
mod train;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use catalogue::{CatalogueSpec, FeatureKind, FeatureSpec, ItemScope, TokenSpec};
pub use checkpoint::{CheckpointSpec, ExportSpec};
pub use evaluate::{BestMetric, EvaluateSpec, SeenItems};
pub use log::{ActionSpec, Columns, LogFormat, LogSpec, PrepareSpec, RepeatedRows, TimestampUnit};
pub use loss::{LogQ, LossSpec, Negatives, NegativesMode, PositiveCorrection, SketchSpec, Temperature};
pub use split::SplitSpec;
pub use towers::{
    HashSpec, IdEmbedding, ItemEncoder, ItemTowerSpec, ItemVectorSource, Objective, TimeFeatures, TowersSpec,
    UserTowerSpec,
};
pub use train::{Device, Graphs, OptimizerKind, OptimizerSpec, Schedule, Stragglers, TrainSpec, Workers};

use crate::units::Span;

/// One training job: which logs, which towers, how to train, what to keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Name of the job: lower-case letters, digits and dashes, at most 63. Runs, checkpoints and
    /// metrics are filed under it.
    pub name: String,
    /// Seed of everything random: initial weights, shuffling, negatives, dropout.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
    /// Where workers compute: `cpu`, `cuda`, or `auto` (cuda when a device is there).
    #[serde(default)]
    pub device: Device,
    /// Worker processes: a number, or `{min, max}`.
    #[serde(default)]
    pub workers: Workers,
    /// Virtual workers. Fixed for the life of a job and at least the largest worker count: batches
    /// are dealt to lanes, lanes to workers, so that the worker count changes nothing but speed.
    #[serde(default = "defaults::lanes")]
    #[schemars(range(min = 1, max = 65_536))]
    pub lanes: u32,
    /// How soon training must go on after a fault; every time-out is derived from it.
    #[serde(default = "defaults::recovery_target")]
    pub recovery_target: Span,
    /// What is done about a worker that computes persistently more than one and a half times as long for
    /// a lane as the others do.
    #[serde(default)]
    pub stragglers: Stragglers,
    /// Whether `coordinator chaos` may make this job's workers, storage and coordinator fail, to see
    /// that nothing is lost.
    #[serde(default)]
    pub chaos: bool,
    /// Directory or URI under which datasets, checkpoints, metrics, reports and exports are kept.
    /// Relative paths are relative to where the command runs.
    #[serde(default = "defaults::runs")]
    pub runs: String,
    /// The engagement log.
    pub log: LogSpec,
    /// The item catalogue. Without one, items are known by their id alone.
    #[serde(default)]
    pub catalogue: Option<CatalogueSpec>,
    /// Which engagements are held out.
    #[serde(default)]
    pub split: SplitSpec,
    /// How the log is turned into a dataset.
    #[serde(default)]
    pub prepare: PrepareSpec,
    /// The item tower and the user tower.
    #[serde(default)]
    pub towers: TowersSpec,
    /// Loss and negatives.
    #[serde(default)]
    pub loss: LossSpec,
    /// Length of training, batch and optimizer.
    #[serde(default)]
    pub train: TrainSpec,
    /// When and how retrieval is measured.
    #[serde(default)]
    pub evaluate: EvaluateSpec,
    /// Checkpoints: how often, how many.
    #[serde(default)]
    pub checkpoint: CheckpointSpec,
    /// What is written when training is done.
    #[serde(default)]
    pub export: ExportSpec,
}

mod defaults {
    use std::time::Duration;

    use crate::units::Span;

    pub(super) fn seed() -> u64 {
        7
    }

    pub(super) fn lanes() -> u32 {
        4
    }

    pub(super) fn recovery_target() -> Span {
        Span(Duration::from_secs(30))
    }

    pub(super) fn runs() -> String {
        "runs".into()
    }
}
