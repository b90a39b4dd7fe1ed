use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When and how retrieval is measured: always over the full catalogue, never sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateSpec {
    /// Epochs between evaluations on the validation rows; 0 = only after training.
    pub every_epochs: u32,
    /// Steps between evaluations on the validation rows; 0 = by epochs.
    pub every_steps: u64,
    /// The cut-offs k of Recall@k, NDCG@k.
    #[schemars(inner(range(min = 1)))]
    pub k: Vec<u32>,
    /// Users evaluated at most during training (the first by dataset order); 0 = all. The final
    /// evaluation always takes all.
    pub max_users: u32,
    /// What becomes of items the user has engaged with before.
    pub seen: SeenItems,
    /// Which validation metric names the best checkpoint; the final evaluation uses that one.
    pub best: BestMetric,
    /// Training stops after this many evaluations without a better one; 0 = never.
    pub patience: u32,
}

impl Default for EvaluateSpec {
    fn default() -> Self {
        EvaluateSpec {
            every_epochs: 1,
            every_steps: 0,
            k: vec![10, 20],
            max_users: 0,
            seen: SeenItems::Remove,
            best: BestMetric::Ndcg,
            patience: 0,
        }
    }
}

/// What becomes of items the user has engaged with before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeenItems {
    /// They are removed from the ranking, and held-out ones among them are not evaluated: how well are
    /// new items found?
    Remove,
    /// They are ranked too: for logs in which people come back to items.
    Keep,
}

/// Which validation metric names the best checkpoint, at the first k.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BestMetric {
    /// NDCG@k.
    Ndcg,
    /// Recall@k.
    Recall,
    /// Mean reciprocal rank.
    Mrr,
    /// None: the last checkpoint is the result.
    Last,
}
