//! A coordinator without a network: what a test says happens, and what is decided.

use std::{collections::BTreeMap, time::Duration};

use crate::{shares::Shares, *};

/// How often ticks come.
const TICK: Duration = Duration::from_millis(200);

/// The core, its clock, its workers, its records and what it said last.
pub(super) struct World {
    pub(super) state: State,
    pub(super) now: Time,
    /// By name: connection and process of workers.
    pub(super) workers: BTreeMap<String, (Session, Incarnation)>,
    /// What the last event led to.
    pub(super) said: Vec<Command>,
    records: BTreeMap<JobName, String>,
    pool: Pool,
    numbers: u64,
}

pub(super) const PREPARE: Stage = Stage::Prepare;
pub(super) const TRAIN: Stage = Stage::Train;
pub(super) const EVALUATE: Stage = Stage::Evaluate { split: Split::Test, step: None };
pub(super) const EXPORT: Stage = Stage::Export { step: None };

/// A job that trains on `min` to `max` workers.
pub(super) fn job(name: &str, min: u32, max: u32) -> Request {
    Request {
        name: name.into(),
        key: "key".into(),
        priority: 0,
        lanes: 8,
        min_workers: min,
        max_workers: max,
        device: DeviceWish::Cpu,
        plan: vec![TRAIN, EVALUATE],
        generation: Generation(0),
        checkpoint: None,
        chaos: false,
        stragglers: Stragglers::FewerLanes,
        timeouts: Timeouts {
            heartbeat: Duration::from_secs(1),
            lost: Duration::from_secs(3),
            blame: Duration::from_secs(1),
            let_go: Duration::from_secs(10),
            collective: Duration::from_secs(60),
        },
    }
}

impl World {
    /// Workers `w1`, `w2`, … and nothing to do.
    pub(super) fn new(workers: u32) -> World {
        let mut world = World {
            state: State::new(Policy::default()),
            now: Time(1_000_000),
            workers: BTreeMap::new(),
            said: Vec::new(),
            records: BTreeMap::new(),
            pool: Pool::default(),
            numbers: 0,
        };
        (1..=workers).for_each(|worker| world.join(&format!("w{worker}"), Device::Cpu));
        world
    }

    /// A job that has begun to train on as many workers.
    pub(super) fn training(workers: u32) -> World {
        let mut world = World::new(workers);
        world.submit(job("a", workers, workers));
        assert_eq!(world.job("a").phase, Phase::Running);
        world
    }

    pub(super) fn apply(&mut self, event: Event) -> &[Command] {
        self.said = self.state.apply(event, self.now);
        let mut counted = Shares::default();
        self.state.workers().for_each(|(_, worker)| counted.add(worker));
        assert!(self.state.crew.shares().is_as(&counted), "kept counts are not what there is");
        for command in &self.said {
            match command {
                Command::Record(job) => {
                    let record = serde_json::to_string(job).expect("a job can be written down");
                    self.records.insert(job.name().clone(), record);
                }
                Command::Forget(job) => drop(self.records.remove(job)),
                Command::RecordPool(pool) => self.pool = pool.clone(),
                _ => {}
            }
        }
        &self.said
    }

    /// Another coordinator goes on from the records; nobody is connected to it.
    pub(super) fn change_coordinators(&mut self) {
        let read = |record: &String| serde_json::from_str(record).expect("a record can be read");
        let jobs = self.records.values().map(read).collect();
        self.state = State::restore(Policy::default(), jobs, self.pool.clone(), self.now);
    }

    pub(super) fn ask(&mut self, verb: Verb) -> Result<Answer, Refusal> {
        self.apply(Event::Asked(verb));
        let mut answers = self.said.iter().filter_map(|command| match command {
            Command::Answer(answer) => Some(answer.clone()),
            _ => None,
        });
        answers.next_back().expect("every request is answered")
    }

    pub(super) fn submit(&mut self, request: Request) {
        assert_eq!(self.ask(Verb::Submit(Box::new(request))), Ok(Answer::Done));
    }

    /// A new process of that name connects.
    pub(super) fn join(&mut self, worker: &str, device: Device) {
        self.numbers += 1;
        self.workers.insert(worker.into(), (Session(0), Incarnation(self.numbers)));
        self.connect(worker, device, None, None);
    }

    /// The same process connects again.
    pub(super) fn reconnect(&mut self, worker: &str, running: Option<Membership>) {
        self.reconnect_with(worker, running, None);
    }

    /// The same, with what it has in memory.
    pub(super) fn reconnect_with(
        &mut self,
        worker: &str,
        running: Option<Membership>,
        state: Option<Membership>,
    ) {
        self.connect(worker, Device::Cpu, running, state);
    }

