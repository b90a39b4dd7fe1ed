//! The workers there are, and how many of them could be given something to do.
//!
//! Whoever decides wants counts, after almost every event, and there may be thousands of workers:
//! so the counts are kept, not taken. They hold because every change goes through [`Crew::change`].

use std::collections::BTreeMap;

use crate::{Generation, Job, Time, Worker, WorkerName, shares::Shares};

/// Workers by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Crew {
    workers: BTreeMap<WorkerName, Worker>,
    shares: Shares,
}

/// How many workers have the newest state of a training in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Those that are free.
    pub(crate) at_hand: u32,
    /// Those that are about to be.
    pub(crate) coming_back: u32,
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

    /// Who has the state of a training in memory that was interrupted.
    pub(crate) fn memory_of(&self, job: &Job) -> Memory {
        let (mut memory, mut newest) = (Memory::default(), Generation(0));
        for worker in self.workers.values() {
            let Some(generation) = worker.state_of(job.name()).filter(|generation| *generation >= newest)
            else {
                continue;
            };
            let is_coming_back = worker.serves() && worker.returning && worker.cut_off.is_none();
            if !worker.is_free() && !is_coming_back {
                continue;
            }
            if generation > newest {
                (memory, newest) = (Memory::default(), generation);
            }
            match is_coming_back {
                true => memory.coming_back += 1,
                false => memory.at_hand += 1,
            }
        }
        memory
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
