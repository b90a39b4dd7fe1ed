//! Who can do a job's work, and who is left out of it for now.
//!
//! A worker may lack what the others have: a mount, a permission, a device. Once a job has trained, what it takes is
//! known to be there: that somebody cannot read it is that worker's own fault, and no reason to give the job up. It is
//! left out, and has to get ready before it counts again.

use std::time::Duration;

use crate::{
    Attempt, Failure, FailureKind, Incarnation, Job, JobName, Notice, Stage, State, Time, Worker, WorkerName,
    state::Outcome,
};

/// Who is left out is asked again to get ready, or may join again, after so long.
pub(crate) const AGAIN: Duration = Duration::from_secs(60);

/// One that is not there any more is remembered for so long.
const REMEMBERED: Duration = Duration::from_secs(600);

/// A worker that is left out for now: from joining a job, or from its work altogether.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfit {
    /// Which life of its name.
    pub process: Incarnation,
    /// When it last failed.
    pub since: Time,
    /// With what; nothing if it was only in company that came to nothing.
    pub why: Option<Failure>,
    /// It cannot do the job's work at all: others could, and it could not.
    pub cannot: bool,
    /// It has said since that it can. That has to prove true before all is forgotten.
    pub is_mended: bool,
}

impl Unfit {
    /// It came to nothing, or could not get ready.
    pub(crate) fn new(process: Incarnation, since: Time, why: Option<Failure>, cannot: bool) -> Unfit {
        Unfit { process, since, why, cannot, is_mended: false }
    }

    /// Whether it may be asked again.
    pub(crate) fn is_over(&self, now: Time) -> bool {
        now.since(self.since) >= AGAIN
    }
}

impl Job {
    /// Whether a worker is known to be unable to do its work. Who has its state in memory, or is ready, can.
    pub fn excludes(&self, name: &WorkerName, worker: &Worker) -> bool {
        let cannot = self.unfit.get(name).is_some_and(|unfit| unfit.cannot);
        cannot && !worker.is_ready_for(self) && worker.state_of(self).is_none()
    }

    /// Whether a failure says nothing of the job: what it takes is there, and others could read it.
    pub(crate) fn clears_itself_of(&self, failure: &Failure) -> bool {
        failure.kind == FailureKind::BadInput && self.has_trained && !self.is_afterwards()
    }
}

/// What a failure says of the worker it happened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnFault {
    /// Nothing was known of its process: how often that can happen is bounded by how many there are.
    First,
    /// It had done the job's work, or said that it could; or it is not the training that it failed at.
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
        let there = self.crew.get(culprit)?;
        let (process, could) = (there.incarnation, there.has_worked_for(job));
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
        let unfit = Unfit::new(process, now, Some(failure.clone()), true);
        let was_known = job.unfit.insert(culprit.clone(), unfit).is_some_and(|unfit| unfit.cannot);
        out.changed.insert(name.clone());
        if !was_known {
            out.tell(name, Notice::NotReady { failure: failure.clone() });
        }
        let is_again = was_known || could || stage != Stage::Train;
        Some(if is_again { OwnFault::Again } else { OwnFault::First })
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
                let unfit = Unfit::new(member.incarnation, now, None, false);
                job.unfit.entry(member.worker.clone()).or_insert(unfit).since = now;
            }
        }
    }

    /// Those who have been gone for long do not come back under their names.
    pub(crate) fn forget_the_gone(&mut self, now: Time, out: &mut Outcome) {
        for job in self.jobs.values_mut().filter(|job| !job.unfit.is_empty()) {
            let before = job.unfit.len();
            job.unfit
                .retain(|name, unfit| self.crew.get(name).is_some() || now.since(unfit.since) < REMEMBERED);
            if job.unfit.len() < before {
                out.changed.insert(job.name().clone());
            }
        }
    }
}
