//! The workers there are, and how many of them could be given something to do.
//!
//! Whoever decides wants counts, after almost every event, and there may be thousands of workers:
//! so the counts are kept, not taken. They hold because every change goes through [`Crew::change`].

use std::collections::BTreeMap;

use crate::{Device, Generation, Job, JobName, Time, Worker, WorkerName, shares::Shares};

/// Workers by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Crew {
    workers: BTreeMap<WorkerName, Worker>,
    shares: Shares,
}

/// How many workers have the newest state of a training in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// The kind of workers they are.
    pub(crate) device: Device,
    /// When it is from.
    generation: Generation,
    /// Those that are free.
    pub(crate) at_hand: u32,
    /// Those that are about to be.
    pub(crate) coming_back: u32,
}

impl Memory {
    /// Workers that are free, or about to be.
    #[cfg(test)]
    pub(crate) fn of(device: Device, at_hand: u32, coming_back: u32) -> Memory {
        Memory { device, generation: Generation(1), at_hand, coming_back }
    }

    /// Whether a worker is one of them. One may have an older state.
    pub(crate) fn counts(&self, worker: &Worker, job: &Job) -> bool {
        worker.state_of(job) == Some(self.generation)
    }

    fn none(device: Device, generation: Generation) -> Memory {
        Memory { device, generation, at_hand: 0, coming_back: 0 }
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

    /// Who has the states of trainings in memory that were interrupted. Of those who do not let go in time nothing is
    /// expected any more: what others have is older, and better than nothing.
    pub(crate) fn memories<'a>(
        &self,
        jobs: impl Iterator<Item = &'a Job>,
        now: Time,
    ) -> BTreeMap<JobName, Memory> {
        let jobs: BTreeMap<&JobName, &Job> = jobs.map(|job| (job.name(), job)).collect();
        let mut memories = BTreeMap::new();
        if jobs.is_empty() {
            return memories;
        }
        for worker in self.workers.values() {
            let is_coming_back = worker.serves() && worker.returning && worker.cut_off.is_none();
            let Some(state) = worker.state.as_ref().filter(|_| worker.is_free() || is_coming_back) else {
                continue;
            };
            let Some(job) = jobs.get(&state.job) else { continue };
            let is_late = is_coming_back && now.since(job.since) >= job.request.timeouts.let_go;
            let Some(generation) = worker.state_of(job).filter(|_| !is_late) else { continue };
            let none = Memory::none(worker.device, generation);
            let memory = memories.entry(state.job.clone()).or_insert(none);
            if generation > memory.generation {
                *memory = none;
            }
            if generation == memory.generation && worker.device == memory.device {
                let count = if is_coming_back { &mut memory.coming_back } else { &mut memory.at_hand };
                *count += 1;
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
