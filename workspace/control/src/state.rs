//! The whole: jobs, workers, and the one way in.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    Command, Event, Generation, Job, JobName, Notice, Phase, Policy, Session, Time, Worker, WorkerName,
    crew::Crew, seats::Seats,
};

/// What is recorded of the pool itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pool {
    /// Workers that are to get no tasks.
    pub drained: BTreeSet<WorkerName>,
    /// Jobs ever submitted: the last one's place in the queue.
    pub submitted: u64,
    /// The newest generation of all jobs, of forgotten ones too.
    pub generation: Generation,
}

/// Jobs and workers.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub(crate) policy: Policy,
    pub(crate) jobs: BTreeMap<JobName, Job>,
    pub(crate) crew: Crew,
    pub(crate) sessions: BTreeMap<Session, WorkerName>,
    pub(crate) seats: Seats,
    pub(crate) pool: Pool,
    /// When this coordinator began.
    pub(crate) begun: Time,
    /// Somebody may have to start, grow or give way.
    pub(crate) unsettled: bool,
    /// Those who wait are to be told what for.
    pub(crate) explain: bool,
    /// When they were last told in the course of time.
    pub(crate) explained: Time,
    /// When the clock was last looked at.
    pub(crate) ticked: Option<Time>,
}

/// What one event leads to, collected while it is handled.
#[derive(Default)]
pub(crate) struct Outcome {
    records: Vec<Command>,
    commands: Vec<Command>,
    pub(crate) changed: BTreeSet<JobName>,
    pub(crate) forgotten: BTreeSet<JobName>,
    pub(crate) pool_changed: bool,
}

impl Outcome {
    pub(crate) fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    pub(crate) fn tell(&mut self, job: &JobName, notice: Notice) {
        self.push(Command::Tell { job: job.clone(), notice });
    }
}

impl State {
    /// No jobs, no workers.
    pub fn new(policy: Policy) -> State {
        State::restore(policy, Vec::new(), Pool::default(), Time(0))
    }

    /// As another coordinator left it. Workers come back by themselves; attempts wait for theirs.
    pub fn restore(policy: Policy, jobs: Vec<Job>, mut pool: Pool, now: Time) -> State {
        let mut seats = Seats::default();
        let mut restored = BTreeMap::new();
        for mut job in jobs {
            let name = job.name().clone();
            // Its clock may have been ahead of this one.
            job.since = job.since.min(now);
            // Records from before that was noted.
            job.has_trained |= job.reached > 0 || job.checkpoint > job.request.checkpoint;
            pool.submitted = pool.submitted.max(job.sequence);
            pool.generation = pool.generation.max(job.generation);
            if let Some(attempt) = &mut job.attempt {
                attempt.adopt_by = Some(now + policy.adopt);
                attempt.since = now;
                seats.take(&name, attempt);
            }
            restored.insert(name, job);
        }
        State {
            policy,
            jobs: restored,
            crew: Crew::default(),
            sessions: BTreeMap::new(),
            seats,
            pool,
            begun: now,
            unsettled: true,
            explain: true,
            explained: now,
            ticked: None,
        }
    }

    /// Applies an event; what is to be done about it.
    pub fn apply(&mut self, event: Event, now: Time) -> Vec<Command> {
        let mut out = Outcome::default();
        match event {
            Event::Asked(verb) => self.asked(verb, now, &mut out),
            Event::Registered(session, registration) => self.registered(session, registration, now, &mut out),
            Event::Said { session, generation, what } => self.said(session, generation, what, now, &mut out),
            Event::Left { session, why } => self.left(session, why, now, &mut out),
            Event::Ended { worker, why } => self.gone(&worker, &why, now, &mut out),
            Event::Tick => self.tick(now, &mut out),
        }
        self.record(&mut out);
        self.schedule(now, &mut out);
        self.record(&mut out);
        out.records.append(&mut out.commands);
        out.records
    }

    /// Invariant F: records come before everything else; and what gives workers back is recorded
    /// before what takes them, so that no two records ever claim the same ones.
    fn record(&self, out: &mut Outcome) {
        if std::mem::take(&mut out.pool_changed) {
            out.records.push(Command::RecordPool(self.pool.clone()));
        }
        out.records.extend(std::mem::take(&mut out.forgotten).into_iter().map(Command::Forget));
        let changed = std::mem::take(&mut out.changed);
        let changed = changed.iter().filter_map(|name| self.jobs.get(name));
        out.records.extend(changed.map(|job| Command::Record(Box::new(job.clone()))));
    }

    /// All jobs, by name.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// A job.
    pub fn job(&self, name: &JobName) -> Option<&Job> {
        self.jobs.get(name)
    }

    /// All workers, by name.
    pub fn workers(&self) -> impl Iterator<Item = (&WorkerName, &Worker)> {
        self.crew.iter()
    }

    /// Whether a worker is to get no more tasks.
    pub fn is_drained(&self, worker: &WorkerName) -> bool {
        self.pool.drained.contains(worker)
    }

    /// Jobs that wait for workers before this one does.
    pub fn ahead_of(&self, name: &JobName) -> Vec<&JobName> {
        let Some(job) = self.jobs.get(name).filter(|job| job.phase == Phase::Pending) else {
            return Vec::new();
        };
        let mut ahead: Vec<&Job> = self
            .jobs
            .values()
            .filter(|other| other.phase == Phase::Pending && other.rank() < job.rank())
            .collect();
        ahead.sort_by_key(|job| job.rank());
        ahead.into_iter().map(Job::name).collect()
    }

    /// Moves a job to a phase, with a reason.
    pub(crate) fn enter(
        &mut self,
        name: &JobName,
        phase: Phase,
        reason: String,
        now: Time,
        out: &mut Outcome,
    ) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        if job.phase == phase && job.reason == reason {
            return;
        }
        if job.phase != phase {
            job.since = now;
        }
        if phase.is_final() {
            // Whatever was wrong with workers may be mended when somebody asks for more.
            job.unfit.clear();
        }
        job.phase = phase;
        job.reason.clone_from(&reason);
        out.changed.insert(name.clone());
        out.tell(name, Notice::Phase { phase, reason });
    }
}
