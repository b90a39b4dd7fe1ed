use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Span;

/// Both towers. They meet in vectors of `dim` numbers, compared by inner product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TowersSpec {
    /// Length of the embeddings both towers produce.
    #[schemars(range(min = 1, max = 65_536))]
    pub dim: u32,
    /// Embeddings are scaled to length 1 (similarity is the cosine).
    pub normalize: bool,
    /// The item tower.
    pub item: ItemTowerSpec,
    /// The user tower.
    pub user: UserTowerSpec,
}

impl Default for TowersSpec {
    fn default() -> Self {
        TowersSpec {
            dim: 256,
            normalize: true,
            item: ItemTowerSpec::default(),
            user: UserTowerSpec::default(),
        }
    }
}

/// The item tower (ItemSage, arXiv 2205.11728).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ItemTowerSpec {
    /// How an item's features become its embedding.
    pub encoder: ItemEncoder,
    /// A trained embedding of the item's id, as one more feature.
    pub id_embedding: IdEmbedding,
    /// Names of catalogue features to read; null = all of them.
    pub features: Option<Vec<String>>,
    /// Width of the transformer.
    #[schemars(range(min = 1))]
    pub d_model: u32,
    /// Transformer layers.
    #[schemars(range(min = 1))]
    pub layers: u32,
    /// Attention heads.
    #[schemars(range(min = 1))]
    pub heads: u32,
    /// Width of the feed-forward block; 4 x `d_model` when not given or 0.
    pub ffn: u32,
    /// Hidden widths of the `mlp` encoder.
    #[schemars(inner(range(min = 1)))]
    pub mlp: Vec<u32>,
    /// Dropout.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub dropout: f64,
    /// Hash embedding of text tokens and categorical values.
    pub hash: HashSpec,
    /// LayerNorm of each text feature's summed tokens.
    pub text_norm: bool,
}

impl Default for ItemTowerSpec {
    fn default() -> Self {
        ItemTowerSpec {
            encoder: ItemEncoder::Transformer,
            id_embedding: IdEmbedding::None,
            features: None,
            d_model: 512,
            layers: 1,
            heads: 8,
            ffn: 2048,
            mlp: vec![1024, 1024],
            dropout: 0.1,
            hash: HashSpec::default(),
            text_norm: true,
        }
    }
}

/// How an item's features become its embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemEncoder {
    /// A transformer with a CLS token over the feature vectors.
    Transformer,
    /// A multi-layer perceptron over the pooled, concatenated features.
    Mlp,
    /// The id embedding alone (of width `towers.dim`), for logs without a catalogue.
    Id,
}

/// Trained embedding of the item's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IdEmbedding {
    /// None: the tower works for items never seen in training.
    None,
    /// One row an item.
    Table,
    /// Two hashed rows an item (see `hash`).
    Hash,
}

/// Hash embedding: token i is `W[i,0]*E[h1(i)] + W[i,1]*E[h2(i)]` (ItemSage, section 4.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HashSpec {
    /// Rows of the shared table E.
    #[schemars(range(min = 1))]
    pub rows: u32,
    /// Width of E.
    #[schemars(range(min = 1))]
    pub dim: u32,
}

impl Default for HashSpec {
    fn default() -> Self {
        HashSpec { rows: 100_000, dim: 256 }
    }
}

/// The long-term user tower (PinnerFormer, arXiv 2205.04507).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserTowerSpec {
    /// The most recent actions read.
    #[schemars(range(min = 1, max = 65_536))]
    pub max_actions: u32,
    /// What is predicted, and from which positions.
    pub objective: Objective,
    /// Positions sampled from a user a step by `dense_all_action`.
    #[schemars(range(min = 1))]
    pub dense_positions: u32,
    /// Positives drawn for a user a step by `all_action`.
    #[schemars(range(min = 1))]
    pub max_positives: u32,
    /// Positives lie within this time after a position (`all_action`, `dense_all_action`). 0s where
    /// the log has no time: all that follows.
    pub window: Span,
    /// The vector of an action's item.
    pub item_vector: ItemVectorSource,
    /// Width of the action-type embedding; 0 = not read.
    pub action_dim: u32,
    /// Width of the surface embedding; 0 = not read.
    pub surface_dim: u32,
    /// log(duration) is read.
    pub duration: bool,
    /// Time features.
    pub time: TimeFeatures,
    /// Width of the transformer.
    #[schemars(range(min = 1))]
    pub d_model: u32,
    /// Transformer layers.
    #[schemars(range(min = 1))]
    pub layers: u32,
    /// Attention heads.
    #[schemars(range(min = 1))]
    pub heads: u32,
    /// Width of the feed-forward block; 4 x `d_model` when not given or 0.
    pub ffn: u32,
    /// Learned positions, counted back from the newest action.
    pub positions: bool,
    /// Dropout of embeddings, attention output and feed-forward.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub dropout: f64,
    /// Dropout of attention weights.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub attention_dropout: f64,
    /// The two-layer head of PinnerFormer; false = the last LayerNorm is the embedding (SASRec),
    /// projected only where widths differ.
    pub head: bool,
    /// Each user counts the same within a batch, whatever its number of rows.
    pub equal_users: bool,
}

impl Default for UserTowerSpec {
    fn default() -> Self {
        UserTowerSpec {
            max_actions: 256,
            objective: Objective::DenseAllAction,
            dense_positions: 32,
            max_positives: 32,
            window: Span(Duration::from_secs(28 * 24 * 3600)),
            item_vector: ItemVectorSource::Tower,
            action_dim: 32,
            surface_dim: 8,
            duration: true,
            time: TimeFeatures::default(),
            d_model: 768,
            layers: 6,
            heads: 8,
            ffn: 0,
            positions: true,
            dropout: 0.1,
            attention_dropout: 0.0,
            head: true,
            equal_users: true,
        }
    }
}

/// What a user's positions are trained to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The last position predicts the next positive action.
    NextAction,
    /// Every position predicts the action after it (SASRec).
    Sasrec,
    /// The last position predicts up to `max_positives` of the window after it.
    AllAction,
    /// Each of a sample of positions predicts one random positive of the window after it.
    DenseAllAction,
}

/// Where the vector of an action's item comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemVectorSource {
    /// The item tower's own output, trained through.
    Tower,
    /// The item tower's own output, without gradient.
    TowerDetached,
    /// The item's first `vector` feature, as it is in the catalogue.
    Frozen,
}

/// Time features: `[cos(2πt/p+φ), sin(2πt/p+φ')]` over fixed periods p, and log t.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeFeatures {
    /// Of the time of day, week and year.
    pub absolute: bool,
    /// Of the time since the sequence's latest action. With an objective that asks at every position
    /// (`sasrec`, `dense_all_action`) it tells those in the middle when their target comes, which
    /// serving cannot: off there by default.
    pub since_latest: bool,
    /// Of the gap to the previous action.
    pub gap: bool,
}

impl Default for TimeFeatures {
    fn default() -> Self {
        TimeFeatures { absolute: true, since_latest: true, gap: true }
    }
}
