//! How training stands by its evaluations, and what it took. It is part of every checkpoint, so that a resumed run
//! stops when the uninterrupted one would have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::spent::Spent;

/// Evaluations so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Standing {
    /// Step and value of the best.
    best: Option<(u64, f64)>,
    /// The best before it.
    best_before: Option<(u64, f64)>,
    /// Evaluations since then.
    since: u32,
    /// Step of the last evaluation.
    at: u64,
    /// Where the time went.
    pub(super) spent: Spent,
    /// Step of the last evaluation, and what it measured.
    #[serde(skip)]
    last: Option<(u64, BTreeMap<String, f64>)>,
}

impl Standing {
    pub(super) fn from_json(extra: &serde_json::Value) -> Standing {
        serde_json::from_value(extra.clone()).unwrap_or_default()
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        // Numbers only: this cannot fail.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The step of the last evaluation, and what it measured.
    pub(super) fn last(&self) -> Option<&(u64, BTreeMap<String, f64>)> {
        self.last.as_ref()
    }

    pub(super) fn with_last(self, last: Option<(u64, BTreeMap<String, f64>)>) -> Standing {
        Standing { last, ..self }
    }

    /// Whether the towers after this step are the best, and no checkpoint has them.
    pub(super) fn is_unsaved_best(&self, step: u64, newest_checkpoint: Option<u64>) -> bool {
        self.best.is_some_and(|(best, _)| best == step)
            && newest_checkpoint.is_none_or(|newest| newest < step)
    }

    /// Training goes on after a step from memory: of a best that no checkpoint has, and that is behind that step,
    /// nothing is left, and the one before it is the best there is.
    pub(super) fn forget_lost_best(&mut self, step: u64, newest_checkpoint: Option<u64>) {
        let is_lost = |best: u64| best < step && newest_checkpoint.is_none_or(|newest| newest < best);
        if self.best.is_some_and(|(best, _)| is_lost(best)) {
            self.best = self.best_before.take().filter(|(before, _)| !is_lost(*before));
        }
    }

    /// Takes note of an evaluation; whether it is the best so far.
    pub(super) fn validated(&mut self, step: u64, value: f64, all: BTreeMap<String, f64>) -> bool {
        self.at = step;
        self.last = Some((step, all));
        let better = self.best.is_none_or(|(_, best)| value > best);
        if better {
            self.best_before = self.best.replace((step, value));
            self.since = 0;
        } else {
            self.since += 1;
        }
        better
    }

    /// Takes note of an evaluation that does not compete.
    pub(super) fn measured(&mut self, step: u64, all: BTreeMap<String, f64>) -> bool {
        self.at = step;
        self.last = Some((step, all));
        false
    }

    /// Whether there was an evaluation after this very step.
    pub(super) fn has_measured(&self, step: u64) -> bool {
        self.at == step
    }

    /// What was measured after this very step.
    pub(super) fn metrics_of(&self, step: u64) -> BTreeMap<String, f64> {
        self.last.as_ref().filter(|(at, _)| *at == step).map(|(_, all)| all.clone()).unwrap_or_default()
    }

    /// Why training should end now, by itself.
    pub(super) fn why_stop(&self, patience: u32) -> Option<String> {
        let (step, _) = self.best?;
        (patience > 0 && self.since >= patience)
            .then(|| format!("no better evaluation in the last {patience} (the best was at step {step})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(standing: &mut Standing, step: u64, value: f64) -> bool {
        standing.validated(step, value, BTreeMap::new())
    }

    #[test]
    fn patience_counts_evaluations_since_the_best_across_a_resume() {
        let mut standing = Standing::default();
        assert!(validate(&mut standing, 10, 0.2));
        assert!(!validate(&mut standing, 20, 0.1));
        let mut resumed = Standing::from_json(&standing.to_json());
        assert_eq!(resumed.why_stop(2), None);
        assert!(!validate(&mut resumed, 30, 0.2), "of equals the earliest is best");
        assert!(resumed.why_stop(2).is_some_and(|why| why.contains("step 10")));
        assert_eq!(resumed.why_stop(0), None, "no patience, no early end");
    }

    #[test]
    fn a_best_that_was_lost_with_its_checkpoint_is_the_best_no_more() {
        let mut standing = Standing::default();
        validate(&mut standing, 10, 0.2);
        validate(&mut standing, 20, 0.3);
        assert!(standing.is_unsaved_best(20, Some(10)) && !standing.is_unsaved_best(20, Some(20)));
        let mut at_it = standing.clone();
        at_it.forget_lost_best(20, Some(10));
        assert_eq!(at_it, standing, "it can be written now");
        standing.forget_lost_best(25, Some(20));
        assert_eq!(standing.best, Some((20, 0.3)), "it is written");
        standing.forget_lost_best(25, Some(10));
        assert_eq!(standing.best, Some((10, 0.2)));
        assert!(validate(&mut standing, 30, 0.25), "so what comes next may be the best");
        let mut nothing_saved = Standing::default();
        validate(&mut nothing_saved, 10, 0.2);
        nothing_saved.forget_lost_best(15, None);
        assert_eq!(nothing_saved.best, None);
    }

    #[test]
    fn a_checkpoint_without_a_standing_starts_afresh() {
        assert_eq!(Standing::from_json(&serde_json::Value::Null), Standing::default());
    }
}
