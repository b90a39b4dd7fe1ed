//! Who is to join a training gets ready for it while the others train on: it opens the dataset and builds the towers.
//!
//! Only then do those stop between two steps to meet it (invariant 4): what takes a newcomer long, or fails, costs them
//! nothing.

use std::time::Duration;

use crate::{
    Command, Failure, Generation, Job, JobName, Notice, Order, Rank, Stage, State, Time, Worker, WorkerName,
    fitness::{AGAIN, Unfit},
    state::Outcome,
};

/// The training that a free worker was asked to get ready for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    job: JobName,
    /// Tells jobs of one name apart.
    submitted: Time,
    is_ready: bool,
    /// When it was asked, or was ready.
    since: Time,
}

/// What a free worker is to a training that could grow by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fitness {
    /// It can begin at once, and has waited for so long.
    Ready(Duration),
    GettingReady,
    Unasked,
    /// It could not get ready, or takes very long; or it is, or was a moment ago, asked to get ready for another
    /// training; or it has what another training goes on from.
    Unfit,
}

/// How many free workers are how ready for a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Newcomers {
    /// Those that can begin at once.
    pub(crate) ready: u32,
    /// How long the first of them has waited.
    pub(crate) waited: Duration,
    /// Those it cannot grow by.
    pub(crate) unfit: u32,
}

impl Worker {
    fn readiness_for(&self, job: &Job) -> Option<&Readiness> {
        let readiness = self.readiness.as_ref()?;
        (readiness.job == *job.name() && readiness.submitted == job.submitted).then_some(readiness)
    }

    /// Whether it can begin with a training at once.
    pub(crate) fn is_ready_for(&self, job: &Job) -> bool {
        self.readiness_for(job).is_some_and(|readiness| readiness.is_ready)
    }

    #[cfg(test)]
    pub(crate) fn is_asked_to_get_ready(&self) -> bool {
        self.readiness.as_ref().is_some_and(|readiness| !readiness.is_ready)
    }
}

impl State {
    fn fitness(&self, name: &WorkerName, worker: &Worker, job: &Job, now: Time) -> Fitness {
        let is_out = job.unfit.get(name).is_some_and(|unfit| !unfit.is_over(now));
        let is_anothers = worker.readiness.as_ref().is_some_and(|readiness| {
            let other = self.jobs.get(&readiness.job).filter(|other| other.submitted == readiness.submitted);
            let wants_it = other.is_some_and(|other| !other.phase.is_final() && other.name() != job.name());
            wants_it && now.since(readiness.since) < AGAIN
        });
        let has_anothers =
            worker.state.as_ref().filter(|state| state.job != *job.name()).is_some_and(|state| {
                // Waiting, or in a pause before it is tried again.
                self.jobs.get(&state.job).is_some_and(Job::goes_on_from_memory)
            });
        match worker.readiness_for(job) {
            Some(Readiness { is_ready: true, since, .. }) => Fitness::Ready(now.since(*since)),
            _ if is_out || has_anothers || is_anothers => Fitness::Unfit,
            Some(Readiness { since, .. }) if now.since(*since) >= AGAIN => Fitness::Unfit,
            Some(_) => Fitness::GettingReady,
            None => Fitness::Unasked,
        }
    }

