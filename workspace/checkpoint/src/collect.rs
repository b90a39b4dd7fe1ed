//! Deleting what is not kept.

use std::collections::BTreeSet;

use crate::error::CheckpointError;
use crate::ids::Step;
use crate::layout::{Attempt, MANIFEST};
use crate::retention::{Retention, to_delete};
use crate::store::{CheckpointStore, State, Summary};

impl CheckpointStore {
    /// Deletes what the retention policy does not keep and what killed writers left, but nothing
    /// as new as the newest whole checkpoint or newer. Answers the steps of which nothing is left.
    ///
    /// # Errors
    /// Storage errors; what is not deleted now is by a later call.
    pub async fn collect(&self) -> Result<Vec<Step>, CheckpointError> {
        let summaries = self.list().await?;
        let garbage = garbage(&summaries, &self.retention);
        // A directory without its manifest is nothing; the other way round it would be damaged.
        for attempt in &garbage {
            self.directory(*attempt).delete(MANIFEST).await?;
        }
        for attempt in &garbage {
            self.directory(*attempt).delete_all().await?;
        }
        let kept: BTreeSet<Step> =
            summaries.iter().filter(|s| !garbage.contains(&s.attempt())).map(|s| s.step).collect();
        let gone: BTreeSet<Step> =
            garbage.iter().map(|attempt| attempt.step).filter(|step| !kept.contains(step)).collect();
        for step in &gone {
            self.location.join(&Attempt::step_directory(*step)).delete_all().await?;
        }
        Ok(gone.into_iter().collect())
    }
}

impl Summary {
    fn attempt(&self) -> Attempt {
        Attempt { generation: self.generation, step: self.step }
    }
}

/// What may go. Of a step that several generations wrote, the newest whole one counts.
fn garbage(summaries: &[Summary], retention: &Retention) -> BTreeSet<Attempt> {
    let mut whole: Vec<&Summary> = summaries.iter().filter(|summary| summary.state == State::Whole).collect();
    whole.sort_by_key(|summary| summary.attempt());
    let Some(newest) = whole.last().map(|summary| summary.attempt()) else {
        return BTreeSet::new();
    };
    let superseded = |summary: &Summary| {
        whole.iter().any(|other| other.step == summary.step && other.generation > summary.generation)
    };
    let standing: Vec<&&Summary> = whole.iter().filter(|summary| !superseded(summary)).collect();
    let checkpoints: Vec<_> = standing
        .iter()
        .map(|summary| {
            let metrics = summary.manifest.as_ref().map(|manifest| manifest.metrics.clone());
            (summary.step, metrics.unwrap_or_default())
        })
        .collect();
    let steps = to_delete(&checkpoints, retention);
    let keep: BTreeSet<Attempt> = standing
        .iter()
        .filter(|summary| !steps.contains(&summary.step))
        .map(|summary| summary.attempt())
        .collect();
    summaries
        .iter()
        .map(Summary::attempt)
        .filter(|attempt| *attempt < newest && !keep.contains(attempt))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Generation;

    fn summary(generation: u64, step: u64, state: State) -> Summary {
        let (step, generation) = (Step(step), Generation(generation));
        Summary { step, generation, size: 0, state, manifest: None }
    }

    fn left(summaries: &[Summary], keep_last: usize) -> Vec<(u64, u64)> {
        let gone = garbage(summaries, &Retention { keep_last, ..Retention::default() });
        let kept = summaries.iter().map(Summary::attempt).filter(|attempt| !gone.contains(attempt));
        kept.map(|attempt| (attempt.generation.0, attempt.step.0)).collect()
    }

    #[test]
    fn nothing_goes_while_nothing_is_whole() {
        let summaries = [summary(1, 10, State::Unfinished), summary(1, 20, State::Damaged("x".into()))];
        assert_eq!(left(&summaries, 1), [(1, 10), (1, 20)]);
    }

    #[test]
    fn leftovers_and_damaged_ones_go_when_a_newer_one_is_whole() {
        let summaries = [
            summary(1, 10, State::Whole),
            summary(1, 20, State::Unfinished),
            summary(1, 30, State::Damaged("x".into())),
            summary(1, 40, State::Whole),
            summary(1, 50, State::Unfinished),
        ];
        assert_eq!(left(&summaries, 2), [(1, 10), (1, 40), (1, 50)]);
        assert_eq!(left(&summaries, 1), [(1, 40), (1, 50)]);
    }

    #[test]
    fn damaged_ones_do_not_count_as_kept() {
        let summaries = [
            summary(1, 10, State::Whole),
            summary(1, 20, State::Damaged("x".into())),
            summary(1, 30, State::Damaged("x".into())),
        ];
        assert_eq!(left(&summaries, 2), [(1, 10), (1, 20), (1, 30)]);
    }

    #[test]
    fn a_newer_generation_is_newer_whatever_its_step() {
        let summaries = [
            summary(1, 10, State::Whole),
            summary(1, 30, State::Whole),
            summary(2, 10, State::Whole),
            summary(2, 20, State::Whole),
        ];
        assert_eq!(left(&summaries, 1), [(2, 20)]);
        assert_eq!(left(&summaries, 2), [(2, 10), (2, 20)]);
        assert_eq!(left(&summaries, 9), [(1, 30), (2, 10), (2, 20)]);
    }
}
