//! Which checkpoints are kept: a pure function.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::Step;

/// Which checkpoints are kept. The newest always is.
#[derive(Clone, Debug, PartialEq)]
pub struct Retention {
    /// The newest that are kept; 0 counts as 1.
    pub keep_last: usize,
    /// Steps that are a multiple of this are kept; 0 = none for that.
    pub keep_every: u64,
    /// The best by this is kept.
    pub best: Option<Best>,
}

/// A metric that says which checkpoint is best.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Best {
    /// Its name in [`Manifest::metrics`](crate::Manifest::metrics).
    pub metric: String,
    /// Whether more is better.
    pub higher_is_better: bool,
}

impl Default for Retention {
    fn default() -> Self {
        Retention { keep_last: 2, keep_every: 0, best: None }
    }
}

impl Best {
    /// The best of these, given oldest first: of equals the earliest; those without the metric do
    /// not compete.
    pub fn of(&self, checkpoints: &[(Step, BTreeMap<String, f64>)]) -> Option<Step> {
        let mut best: Option<(Step, f64)> = None;
        for (step, metrics) in checkpoints {
            let Some(value) = metrics.get(&self.metric).copied().filter(|value| !value.is_nan()) else {
                continue;
            };
            let better =
                best.is_none_or(|(_, best)| if self.higher_is_better { value > best } else { value < best });
            if better {
                best = Some((*step, value));
            }
        }
        best.map(|(step, _)| step)
    }
}

/// Of whole checkpoints, given oldest first with their metrics, those that are not kept.
pub fn to_delete(checkpoints: &[(Step, BTreeMap<String, f64>)], retention: &Retention) -> BTreeSet<Step> {
    let best = retention.best.as_ref().and_then(|best| best.of(checkpoints));
    let steps = || checkpoints.iter().map(|(step, _)| *step);
    let newest: BTreeSet<Step> = steps().rev().take(retention.keep_last.max(1)).collect();
    steps()
        .filter(|step| {
            let milestone = retention.keep_every > 0 && step.0.is_multiple_of(retention.keep_every);
            !newest.contains(step) && !milestone && best != Some(*step)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deleted(retention: &Retention) -> Vec<u64> {
        let ndcg = [
            (10, Some(0.1)),
            (20, Some(0.3)),
            (30, None),
            (40, Some(0.3)),
            (50, Some(f64::NAN)),
            (60, Some(0.2)),
        ];
        let checkpoints = ndcg.map(|(step, value)| {
            (Step(step), value.map(|value| ("ndcg".to_owned(), value)).into_iter().collect())
        });
        to_delete(&checkpoints, retention).into_iter().map(|step| step.0).collect()
    }

    fn best(metric: &str, higher_is_better: bool) -> Option<Best> {
        Some(Best { metric: metric.into(), higher_is_better })
    }

    #[test]
    fn the_last_n_stay_and_always_the_newest() {
        let keep_last = |keep_last| deleted(&Retention { keep_last, ..Retention::default() });
        assert_eq!(keep_last(2), [10, 20, 30, 40]);
        assert_eq!(keep_last(0), [10, 20, 30, 40, 50]);
        assert_eq!(keep_last(9), [0; 0]);
    }

    #[test]
    fn every_kth_step_stays() {
        assert_eq!(deleted(&Retention { keep_last: 1, keep_every: 20, best: None }), [10, 30, 50]);
    }

    #[test]
    fn the_best_stays_and_of_equals_the_earliest() {
        assert_eq!(
            deleted(&Retention { keep_last: 1, keep_every: 0, best: best("ndcg", true) }),
            [10, 30, 40, 50]
        );
        assert_eq!(
            deleted(&Retention { keep_last: 1, keep_every: 0, best: best("ndcg", false) }),
            [20, 30, 40, 50]
        );
        assert_eq!(
            deleted(&Retention { keep_last: 1, keep_every: 0, best: best("mrr", true) }),
            [10, 20, 30, 40, 50]
        );
    }
}
