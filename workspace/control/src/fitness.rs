//! Who can do a job's work, and who is left out of it for now.
//!
//! A worker may lack what the others have: a mount, a permission, a device. Once a job has trained, what it takes is
//! known to be there: that somebody cannot read it is that worker's own fault, and no reason to give the job up. It is
//! left out, and has to get ready before it counts again.

use std::time::Duration;

use crate::{
    Attempt, Failure, FailureKind, Job, JobName, Notice, Stage, State, Time, Worker, WorkerName,
    state::Outcome,
};

/// Who is left out is asked again to get ready, or may join again, after so long.
pub(crate) const AGAIN: Duration = Duration::from_secs(60);

/// A worker that is left out of a job's work for now.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfit {
    /// When it last failed.
    pub since: Time,
    /// With what; nothing if it was only in company that came to nothing.
    pub why: Option<Failure>,
}

impl Unfit {
    /// Whether it may be asked again.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        now.since(self.since) >= AGAIN
    }
}

impl Job {
    /// Whether a worker is known to be unable to do its work. Who has its state in memory, or is ready, can.
    pub fn excludes(&self, name: &WorkerName, worker: &Worker) -> bool {
        let has_failed = self.unfit.get(name).is_some_and(|unfit| unfit.why.is_some());
        has_failed && !worker.is_ready_for(self) && worker.state_of(self).is_none()
    }

    /// Whether a failure says nothing of the job: what it takes is there, and others could read it.
    fn clears_itself_of(&self, failure: &Failure) -> bool {
        failure.kind == FailureKind::BadInput && self.has_trained && !self.is_afterwards()
    }
}

/// What a failure says of the worker it happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnFault {
    /// Nothing was known of it: how often that can happen is bounded by how many workers there are.
    First,
    /// It had done the job's work, or was ready to.
    Again,
}

impl State {
    /// Workers that a job leaves out.
    pub(crate) fn excluded<'a>(&'a self, job: &'a Job) -> impl Iterator<Item = (&'a WorkerName, &'a Worker)> {
        let there = job.unfit.keys().filter_map(|name| self.crew.get(name).map(|worker| (name, worker)));
        there.filter(|(name, worker)| job.excludes(name, worker))
    }

    /// Takes note of a failure that is one worker's own: the job goes on without it, as long as somebody may do better.
    pub(crate) fn leave_out(
        &mut self,
        name: &JobName,
        failure: &Failure,
        now: Time,
        out: &mut Outcome,
    ) -> Option<OwnFault> {
        let job = self.jobs.get(name).filter(|job| job.clears_itself_of(failure))?;
        let culprit = failure.worker.as_ref()?;
        let stage = job.remaining.front().copied()?;
        let could = self.crew.get(culprit).is_some_and(|worker| worker.has_worked_for(job));
        let kinds = job.request.device.kinds(stage);
        let may = |(other, worker): (&WorkerName, &Worker)| {
            other != culprit
                && worker.serves()
                && kinds.contains(&worker.device)
                && !job.excludes(other, worker)
        };
        // Nobody who is there can do what this one could before: then it is the input that has changed.
        if could && !self.crew.iter().any(may) {
            return None;
        }
        let job = self.jobs.get_mut(name)?;
        let before = job.unfit.insert(culprit.clone(), Unfit { since: now, why: Some(failure.clone()) });
        let was_known = before.is_some_and(|unfit| unfit.why.is_some());
        out.changed.insert(name.clone());
        if !was_known {
            out.tell(name, Notice::NotReady { failure: failure.clone() });
        }
        Some(if was_known || could { OwnFault::Again } else { OwnFault::First })
    }

    /// An attempt came to nothing before training went on: those it was to be joined by are not asked again at once.
    pub(crate) fn leave_newcomers_out(&mut self, name: &JobName, attempt: &Attempt, now: Time) {
        let Some(job) = self.jobs.get_mut(name).filter(|_| attempt.stage == Stage::Train) else { return };
        let states = attempt.members.iter().map(|member| {
            let there = self.crew.get(&member.worker).filter(|worker| member.is(worker));
            (member, there.and_then(|worker| worker.state_of(job)))
        });
        let states: Vec<_> = states.collect();
        let has_begun = states.iter().any(|(_, state)| *state == Some(attempt.generation));
        let has_survivors = states.iter().any(|(_, state)| state.is_some());
        if has_survivors && !has_begun {
            for (member, _) in states.into_iter().filter(|(_, state)| state.is_none()) {
                let unfit = job.unfit.entry(member.worker.clone()).or_insert(Unfit { since: now, why: None });
                unfit.since = now;
            }
        }
    }
}
