//! Worker processes: what they do with orders, and what they say again to a new coordinator.

use rand::Rng;
use twinspire_control::{
    Assignment, Device, Failure, FailureKind, FromWorker, Generation, Incarnation, JobName, Membership,
    Order, Rank, Registration, Stage, Time, WorkerName,
};

use crate::{agenda::Happening, run::failure, world::World};

/// One life of a worker's name.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) host: usize,
    pub(crate) name: WorkerName,
    pub(crate) incarnation: Incarnation,
    pub(crate) device: Device,
    pub(crate) alive: bool,
    pub(crate) frozen_until: u64,
    /// Nobody reaches it, nor it anybody.
    pub(crate) isolated: bool,
    pub(crate) leaving: bool,
    pub(crate) connection: Option<usize>,
    pub(crate) task: Option<Task>,
    /// The state of a training in its memory.
    pub(crate) kept: Option<Kept>,
    /// Times as slow as it should be.
    pub(crate) slowness: u64,
    newest: Generation,
    heartbeat: u64,
}

/// What is left of a training in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) part: Membership,
    pub(crate) submitted: Time,
    pub(crate) step: u64,
}

/// What a process truly does.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) job: JobName,
    pub(crate) generation: Generation,
    pub(crate) stage: Stage,
    pub(crate) rank: Rank,
    pub(crate) world: u32,
    pub(crate) submitted: Time,
    pub(crate) newest_checkpoint: Option<u64>,
    pub(crate) doing: Doing,
    pub(crate) said: Said,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It waits for rank 0's address; it works; it was told to abort; it is finished, or failed.
    Waiting,
    Working,
    Aborting,
    Over,
}

/// What is said again to whoever asks anew.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) ready: Option<FromWorker>,
    pub(crate) started: Option<FromWorker>,
    pub(crate) part: Option<FromWorker>,
    pub(crate) committed: Option<FromWorker>,
    pub(crate) result: Option<FromWorker>,
}

/// What a process does about its task in its own time.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Listen,
    Join,
    GiveUpMeeting,
    Write(u64),
    Commit(u64),
    Finish,
    Fail(Failure),
    LetGo,
}

impl Process {
    /// A number of its own for each training.
    fn fate(&self, submitted: Time) -> u64 {
        (self.incarnation.0 ^ submitted.0) % 10
    }

    /// Whether it cannot read what a training takes.
    fn is_blind_for(&self, submitted: Time) -> bool {
        self.fate(submitted) == 0
    }

    fn never_gets_ready_for(&self, submitted: Time) -> bool {
        self.fate(submitted) == 1
    }
}

fn blind() -> Failure {
    failure(FailureKind::BadInput, "it cannot be read")
}

impl Kept {
    pub(crate) fn is_of(&self, job: &JobName, submitted: Time) -> bool {
        self.part.job == *job && self.submitted == submitted
    }
}

impl World {
    /// A process is started on a host, if none lives there.
    pub(crate) fn start(&mut self, host: usize) {
        let lives = |process: &Process| process.alive && process.host == host;
        if !self.retired.contains(&host) && !self.processes.iter().any(lives) {
            self.start_another(host);
        }
    }

    pub(crate) fn start_another(&mut self, host: usize) {
        let process = self.processes.len();
        let slow = self.chance(0.1);
        let slowness = if slow { self.draw(2, 10) } else { 1 };
        self.processes.push(Process {
            host,
            name: WorkerName::from(format!("host-{host}")),
            incarnation: Incarnation(self.rng.random()),
            device: self.climate.hosts[host],
            alive: true,
            frozen_until: 0,
            isolated: false,
            leaving: false,
            connection: None,
            task: None,
            kept: None,
            slowness,
            newest: Generation(0),
            heartbeat: 1000,
        });
        self.note(|_| format!("process {process} starts on host-{host}"));
        self.within(200, Happening::Connect(process));
        self.within(1000, Happening::Beat(process));
    }

