//! What happened so far, as far as later events are judged by it.

use std::{collections::BTreeMap, ops::Range};

use twinspire_control::{Attempt, Event, Generation, Job, JobName, Notice, Rank, State, Verb, WorkerName};

/// Memory of the invariants.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The newest generation that any record had.
    pub(crate) newest: Generation,
    /// Retries since a job last got further.
    retries: BTreeMap<JobName, u32>,
    /// How far jobs were when they were last recorded: checkpoint, steps gone on after from memory, stages to come.
    progress: BTreeMap<JobName, (Option<u64>, u64, usize)>,
    /// Jobs in final phases, as they were.
    finals: BTreeMap<JobName, Job>,
    /// Generation of the last commit ordered.
    pub(crate) commits: BTreeMap<JobName, Generation>,
    /// Who was told which part of a generation.
    pub(crate) parts: BTreeMap<Generation, BTreeMap<Rank, (WorkerName, Range<u32>)>>,
    pub(crate) events: u64,
}

/// Attempts before an event that must change none of them.
pub(crate) type Before = Option<Vec<(JobName, Option<Attempt>)>>;

impl Ledger {
    /// What must not change: all attempts, when somebody speaks of another generation (A).
    pub(crate) fn remember(&mut self, event: &Event, state: &State) -> Before {
        self.events += 1;
        let Event::Said { generation, .. } = event else { return None };
        let is_present =
            |job: &Job| job.attempt.as_ref().is_some_and(|attempt| attempt.generation == *generation);
        let is_foreign = *generation != Generation(0) && !state.jobs().any(is_present);
        is_foreign.then(|| state.jobs().map(|job| (job.name().clone(), job.attempt.clone())).collect())
    }

    /// A job that got further has its retries back.
    pub(crate) fn recorded(&mut self, job: &Job) {
        self.newest = self.newest.max(job.generation);
        let so_far = (job.checkpoint, job.reached, job.remaining.len());
        if self.progress.insert(job.name().clone(), so_far) != Some(so_far) {
            self.retries.remove(job.name());
        }
    }

    pub(crate) fn forget(&mut self, job: &JobName) {
        self.retries.remove(job);
        self.progress.remove(job);
        self.finals.remove(job);
        self.commits.remove(job);
    }

    /// D: retries are bounded, unless the job gets further or somebody wants it to be tried.
    pub(crate) fn told(&mut self, job: &JobName, notice: &Notice) {
        if let Notice::Retrying { retry, of, .. } = notice {
            let retries = self.retries.entry(job.clone()).or_default();
            *retries += 1;
            assert!(*retries <= *of, "D: {job} is tried again for the {retries}th time");
            assert!(*retry <= *of && *of <= 3, "D: {retry} of {of}");
        }
    }

    /// Whatever is asked of a job may change it, even when it is over.
    pub(crate) fn asked(&mut self, verb: &Verb) {
        match verb {
            Verb::Submit(_) | Verb::Drain(_) | Verb::Undrain(_) | Verb::Inject(..) => {}
            Verb::Cancel(job)
            | Verb::Pause(job)
            | Verb::Resume(job)
            | Verb::Delete(job)
            | Verb::Prioritise(job, _) => drop(self.finals.remove(job)),
            Verb::Retry(job) | Verb::Also(job, _) => {
                self.finals.remove(job);
                self.retries.remove(job);
            }
        }
    }

    /// E: a job in a final phase is as it was.
    pub(crate) fn check_final(&mut self, job: &Job) {
        let name = job.name();
        if !job.phase.is_final() {
            self.finals.remove(name);
        } else if let Some(before) = self.finals.get(name) {
            assert_eq!(before, job, "E: {name} was over");
        } else {
            self.finals.insert(name.clone(), job.clone());
        }
    }

    /// Moments are counted afresh, pauses forgotten.
    pub(crate) fn restored(&mut self) {
        self.finals.clear();
    }
}
