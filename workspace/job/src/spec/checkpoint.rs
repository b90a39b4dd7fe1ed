use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::JobSpec;
use crate::units::Span;

/// Checkpoints: how often, how many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointSpec {
    /// Directory or `s3://bucket/prefix`; null = `{runs}/{name}/checkpoints`.
    pub uri: Option<String>,
    /// Steps between checkpoints; 0 = by time only.
    pub every_steps: u64,
    /// Time between checkpoints.
    pub every: Span,
    /// The newest that are kept.
    #[schemars(range(min = 1))]
    pub keep_last: u32,
    /// Every checkpoint whose step is a multiple of this is kept; 0 = none.
    pub keep_every_steps: u64,
    /// The best by `evaluate.best` is kept.
    pub keep_best: bool,
}

impl Default for CheckpointSpec {
    fn default() -> Self {
        CheckpointSpec {
            uri: None,
            every_steps: 0,
            every: Span(std::time::Duration::from_secs(60)),
            keep_last: 2,
            keep_every_steps: 0,
            keep_best: true,
        }
    }
}

/// What is written when training is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExportSpec {
    /// Directory or URI; null = `{runs}/{name}/export`.
    pub uri: Option<String>,
    /// `item-embeddings.parquet` (item_id, embedding).
    pub item_embeddings: bool,
    /// `user-embeddings.parquet` (user_id, embedding).
    pub user_embeddings: bool,
    /// `weights.safetensors`.
    pub weights: bool,
    /// `item-tower.pt` and `user-tower.pt`.
    pub torchscript: bool,
}

impl Default for ExportSpec {
    fn default() -> Self {
        ExportSpec {
            uri: None,
            item_embeddings: true,
            user_embeddings: true,
            weights: true,
            torchscript: true,
        }
    }
}

impl JobSpec {
    /// Where checkpoints are: `checkpoint.uri`, or `{runs}/{name}/checkpoints`.
    pub fn checkpoint_uri(&self) -> String {
        self.checkpoint.uri.clone().unwrap_or_else(|| self.run_uri("checkpoints"))
    }

    /// Where the results are: `export.uri`, or `{runs}/{name}/export`.
    pub fn export_uri(&self) -> String {
        self.export.uri.clone().unwrap_or_else(|| self.run_uri("export"))
    }

    fn run_uri(&self, what: &str) -> String {
        format!("{}/{}/{what}", self.runs.trim_end_matches('/'), self.name)
    }
}
