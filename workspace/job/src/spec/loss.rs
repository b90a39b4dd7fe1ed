use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The retrieval loss: a softmax over sampled or all items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LossSpec {
    /// What a positive is told apart from.
    pub negatives: Negatives,
    /// Similarities are divided by it.
    pub temperature: Temperature,
    /// Correction of sampled negatives for how often they are sampled.
    pub logq: LogQ,
    /// Size of the count-min sketch (`logq: sketch`).
    pub sketch: SketchSpec,
    /// What becomes of the positive's own logit under logQ.
    pub positive_correction: PositiveCorrection,
    /// A user's other positives in the batch are not used as its negatives.
    pub mask_user_positives: bool,
    /// Rows of a loss tile.
    #[schemars(range(min = 1))]
    pub tile_rows: u32,
    /// Columns of a loss tile.
    #[schemars(range(min = 1))]
    pub tile_columns: u32,
}

impl Default for LossSpec {
    fn default() -> Self {
        LossSpec {
            negatives: Negatives::default(),
            temperature: Temperature::default(),
            logq: LogQ::Sketch,
            sketch: SketchSpec::default(),
            positive_correction: PositiveCorrection::Marginal,
            mask_user_positives: true,
            tile_rows: 1024,
            tile_columns: 8192,
        }
    }
}

/// Negatives of a row, the same number at every worker count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Negatives {
    /// Which negatives.
    pub mode: NegativesMode,
    /// Positives of other rows of the global batch used at most; 0 = all.
    pub max_in_batch: u32,
    /// Uniform random items a step, shared by all rows.
    #[schemars(range(max = 16_777_216))]
    pub random: u32,
}

impl Default for Negatives {
    fn default() -> Self {
        Negatives { mode: NegativesMode::MixedConcat, max_in_batch: 0, random: 8192 }
    }
}

/// Which negatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NegativesMode {
    /// Two softmaxes, in-batch and random, summed (ItemSage).
    MixedSum,
    /// One softmax over in-batch and random negatives (PinnerFormer).
    MixedConcat,
    /// The positives of the global batch's other rows.
    InBatch,
    /// Uniform random items.
    Random,
    /// Every item, for catalogues of up to some hundred thousand.
    Full,
}

/// Temperature of the softmax.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Temperature {
    /// Initial value.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub initial: f64,
    /// Trained (as a log-scale) or fixed.
    pub learned: bool,
    /// Lower bound of a learned temperature.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub min: f64,
}

impl Default for Temperature {
    fn default() -> Self {
        Temperature { initial: 0.07, learned: true, min: 0.01 }
    }
}

/// How the sampling probability of a negative is estimated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogQ {
    /// No correction.
    Off,
    /// From counts of the ids seen so far, in a count-min sketch.
    Sketch,
    /// From the dataset's exact counts.
    Exact,
}

/// Count-min sketch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SketchSpec {
    /// Hash functions.
    #[schemars(range(min = 1))]
    pub depth: u32,
    /// Counters a hash function, 8 bytes each.
    #[schemars(range(min = 1, max = 268_435_456))]
    pub width: u32,
}

impl Default for SketchSpec {
    fn default() -> Self {
        SketchSpec { depth: 2, width: 1 << 20 }
    }
}

/// What becomes of the positive's own logit under logQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PositiveCorrection {
    /// Corrected like a negative: `s - log q`.
    Marginal,
    /// Corrected for being drawn as this row's positive: `s - log(q | positive)`, taken as 0.
    Conditional,
    /// Not part of the denominator; rows weighted by `1 - P(positive)` without gradient
    /// ("corrected logQ").
    None,
}