    /// Connects, and says again what was said.
    pub(crate) fn connect(&mut self, process: usize) {
        let there = &self.processes[process];
        if !there.alive || there.connection.is_some() {
            return;
        }
        let part = |task: &Task| Membership { job: task.job.clone(), generation: task.generation };
        let registration = Registration {
            name: there.name.clone(),
            incarnation: there.incarnation,
            device: there.device,
            about: String::new(),
            running: there.task.as_ref().map(part),
            state: there.kept.as_ref().map(|kept| kept.part.clone()),
        };
        let (leaving, task, isolated) = (there.leaving, there.task.clone(), there.isolated);
        if isolated || !self.open(process, registration) {
            return self.within(1000, Happening::Connect(process));
        }
        if leaving {
            self.say(process, Generation(0), FromWorker::Leaving);
        }
        if let Some(Task { generation, said, .. }) = task {
            let again = [said.ready, said.started, said.part, said.committed, said.result];
            for what in again.into_iter().flatten() {
                self.say(process, generation, what);
            }
        }
    }

    pub(crate) fn closed(&mut self, connection: usize) {
        let process = self.connections[connection].process;
        if self.processes[process].connection == Some(connection) {
            self.processes[process].connection = None;
            self.within(300, Happening::Connect(process));
        }
    }

    pub(crate) fn beat(&mut self, process: usize) {
        let there = &self.processes[process];
        if there.alive {
            let generation = there.task.as_ref().map_or(Generation(0), |task| task.generation);
            let heartbeat = there.heartbeat;
            self.say(process, generation, FromWorker::Heartbeat);
            self.say_pace(process);
            self.after(heartbeat, Happening::Beat(process));
        }
    }

    /// How long it computes for a lane, while it trains.
    fn say_pace(&mut self, process: usize) {
        let there = &self.processes[process];
        let slowness = there.slowness as f64;
        let trains = |task: &&Task| task.stage == Stage::Train && task.doing == Doing::Working;
        if let Some(generation) = there.task.as_ref().filter(trains).map(|task| task.generation) {
            let pace = 10.0 * slowness * self.rng.random_range(0.8..1.25);
            self.say(process, generation, FromWorker::Pace(pace));
        }
    }

    /// An order reaches a process.
    pub(crate) fn deliver(&mut self, connection: usize, generation: Generation, order: Order) {
        let process = self.connections[connection].process;
        if !self.processes[process].alive || !self.is_heard(connection) {
            return;
        }
        let there = &mut self.processes[process];
        match (order, &mut there.task) {
            (Order::Shutdown | Order::Replaced, _) => self.end(process),
            // One of an older generation comes from the past; that of the present one, again.
            (Order::Assign(_), _) if generation <= there.newest => {}
            (Order::Assign(assignment), _) => self.obey(process, generation, assignment),
            (Order::GetReady(assignment), task)
                if task.as_ref().is_none_or(|task| task.doing == Doing::Over) =>
            {
                self.get_ready(process, assignment);
            }
            (order, Some(task)) if task.generation == generation => match order {
                Order::Rendezvous { .. } if task.doing == Doing::Waiting && task.rank != Rank(0) => {
                    self.soon(process, generation, 50, Deed::Join);
                }
                Order::StopAfterStep { checkpoint } => self.stop_run(generation, checkpoint),
                Order::CommitCheckpoint { step, .. } if task.doing == Doing::Working => {
                    self.soon(process, generation, 200, Deed::Commit(step));
                }
                Order::Abort => match task.doing {
                    Doing::Aborting => {}
                    Doing::Over => self.let_go(process, generation),
                    Doing::Waiting | Doing::Working => {
                        task.doing = Doing::Aborting;
                        if self.chance(self.climate.restart_on_abort) {
                            return self.end(process);
                        }
                        self.soon(process, generation, 2000, Deed::LetGo);
                    }
                },
                _ => {}
            },
            _ => {}
        }
    }