    /// How ready free workers are for a training.
    pub(crate) fn newcomers<'a>(
        &self,
        job: &Job,
        free: impl IntoIterator<Item = (&'a WorkerName, &'a Worker)>,
        now: Time,
    ) -> Newcomers {
        let mut newcomers = Newcomers::default();
        for (name, worker) in free {
            match self.fitness(name, worker, job, now) {
                Fitness::Ready(waited) => {
                    newcomers.ready += 1;
                    newcomers.waited = newcomers.waited.max(waited);
                }
                Fitness::Unfit => newcomers.unfit += 1,
                Fitness::GettingReady | Fitness::Unasked => {}
            }
        }
        newcomers
    }

    /// Has as many free workers get ready, those included that are, or are at it.
    pub(crate) fn get_ready(&mut self, name: &JobName, workers: u32, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get(name) else { return };
        let Some(attempt) = &job.attempt else { return };
        let free = self.crew.iter().filter(|(_, worker)| worker.is_free() && worker.device == attempt.device);
        let mut missing = workers as usize;
        let mut unasked: Vec<WorkerName> = Vec::new();
        for (worker, there) in free {
            match self.fitness(worker, there, job, now) {
                Fitness::Ready(_) | Fitness::GettingReady => missing = missing.saturating_sub(1),
                Fitness::Unasked => unasked.push(worker.clone()),
                Fitness::Unfit => {}
            }
        }
        unasked.truncate(missing);
        let world = attempt.members.len() as u32 + 1;
        self.ask(name, unasked, world, now, out);
    }

    /// What was wrong with those whom a waiting job leaves out may be mended by now.
    pub(crate) fn ask_the_excluded(&mut self, name: &JobName, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get(name).filter(|job| job.has_trained) else { return };
        let is_due = |name: &WorkerName, worker: &Worker| {
            let gave_no_answer =
                worker.readiness_for(job).is_some_and(|asked| now.since(asked.since) >= AGAIN);
            let is_unasked = self.fitness(name, worker, job, now) == Fitness::Unasked;
            worker.is_free() && (is_unasked || gave_no_answer)
        };
        let again = self.excluded(job).filter(|(name, worker)| is_due(name, worker));
        let again = again.map(|(name, _)| name.clone()).collect();
        let (fewest, _) = job.workers(Stage::Train);
        self.ask(name, again, fewest, now, out);
    }

    fn ask(&mut self, name: &JobName, workers: Vec<WorkerName>, world: u32, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get(name).filter(|_| !workers.is_empty()) else { return };
        let assignment = job.assignment(Stage::Train, Rank(0), world, 0..0, now);
        let readiness =
            Readiness { job: name.clone(), submitted: job.submitted, is_ready: false, since: now };
        for worker in &workers {
            let asked = self.crew.change(worker, |worker| {
                worker.state.take_if(|state| state.job != *name);
                worker.readiness = Some(readiness.clone());
            });
            if let Some(session) = asked.map(|worker| worker.session) {
                let order = Order::GetReady(assignment.clone());
                out.push(Command::Send { session, generation: Generation(0), order });
            }
        }
        // Told once, however often it is tried.
        let is_news = |worker: &WorkerName| !job.unfit.contains_key(worker);
        let news: Vec<WorkerName> = workers.into_iter().filter(is_news).collect();
        if !news.is_empty() {
            out.tell(name, Notice::GettingReady { workers: news });
        }
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
        if !asked.is_some_and(|asked| is_of(asked) && !asked.is_ready) {
            return;
        }
        let Some(process) = self.crew.get(name).map(|worker| worker.incarnation) else { return };
        let is_ready = failure.is_none();
        self.crew.change(name, |worker| {
            worker.readiness =
                is_ready.then(|| Readiness { job: job.clone(), submitted, is_ready, since: now });
        });
        let Some(of) = self.jobs.get_mut(&job).filter(|of| !of.phase.is_final()) else { return };
        let before = of.unfit.get_mut(name);
        // Told once, however often it is tried.
        match failure.map(|failure| Failure { worker: Some(name.clone()), ..failure }) {
            Some(failure) => {
                let was_told = before.as_ref().is_some_and(|unfit| unfit.why.is_some() && !unfit.is_mended);
                // Trouble that may pass keeps nobody from beginning with the job.
                let cannot =
                    of.clears_itself_of(&failure) || of.unfit.get(name).is_some_and(|unfit| unfit.cannot);
                of.unfit.insert(name.clone(), Unfit::new(process, now, Some(failure.clone()), cannot));
                if was_told {
                    return;
                }
                out.tell(&job, Notice::NotReady { failure });
            }
            None => {
                let Some(unfit) = before.filter(|unfit| unfit.why.is_some() && !unfit.is_mended) else {
                    return;
                };
                unfit.is_mended = true;
                out.tell(&job, Notice::Ready { worker: name.clone() });
            }
        }
        out.changed.insert(job);
    }
}
