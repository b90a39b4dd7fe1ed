//! Everything there is, and what happens next.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use twinspire_control::{FromWorker, Generation, JobName};

use crate::{
    agenda::{Agenda, Happening},
    climate::Climate,
    coordinator::{Coordinator, Store},
    ledger::Ledger,
    network::Connection,
    process::Process,
    run::Run,
    users::User,
};

/// What seeds came to.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    seeds: u64,
    events: u64,
    hours: f64,
    coordinators: u64,
    processes: u64,
    generations: u64,
    checkpoints: u64,
    from_memory: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Summary) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.hours += other.hours;
        self.coordinators += other.coordinators;
        self.processes += other.processes;
        self.generations += other.generations;
        self.checkpoints += other.checkpoints;
        self.from_memory += other.from_memory;
    }
}

pub(crate) struct World {
    pub(crate) climate: Climate,
    pub(crate) rng: ChaCha8Rng,
    /// Milliseconds since the beginning.
    pub(crate) now: u64,
    agenda: Agenda,
    pub(crate) coordinator: Option<Coordinator>,
    pub(crate) coordinators: u64,
    pub(crate) store: Store,
    pub(crate) ledger: Ledger,
    pub(crate) connections: Vec<Connection>,
    pub(crate) processes: Vec<Process>,
    /// Hosts that were taken away.
    pub(crate) retired: BTreeSet<usize>,
    pub(crate) runs: BTreeMap<Generation, Run>,
    /// Visible checkpoints: generation and step.
    pub(crate) storage: BTreeMap<JobName, BTreeSet<(Generation, u64)>>,
    pub(crate) users: Vec<User>,
    pub(crate) healed: Option<u64>,
    /// The second in which it was last asked whether everything is over.
    pub(crate) quiet_checked: u64,
    pub(crate) trace: Vec<String>,
    traced: bool,
}

impl World {
    pub(crate) fn new(seed: u64, traced: bool) -> World {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let climate = Climate::draw(seed, &mut rng);
        let mut world = World {
            climate,
            rng,
            now: 0,
            agenda: Agenda::default(),
            coordinator: None,
            coordinators: 0,
            store: Store::default(),
            ledger: Ledger::default(),
            connections: Vec::new(),
            processes: Vec::new(),
            retired: BTreeSet::new(),
            runs: BTreeMap::new(),
            storage: BTreeMap::new(),
            users: Vec::new(),
            healed: None,
            quiet_checked: 0,
            trace: Vec::new(),
            traced,
        };
        world.note(|world| format!("{:#?}", world.climate));
        world.at(0, Happening::Elect);
        for host in 0..world.climate.hosts.len() {
            let within = if world.one_in(2) { 500 } else { 20_000 };
            world.within(within, Happening::Start(host));
        }
        world.users = (0..=world.climate.jobs).map(|user| User::new(user, &mut world)).collect();
        for user in 0..world.users.len() {
            world.within(20_000, Happening::User(user));
        }
        world.within(world.climate.calm, Happening::Fault);
        world.after(world.climate.chaos, Happening::Heal);
        world
    }

    pub(crate) fn run(&mut self) -> Summary {
        while let Some(due) = self.agenda.next() {
            self.now = due.at;
            match self.awake_at(&due.happening) {
                // What comes to whoever is frozen waits, in the order in which it was sent.
                Some(wakes) if wakes > self.now => self.agenda.put_off(due, wakes),
                _ => self.happen(due.happening),
            }
            if self.is_quiet() {
                break;
            }
        }
        self.check_quiet();
        Summary {
            seeds: 1,
            events: self.agenda.events,
            hours: self.now as f64 / 3_600_000.0,
            coordinators: self.coordinators,
            processes: self.processes.len() as u64,
            generations: self.runs.len() as u64,
            checkpoints: self.storage.values().map(|visible| visible.len() as u64).sum(),
            from_memory: self.runs.values().filter(|run| run.kept).count() as u64,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick(coordinator) => self.tick(coordinator),
            Happening::Arrive(connection, message) => self.arrive(connection, *message),
            Happening::Seen(coordinator, process) => self.seen(coordinator, process),
            Happening::Asked(user, op) => self.asked(user, op),
            Happening::Answered(user, number, answer) => self.answered(user, number, answer),
            Happening::User(user) => self.think(user),
            Happening::Fault => self.fault(),
            Happening::Start(host) => self.start(host),
            Happening::Kill(process) => self.kill(process),
            Happening::Rejoin(process) => self.rejoin(process),
            Happening::Elect => self.elect(),
            Happening::Heal => self.heal(),
            Happening::Step(generation) => self.step(generation),
            Happening::Deliver(connection, generation, order) => self.deliver(connection, generation, *order),
            Happening::Closed(connection) => self.closed(connection),
            Happening::Beat(process) => self.beat(process),
            Happening::Connect(process) => self.connect(process),
            Happening::Do(process, generation, deed) => self.perform(process, generation, deed),
            Happening::GotReady(process, job, submitted, failure) => {
                let ready = FromWorker::Ready { job, submitted, failure };
                if self.processes[process].alive {
                    self.say(process, Generation(0), ready);
                }
            }
        }
    }

    /// When whoever it happens to is not frozen any more.
    fn awake_at(&self, happening: &Happening) -> Option<u64> {
        match happening {
            Happening::Tick(_) | Happening::Arrive(..) | Happening::Asked(..) | Happening::Seen(..) => {
                self.coordinator.as_ref().map(|coordinator| coordinator.frozen_until)
            }
            Happening::Deliver(connection, ..) | Happening::Closed(connection) => {
                Some(self.processes[self.connections[*connection].process].frozen_until)
            }
            Happening::Beat(process)
            | Happening::Connect(process)
            | Happening::Do(process, ..)
            | Happening::GotReady(process, ..) => Some(self.processes[*process].frozen_until),
            _ => None,
        }
    }

    pub(crate) fn at(&mut self, time: u64, happening: Happening) {
        self.agenda.add(time, happening);
    }

    pub(crate) fn after(&mut self, span: u64, happening: Happening) {
        self.at(self.now + span, happening);
    }

    /// At some time within a span.
    pub(crate) fn within(&mut self, span: u64, happening: Happening) {
        let delay = self.draw(0, span);
        self.after(delay, happening);
    }

    pub(crate) fn draw(&mut self, from: u64, to: u64) -> u64 {
        self.rng.random_range(from..=to.max(from))
    }

    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.rng.random_range(0..times) == 0
    }

    /// With that chance, as long as there are faults.
    pub(crate) fn chance(&mut self, chance: f64) -> bool {
        self.healed.is_none() && chance > 0.0 && self.rng.random_bool(chance)
    }

    pub(crate) fn note(&mut self, text: impl FnOnce(&World) -> String) {
        if self.traced {
            let text = text(self);
            self.trace.push(format!("{:>9.3} {text}", self.now as f64 / 1000.0));
        }
    }
}
