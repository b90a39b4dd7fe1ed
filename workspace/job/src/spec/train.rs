use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Length of training, batch and optimizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSpec {
    /// Users in a step, over all lanes; a multiple of `lanes`.
    #[schemars(range(min = 1, max = 16_777_216))]
    pub global_batch: u32,
    /// Passes over the dataset. Give this or `steps`; 10 when neither is given.
    #[schemars(range(min = 1))]
    pub epochs: Option<u32>,
    /// Optimizer steps. Give this or `epochs`.
    #[schemars(range(min = 1))]
    pub steps: Option<u64>,
    /// Optimizer of everything but tables.
    pub optimizer: OptimizerSpec,
    /// Optimizer of embedding tables (only rows touched in a step are updated); null = the same
    /// kind and rate as `optimizer`.
    pub table_optimizer: Option<OptimizerSpec>,
    /// Learning-rate schedule after warm-up.
    pub schedule: Schedule,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Gradients are scaled down to this global norm; 0 = off.
    #[schemars(range(min = 0.0))]
    pub clip_norm: f64,
    /// Shards shuffled together within a lane.
    #[schemars(range(min = 1))]
    pub shuffle_shards: u32,
    /// What is kept of the lanes' forward passes until the loss is known.
    pub graphs: Graphs,
    /// Steps between metrics.
    #[schemars(range(min = 1))]
    pub log_every: u64,
    /// Threads of a worker's tensor operations; 0 = cores / workers.
    pub threads: u32,
}

impl Default for TrainSpec {
    fn default() -> Self {
        TrainSpec {
            global_batch: 256,
            epochs: None,
            steps: None,
            optimizer: OptimizerSpec::default(),
            table_optimizer: None,
            schedule: Schedule::Cosine,
            warmup_steps: 0,
            clip_norm: 0.0,
            shuffle_shards: 8,
            graphs: Graphs::Keep,
            log_every: 10,
            threads: 0,
        }
    }
}

/// An optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerSpec {
    /// Which one.
    pub kind: OptimizerKind,
    /// Highest learning rate.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lr: f64,
    /// Decay of the first moment (Adam, AdamW) or momentum (SGD: 0 by default there).
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta1: f64,
    /// Decay of the second moment (Adam, AdamW).
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub beta2: f64,
    /// Added to the denominator of Adam, AdamW and Adagrad.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub eps: f64,
    /// Weight decay of matrices; biases, norms, positions and tables are not decayed. Decoupled
    /// for AdamW, L2 for the others.
    #[schemars(range(min = 0.0))]
    pub weight_decay: f64,
}

impl Default for OptimizerSpec {
    fn default() -> Self {
        OptimizerSpec {
            kind: OptimizerKind::AdamW,
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.01,
        }
    }
}

/// Kinds of optimizers. For tables, Adam keeps its moments a row and Adagrad one number a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam with decoupled weight decay (arXiv 1711.05101).
    AdamW,
    /// Adam (arXiv 1412.6980).
    Adam,
    /// Stochastic gradient descent.
    Sgd,
    /// Adagrad.
    Adagrad,
}

/// Learning-rate schedule after warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Half a cosine down to 0 at the last step.
    Cosine,
    /// A line down to 0 at the last step.
    Linear,
    /// No decay.
    Constant,
}

/// What is kept of the lanes' forward passes until the loss is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Graphs {
    /// All of it: fastest.
    Keep,
    /// Only the embeddings; each lane is encoded again for its gradient (gradient caching): a
    /// worker's memory is that of one lane.
    Recompute,
}

/// Where workers compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// CUDA when a device is there, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A CUDA device.
    Cuda,
}

/// How many workers a job wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Workers {
    /// Exactly so many.
    Exactly(#[schemars(range(min = 1))] u32),
    /// It starts with `min` and grows up to `max`.
    Range {
        /// Fewest.
        #[schemars(range(min = 1))]
        min: u32,
        /// Most.
        #[schemars(range(min = 1))]
        max: u32,
    },
}

/// What is done about slow workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stragglers {
    /// It is said, and nothing else is done.
    Keep,
    /// They get fewer lanes, so that nobody waits for them.
    #[default]
    FewerLanes,
    /// They get no more tasks, as long as the job has `workers.min` without them.
    Drain,
}

impl Default for Workers {
    fn default() -> Self {
        Workers::Exactly(1)
    }
}

impl Workers {
    /// Fewest workers the job runs with.
    pub fn min(self) -> u32 {
        match self {
            Workers::Exactly(count) => count,
            Workers::Range { min, .. } => min,
        }
    }

    /// Most workers the job uses.
    pub fn max(self) -> u32 {
        match self {
            Workers::Exactly(count) => count,
            Workers::Range { max, .. } => max,
        }
    }
}
