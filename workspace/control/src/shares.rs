//! How many workers there are to share out.

use std::collections::BTreeMap;

use crate::{Device, Worker};

/// Numbers of workers, by kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counts(BTreeMap<Device, u32>);

impl Counts {
    pub(crate) fn of(&self, kind: Device) -> u32 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, kind: Device, workers: u32) {
        self.0.insert(kind, workers);
    }

    /// As many of `workers` as there are.
    pub(crate) fn take(&mut self, kind: Device, workers: u32) {
        self.set(kind, self.of(kind).saturating_sub(workers));
    }
}

/// What there is to share out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shares {
    /// Workers with nothing to do.
    pub(crate) free: Counts,
    /// Workers of attempts that are ending, or were given up.
    pub(crate) returning: Counts,
    /// All workers that may be given tasks, those included that are cut off for the moment.
    pub(crate) all: Counts,
}

impl Shares {
    pub(crate) fn add(&mut self, worker: &Worker) {
        self.count(worker, |count| *count += 1);
    }

    pub(crate) fn subtract(&mut self, worker: &Worker) {
        self.count(worker, |count| *count -= 1);
    }

    /// Whether both say the same of each kind.
    #[cfg(test)]
    pub(crate) fn is_as(&self, other: &Shares) -> bool {
        let of =
            |shares: &Shares, kind| [shares.free.of(kind), shares.returning.of(kind), shares.all.of(kind)];
        [Device::Cpu, Device::Cuda].into_iter().all(|kind| of(self, kind) == of(other, kind))
    }

    fn count(&mut self, worker: &Worker, how: impl Fn(&mut u32)) {
        let of = |counts: &mut Counts| how(counts.0.entry(worker.device).or_default());
        if worker.serves() {
            of(&mut self.all);
            if worker.is_free() {
                of(&mut self.free);
            } else if worker.returning && worker.cut_off.is_none() {
                of(&mut self.returning);
            }
        }
    }
}
