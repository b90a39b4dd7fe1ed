//! The workers there are, and how many of them could be given something to do.
//!
//! Whoever decides wants counts, after almost every event, and there may be thousands of workers:
//! so the counts are kept, not taken. They hold because every change goes through [`Crew::change`].

use std::collections::{BTreeMap, BTreeSet};

use crate::{Generation, Job, JobName, Membership, Time, Worker, WorkerName, shares::Shares};

/// Workers by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Crew {
    workers: BTreeMap<WorkerName, Worker>,
    shares: Shares,
}

/// States of jobs in workers' memory, by the generation that they are of.
#[derive(Default)]
pub(crate) struct Memories<'a> {
    at_hand: BTreeSet<(&'a JobName, Generation)>,
    coming_back: BTreeSet<(&'a JobName, Generation)>,
}

impl Memories<'_> {
    /// Whether whoever has the job's state is not free yet, but about to be.
    pub(crate) fn is_coming_back(&self, job: &Job) -> bool {
        let newest = (job.name(), job.generation);
        self.coming_back.contains(&newest) && !self.at_hand.contains(&newest)
    }
}

impl Crew {
    pub(crate) fn get(&self, name: &WorkerName) -> Option<&Worker> {
        self.workers.get(name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&WorkerName, &Worker)> {
        self.workers.iter()
    }

    /// How many there are of each kind.
    pub(crate) fn shares(&self) -> &Shares {
        &self.shares
    }

    /// Whose state workers have in memory that are free, and whose state those have that are about to be.
    pub(crate) fn memories(&self) -> Memories<'_> {
        let mut memories = Memories::default();
        if self.shares.returning.is_nothing() {
            // Asked after almost every event: nobody's state can be coming back.
            return memories;
        }
        for worker in self.workers.values() {
            let Some(Membership { job, generation }) = &worker.last else { continue };
            if worker.is_free() {
                memories.at_hand.insert((job, *generation));
            } else if worker.serves() && worker.returning && worker.cut_off.is_none() {
                memories.coming_back.insert((job, *generation));
            }
        }
        memories
    }

    pub(crate) fn put(&mut self, name: WorkerName, worker: Worker) {
        self.shares.add(&worker);
        if let Some(earlier) = self.workers.insert(name, worker) {
            self.shares.subtract(&earlier);
        }
    }

    pub(crate) fn remove(&mut self, name: &WorkerName) -> Option<Worker> {
        let worker = self.workers.remove(name)?;
        self.shares.subtract(&worker);
        Some(worker)
    }

    /// Changes a worker, if it is there.
    pub(crate) fn change(&mut self, name: &WorkerName, how: impl FnOnce(&mut Worker)) -> Option<&Worker> {
        let worker = self.workers.get_mut(name)?;
        self.shares.subtract(worker);
        how(worker);
        self.shares.add(worker);
        Some(worker)
    }

    /// It was heard of: most of what happens, and nothing that counts.
    pub(crate) fn heard(&mut self, name: &WorkerName, now: Time) -> Option<&Worker> {
        let worker = self.workers.get_mut(name)?;
        worker.heard = now;
        Some(worker)
    }

    /// Moves the moments from which silence is counted.
    pub(crate) fn shift(&mut self, how: impl Fn(Time) -> Time) {
        for worker in self.workers.values_mut() {
            worker.heard = how(worker.heard);
            if let Some((since, _)) = &mut worker.cut_off {
                *since = how(*since);
            }
        }
    }
}