    fn obey(&mut self, process: usize, generation: Generation, assignment: Assignment) {
        let there = &mut self.processes[process];
        let busy = there.task.as_ref().is_some_and(|task| task.doing != Doing::Over);
        assert!(!busy, "truth: process {process} is given {generation} while it does {:?}", there.task);
        there.newest = generation;
        there.heartbeat = assignment.heartbeat.as_millis() as u64;
        let Assignment { job, stage, rank, world, submitted, newest_checkpoint, .. } = assignment;
        let is_blind = there.is_blind_for(submitted);
        there.kept.take_if(|kept| stage != Stage::Train || !kept.is_of(&job, submitted));
        let (doing, said) = (Doing::Waiting, Said::default());
        let task = Task { job, generation, stage, rank, world, submitted, newest_checkpoint, doing, said };
        self.join_run(process, &task);
        self.processes[process].task = Some(task);
        if rank == Rank(0) {
            self.soon(process, generation, 300, Deed::Listen);
        }
        if is_blind && self.has_trained(process) && self.healed.is_none() {
            self.soon(process, generation, 200, Deed::Fail(blind()));
        }
        self.soon(process, generation, 40_000, Deed::GiveUpMeeting);
    }

    /// Whether the task of a process is of a training that has begun once.
    fn has_trained(&self, process: usize) -> bool {
        let Some(task) = self.processes[process].task.as_ref().filter(|task| task.stage == Stage::Train)
        else {
            return false;
        };
        let mut kept = self.processes.iter().filter_map(|process| process.kept.as_ref());
        task.newest_checkpoint.is_some() || kept.any(|kept| kept.is_of(&task.job, task.submitted))
    }

    /// What it had of another training is gone. Of what a process cannot do it fails every time until somebody mends
    /// it, or never ends.
    fn get_ready(&mut self, process: usize, assignment: Assignment) {
        let Assignment { job, submitted, .. } = assignment;
        let there = &mut self.processes[process];
        there.kept.take_if(|kept| !kept.is_of(&job, submitted));
        let span = 3000 * there.slowness;
        let fails = there.is_blind_for(submitted) && self.healed.is_none();
        if self.healed.is_some() || !there.never_gets_ready_for(submitted) {
            self.within(span, Happening::GotReady(process, job, submitted, fails.then(blind)));
        }
    }

    /// Within a span, and when it gets round to it.
    pub(crate) fn soon(&mut self, process: usize, generation: Generation, span: u64, deed: Deed) {
        let from = if matches!(deed, Deed::GiveUpMeeting) { span / 2 } else { 1 };
        let delay = self.draw(from, span * self.processes[process].slowness);
        self.after(delay, Happening::Do(process, generation, deed));
    }

    pub(crate) fn let_go(&mut self, process: usize, generation: Generation) {
        self.processes[process].task = None;
        self.say(process, generation, FromWorker::Idle);
    }

    /// A process ends; its connection with it, and somebody starts another one.
    pub(crate) fn end(&mut self, process: usize) {
        if !self.processes[process].alive {
            return;
        }
        self.note(|_| format!("process {process} ends"));
        let there = &mut self.processes[process];
        there.alive = false;
        let (host, isolated) = (there.host, there.isolated);
        if let Some(connection) = there.connection.take() {
            self.break_off(connection, (!isolated).then_some(100), None);
        }
        let mut pause = self.draw(200, 8000);
        if self.climate.watched
            && let Some(coordinator) = &self.coordinator
        {
            let (number, thaw) = (coordinator.number, coordinator.frozen_until.saturating_sub(self.now));
            let seen = thaw + self.draw(1, 200);
            self.after(seen, Happening::Seen(number, process));
            pause = pause.max(seen + 1);
        }
        self.after(pause, Happening::Start(host));
    }
}
