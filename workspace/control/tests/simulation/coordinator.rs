//! The shell around the core: applies events, carries out commands in order, and may die between
//! any two of them.

use std::collections::BTreeMap;

use twinspire_control::{Command, Event, FromWorker, JobName, Pool, Session, State, Time, Verb};

use crate::{agenda::Happening, users::Op, world::World};

/// Milliseconds between two ticks.
const TICK: u64 = 250;

/// What survives a coordinator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub(crate) jobs: BTreeMap<JobName, String>,
    pub(crate) pool: Pool,
}

/// One life of the coordinator.
pub(crate) struct Coordinator {
    pub(crate) number: u64,
    pub(crate) state: State,
    pub(crate) sessions: u64,
    pub(crate) connected: BTreeMap<Session, usize>,
    pub(crate) begun: u64,
    pub(crate) frozen_until: u64,
    /// How far its clock is from time: another one's may be ahead or behind.
    offset: u64,
}

impl World {
    pub(crate) fn clock(&self) -> Time {
        Time(self.now + self.coordinator.as_ref().map_or(0, |coordinator| coordinator.offset))
    }

    /// A new coordinator goes on from the store.
    pub(crate) fn elect(&mut self) {
        if self.coordinator.is_some() {
            return;
        }
        self.coordinators += 1;
        let number = self.coordinators;
        let offset = 1_000_000 + self.draw(0, 1_000_000);
        let read = |record: &String| serde_json::from_str(record).expect("a record can be read");
        let jobs = self.store.jobs.values().map(read).collect();
        let clock = Time(self.now + offset);
        let state = State::restore(self.climate.policy, jobs, self.store.pool.clone(), clock);
        self.note(|_| format!("coordinator {number} begins at {clock}"));
        self.coordinator = Some(Coordinator {
            number,
            state,
            sessions: 0,
            connected: BTreeMap::new(),
            begun: self.now,
            frozen_until: 0,
            offset,
        });
        self.check_restored();
        self.after(TICK, Happening::Tick(number));
    }

    pub(crate) fn tick(&mut self, number: u64) {
        if self.coordinator.as_ref().is_some_and(|there| there.number == number) {
            self.apply(Event::Tick);
            self.after(TICK, Happening::Tick(number));
        }
    }

    /// A process was seen to end.
    pub(crate) fn seen(&mut self, number: u64, process: usize) {
        if self.coordinator.as_ref().is_some_and(|there| there.number == number) {
            let worker = self.processes[process].name.clone();
            self.apply(Event::Ended { worker, why: "killed by signal 9".into() });
        }
    }

    /// Something happens to the coordinator; it may die of it.
    pub(crate) fn apply(&mut self, event: Event) {
        self.apply_for(event, None);
    }

    pub(crate) fn apply_for(&mut self, event: Event, asker: Option<(usize, Op)>) {
        let now = self.clock();
        let Some(coordinator) = &mut self.coordinator else { return };
        let before = self.ledger.remember(&event, &coordinator.state);
        let commands = coordinator.state.apply(event.clone(), now);
        let is_routine = commands.is_empty()
            && matches!(event, Event::Said { what: FromWorker::Heartbeat, .. } | Event::Tick);
        if !is_routine {
            self.note(|_| format!("  {event:?}"));
            for command in &commands {
                self.note(|_| format!("    -> {}", brief(command)));
            }
        }
        self.check_commands(&commands, &event);
        self.check_fairness(&event, &commands);
        // Between two records is the worst moment.
        let records = commands.iter().filter(|command| matches!(command, Command::Record(_))).count();
        let often = if records > 1 { 10.0 } else { 1.0 };
        let crashes = commands.len() > 1 && self.chance(self.climate.crash * often);
        let carried_out = if crashes { self.draw(0, commands.len() as u64) as usize } else { commands.len() };
        for command in commands.into_iter().take(carried_out) {
            self.carry_out(command, asker.as_ref());
        }
        if crashes {
            self.note(|_| format!("  the coordinator dies after {carried_out} of these"));
            self.crash();
        } else {
            self.check(&event, before);
        }
    }

    fn carry_out(&mut self, command: Command, asker: Option<&(usize, Op)>) {
        match command {
            Command::Record(job) => {
                self.ledger.recorded(&job);
                let record = serde_json::to_string(&job).expect("a job can be written down");
                self.store.jobs.insert(job.name().clone(), record);
            }
            Command::Forget(job) => {
                self.store.jobs.remove(&job);
                self.ledger.forget(&job);
            }
            Command::RecordPool(pool) => self.store.pool = pool,
            Command::Send { session, generation, order } => {
                self.check_order(session, generation, &order);
                self.send_down(session, generation, order);
            }
            Command::Dismiss { session, .. } => self.hang_up(session),
            Command::Answer(answer) => {
                let Some((user, op)) = asker else { return };
                let coordinator = self.coordinator.as_ref();
                let job = coordinator.and_then(|coordinator| coordinator.state.job(&self.users[*user].job));
                let generation = job.map_or(self.ledger.newest, |job| job.generation);
                self.users[*user].promised.at_answer = generation;
                let answer = answer.map(|_| ()).map_err(|refusal| format!("{refusal:?}"));
                // An answer may be lost.
                if !self.chance(0.05) {
                    self.within(20, Happening::Answered(*user, op.number, answer));
                }
            }
            Command::Tell { job, notice } => self.ledger.told(&job, &notice),
        }
    }

    /// The coordinator is gone, and all its connections.
    pub(crate) fn crash(&mut self) {
        let Some(coordinator) = self.coordinator.take() else { return };
        self.check_claims();
        for connection in coordinator.connected.into_values() {
            let seen = if self.one_in(4) { 8000 } else { 500 };
            self.break_off(connection, None, Some(seen));
        }
        let pause = if self.one_in(3) { 20_000 } else { 2000 };
        self.within(pause, Happening::Elect);
    }

    /// A user's request reaches the coordinator, if there is one.
    pub(crate) fn asked(&mut self, user: usize, op: Op) {
        // Who has given up waiting has hung up.
        if self.users[user].op.as_ref().is_none_or(|latest| latest.number != op.number) {
            return;
        }
        if let Verb::Submit(request) = &op.verb {
            self.storage.entry(request.name.clone()).or_default();
        }
        self.apply_for(Event::Asked(op.verb.clone()), Some((user, op)));
    }
}

/// A command in one line.
fn brief(command: &Command) -> String {
    match command {
        Command::Record(job) => format!(
            "record {}: {} ({}), {:?}, retries {}, {:?}",
            job.name(),
            job.phase,
            job.reason,
            job.wish,
            job.retries,
            job.attempt.as_ref().map(|attempt| (attempt.generation, attempt.members.len()))
        ),
        other => format!("{other:?}"),
    }
}
