//! What every rank knows of the rows that all lanes trained since the last checkpoint.

use twinspire_dataset::audit::Witness;
use twinspire_towers::StepReport;

/// Steps that no checkpoint has committed yet, by what was witnessed of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Ledger {
    witnesses: Vec<Witness>,
}

impl Ledger {
    /// A rank that comes late takes over what the others know.
    pub(super) fn of(witnesses: Vec<Witness>) -> Ledger {
        Ledger { witnesses }
    }

    /// A step was committed by a generation.
    pub(super) fn step(&mut self, report: &StepReport, generation: u64) {
        let lanes = report.trained.clone();
        self.witnesses.push(Witness { step: report.step - 1, generation, lanes });
        self.committed(report.committed);
    }

    /// What a checkpoint of `step` steps has committed is recorded.
    pub(super) fn committed(&mut self, step: u64) {
        self.witnesses.retain(|witness| witness.step >= step);
    }

    /// Everything.
    pub(super) fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Steps of earlier generations than this one: who did them may have died with its records.
    pub(super) fn before(&self, generation: u64) -> Vec<Witness> {
        self.witnesses.iter().filter(|witness| witness.generation < generation).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(step: u64, committed: u64) -> StepReport {
        StepReport {
            step,
            loss: 0.0,
            queries: 0,
            rows: 0,
            gradient_norm: 0.0,
            learning_rate: 0.0,
            scale: 1.0,
            control: 0,
            committed,
            trained: Vec::new(),
        }
    }

    #[test]
    fn steps_are_forgotten_once_a_checkpoint_has_committed_them() {
        let mut ledger = Ledger::default();
        (1..=5).for_each(|step| ledger.step(&report(step, 0), 1));
        ledger.step(&report(6, 4), 2);
        let steps: Vec<u64> = ledger.witnesses().iter().map(|witness| witness.step).collect();
        // The checkpoint of 4 steps holds those numbered 0 to 3.
        assert_eq!(steps, [4, 5]);
        assert_eq!(ledger.before(2).len(), 1);
        assert_eq!(ledger.before(1).len(), 0);
    }
}