    fn connect(
        &mut self,
        worker: &str,
        device: Device,
        running: Option<Membership>,
        state: Option<Membership>,
    ) {
        self.numbers += 1;
        let session = Session(self.numbers);
        let (connection, incarnation) = self.workers.get_mut(worker).expect("it has a process");
        *connection = session;
        let (name, about) = (worker.into(), String::new());
        let registration = Registration { name, incarnation: *incarnation, device, about, running, state };
        self.apply(Event::Registered(session, registration));
    }

    /// The worker's connection breaks.
    pub(super) fn cut(&mut self, worker: &str) {
        let session = self.session(worker);
        self.apply(Event::Left { session, why: "connection reset".into() });
    }

    /// The worker speaks of the task it has.
    pub(super) fn say(&mut self, worker: &str, what: FromWorker) -> &[Command] {
        let generation = self.task(worker).map_or(Generation(0), |task| task.generation);
        self.say_of(worker, generation, what)
    }

    pub(super) fn say_of(&mut self, worker: &str, generation: Generation, what: FromWorker) -> &[Command] {
        let session = self.session(worker);
        self.apply(Event::Said { session, generation, what })
    }

    /// The worker is ready for a training that goes on without it, or could not get so.
    pub(super) fn got_ready(&mut self, worker: &str, job: &str, failure: Option<Failure>) -> &[Command] {
        let (job, submitted) = (job.into(), self.job(job).submitted);
        self.say_of(worker, Generation(0), FromWorker::Ready { job, submitted, failure })
    }

    pub(super) fn all_say(&mut self, workers: &[&str], what: &FromWorker) {
        for worker in workers {
            self.say(worker, what.clone());
        }
    }

    /// Time goes by, and workers are heard of, except for silent ones.
    pub(super) fn pass(&mut self, span: Duration, silent: &[&str]) {
        let mut left = span;
        while left > Duration::ZERO {
            let step = left.min(TICK);
            left -= step;
            self.now = self.now + step;
            for worker in self.workers.keys().cloned().collect::<Vec<_>>() {
                if !silent.contains(&worker.as_str()) {
                    self.say(&worker, FromWorker::Heartbeat);
                }
            }
            self.apply(Event::Tick);
        }
    }

    pub(super) fn session(&self, worker: &str) -> Session {
        self.workers[worker].0
    }

    pub(super) fn job(&self, name: &str) -> &Job {
        self.state.job(&name.into()).expect("there is such a job")
    }

    pub(super) fn attempt(&self, name: &str) -> &Attempt {
        self.job(name).attempt.as_ref().expect("somebody is at it")
    }

    /// Who is at a job.
    pub(super) fn members(&self, name: &str) -> Vec<String> {
        self.attempt(name).members.iter().map(|member| member.worker.to_string()).collect()
    }

    pub(super) fn worker(&self, worker: &str) -> Option<&Worker> {
        self.state.workers().find(|(name, _)| name.as_str() == worker).map(|(_, worker)| worker)
    }

    pub(super) fn task(&self, worker: &str) -> Option<Membership> {
        self.worker(worker).and_then(|worker| worker.task.clone())
    }

    /// Whether the last event ended a connection.
    pub(super) fn dismissed(&self, session: Session) -> bool {
        let ends =
            |command: &Command| matches!(command, Command::Dismiss { session: of, .. } if *of == session);
        self.said.iter().any(ends)
    }

    /// Why the last event has a job tried again.
    pub(super) fn retried(&self) -> Option<&Failure> {
        self.said.iter().find_map(|command| match command {
            Command::Tell { notice: Notice::Retrying { failure, .. }, .. } => Some(failure),
            _ => None,
        })
    }

    /// What the last event has a worker told.
    pub(super) fn told(&self, worker: &str) -> Vec<Order> {
        let session = self.session(worker);
        let orders = self.said.iter().filter_map(|command| match command {
            Command::Send { session: to, order, .. } if *to == session => Some(order.clone()),
            _ => None,
        });
        orders.collect()
    }
}

pub(super) fn started() -> FromWorker {
    FromWorker::Started(Started { total_steps: 10, ..Started::default() })
}

pub(super) fn trained(stopped: bool) -> FromWorker {
    FromWorker::Done(TaskResult::Trained { step: 10, total_steps: 10, stopped, ended_early: String::new() })
}

pub(super) fn evaluated() -> FromWorker {
    FromWorker::Done(TaskResult::Evaluated { step: 10, split: Split::Test, report: "{}".into() })
}

pub(super) fn failure(kind: FailureKind) -> FromWorker {
    let message = "it broke".into();
    FromWorker::Failed(Failure { code: "TW4001".into(), message, kind, worker: None })
}

pub(super) fn part(step: u64) -> FromWorker {
    FromWorker::CheckpointPart { step, part: format!("part of {step}") }
}

pub(super) fn stop() -> Order {
    Order::StopAfterStep { checkpoint: true }
}

pub(super) fn stop_and_keep() -> Order {
    Order::StopAfterStep { checkpoint: false }
}
