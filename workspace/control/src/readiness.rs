//! Who is to join a training gets ready for it while the others train on: it opens the dataset and builds the towers.
//!
//! Only then do those stop between two steps to meet it (invariant 4): what takes a newcomer long, or fails, costs them
//! nothing.

use std::time::Duration;

use crate::{
    Command, Device, Failure, Generation, Job, JobName, Notice, Order, Rank, Session, State, Time, Worker,
    WorkerName, state::Outcome,
};

/// A worker that could not get ready is asked again after so long.
const AGAIN: Duration = Duration::from_secs(60);

/// A free worker and a training that it was asked to get ready for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    job: JobName,
    /// Tells jobs of one name apart.
    submitted: Time,
    how: How,
    since: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Asked,
    Ready,
    Failed,
}

/// How many free workers are how ready for a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Those that can begin at once.
    pub(crate) workers: u32,
    /// How long the first of them has waited.
    pub(crate) waited: Duration,
    /// Those that could not, a short while ago.
    pub(crate) unfit: u32,
}

impl Worker {
    fn readiness_for(&self, job: &Job) -> Option<&Readiness> {
        let readiness = self.readiness.as_ref()?;
        (readiness.job == *job.name() && readiness.submitted == job.submitted).then_some(readiness)
    }

    /// Whether it can begin with a training at once.
    pub(crate) fn is_ready_for(&self, job: &Job) -> bool {
        self.readiness_for(job).is_some_and(|readiness| readiness.how == How::Ready)
    }

    #[cfg(test)]
    pub(crate) fn is_asked_to_get_ready(&self) -> bool {
        self.readiness.as_ref().is_some_and(|readiness| readiness.how == How::Asked)
    }

    fn is_unfit_for(&self, job: &Job, now: Time) -> bool {
        self.readiness_for(job)
            .is_some_and(|readiness| readiness.how == How::Failed && now.since(readiness.since) < AGAIN)
    }
}

impl State {
    /// How ready free workers of a kind are for a training.
    pub(crate) fn ready(&self, job: &Job, device: Device, now: Time) -> Ready {
        let mut ready = Ready::default();
        let free = self.crew.iter().map(|(_, worker)| worker);
        for worker in free.filter(|worker| worker.is_free() && worker.device == device) {
            if worker.is_ready_for(job) {
                ready.workers += 1;
                let since = worker.readiness.as_ref().map_or(now, |readiness| readiness.since);
                ready.waited = ready.waited.max(now.since(since));
            } else if worker.is_unfit_for(job, now) {
                ready.unfit += 1;
            }
        }
        ready
    }

    /// Has as many free workers get ready, those included that are at it.
    pub(crate) fn get_ready(&mut self, name: &JobName, workers: u32, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get(name) else { return };
        let Some(attempt) = &job.attempt else { return };
        let fits = |worker: &Worker| {
            worker.is_free() && worker.device == attempt.device && !worker.is_unfit_for(job, now)
        };
        let mut fit: Vec<_> = self.crew.iter().filter(|(_, worker)| fits(worker)).collect();
        let is_at_it =
            |worker: &Worker| worker.readiness_for(job).is_some_and(|readiness| readiness.how != How::Failed);
        fit.sort_by_key(|(_, worker)| !is_at_it(worker));
        fit.truncate(workers as usize);
        let asked: Vec<(WorkerName, Session)> = fit
            .into_iter()
            .filter(|(_, worker)| !is_at_it(worker))
            .map(|(worker, there)| (worker.clone(), there.session))
            .collect();
        if asked.is_empty() {
            return;
        }
        let world = attempt.members.len() as u32 + 1;
        let assignment = job.assignment(attempt.stage, Rank(0), world, 0..0);
        let readiness =
            Readiness { job: name.clone(), submitted: job.submitted, how: How::Asked, since: now };
        for (worker, session) in &asked {
            self.crew.change(worker, |worker| {
                worker.state.take_if(|state| state.job != *name);
                worker.readiness = Some(readiness.clone());
            });
            let order = Order::GetReady(assignment.clone());
            out.push(Command::Send { session: *session, generation: Generation(0), order });
        }
        let workers = asked.into_iter().map(|(worker, _)| worker).collect();
        out.tell(name, Notice::GettingReady { workers });
    }

    /// A worker is ready for a training, or could not get so.
    pub(crate) fn got_ready(
        &mut self,
        name: &WorkerName,
        (job, submitted): (JobName, Time),
        failure: Option<Failure>,
        now: Time,
        out: &mut Outcome,
    ) {
        let is_of = |readiness: &Readiness| readiness.job == job && readiness.submitted == submitted;
        let asked = self.crew.get(name).and_then(|worker| worker.readiness.as_ref());
        if !asked.is_some_and(|asked| is_of(asked) && asked.how == How::Asked) {
            return;
        }
        let how = if failure.is_some() { How::Failed } else { How::Ready };
        let readiness = Readiness { job: job.clone(), submitted, how, since: now };
        self.crew.change(name, |worker| worker.readiness = Some(readiness));
        self.unsettled = true;
        if let Some(failure) = failure {
            out.tell(&job, Notice::NotReady { failure: Failure { worker: Some(name.clone()), ..failure } });
        }
    }
}
