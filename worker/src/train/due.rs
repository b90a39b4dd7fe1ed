//! What is due after a step, by its number.

use twinspire_job::JobSpec;

/// What is due after a step: a pure function of the job and the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    evaluate_every: u64,
    checkpoint_every: u64,
    steps_per_epoch: u64,
    last: u64,
}

impl Due {
    pub(super) fn new(spec: &JobSpec, steps_per_epoch: u64, last: u64) -> Due {
        let evaluate = &spec.evaluate;
        let evaluate_every = match evaluate.every_steps {
            0 => u64::from(evaluate.every_epochs) * steps_per_epoch,
            steps => steps,
        };
        Due { evaluate_every, checkpoint_every: spec.checkpoint.every_steps, steps_per_epoch, last }
    }

    /// Whether the validation rows are measured after this step: every so often, and at the end.
    pub(super) fn evaluates(&self, step: u64) -> bool {
        self.evaluate_every > 0 && (step.is_multiple_of(self.evaluate_every) || step == self.last)
    }

    /// Whether a checkpoint is written after this step whatever else: every so often, and at the
    /// end.
    pub(super) fn checkpoints(&self, step: u64) -> bool {
        step == self.last || (self.checkpoint_every > 0 && step.is_multiple_of(self.checkpoint_every))
    }

    /// Epochs trained after this step, with fraction.
    pub(super) fn epoch(&self, step: u64) -> f64 {
        step as f64 / self.steps_per_epoch.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(evaluate_every: u64, checkpoint_every: u64) -> Due {
        Due { evaluate_every, checkpoint_every, steps_per_epoch: 10, last: 25 }
    }

    fn steps(when: impl Fn(u64) -> bool) -> Vec<u64> {
        (1..=25).filter(|step| when(*step)).collect()
    }

    #[test]
    fn the_last_step_is_measured_and_kept() {
        assert_eq!(steps(|step| due(10, 0).evaluates(step)), [10, 20, 25]);
        assert_eq!(steps(|step| due(10, 0).checkpoints(step)), [25]);
        assert_eq!(steps(|step| due(10, 8).checkpoints(step)), [8, 16, 24, 25]);
    }

    #[test]
    fn a_job_without_evaluations_during_training_has_none() {
        assert!(steps(|step| due(0, 0).evaluates(step)).is_empty());
    }
}
