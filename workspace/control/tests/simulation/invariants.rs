//! A to H, after every event; and what the coordinator believes against what is true.

use std::collections::BTreeMap;

use twinspire_control::{
    Command, Device, Event, Generation, Incarnation, Job, JobName, Notice, Order, Phase, Rank, Session,
    Stage, State, Worker, WorkerName,
};

use crate::{ledger::Before, process::Doing, world::World};

impl World {
    /// What a list of commands must be like: records first (F), generations growing (A).
    pub(crate) fn check_commands(&mut self, commands: &[Command], event: &Event) {
        let is_record = |command: &Command| {
            matches!(command, Command::Record(_) | Command::Forget(_) | Command::RecordPool(_))
        };
        let others = commands.iter().position(|command| !is_record(command)).unwrap_or(commands.len());
        assert!(!commands[others..].iter().any(is_record), "F: something is told before it is recorded");
        let mut newest = self.ledger.newest;
        for command in commands {
            if let Command::Tell { job, notice: Notice::Assigned { generation, stage, workers } } = command {
                assert!(*generation > newest, "A: {job} begins {generation} after {newest}");
                newest = *generation;
                if *stage == Stage::Train {
                    self.check_memory(job, workers);
                }
            }
        }
        if let Event::Asked(verb) = event {
            self.ledger.asked(verb);
        }
    }

    /// Training that begins goes on from the newest state that a free worker is known to have in memory, of whatever
    /// kind, if there are enough of that kind and none of them may be held for a job before it.
    fn check_memory(&self, name: &JobName, chosen: &[WorkerName]) {
        let Some(state) = self.coordinator.as_ref().map(|coordinator| &coordinator.state) else { return };
        // One that was not interrupted has what counts in a checkpoint.
        let Some(job) = state.job(name).filter(|job| job.interrupted.is_some()) else { return };
        let now = self.clock();
        let is_chosen = |worker: &WorkerName| chosen.contains(worker);
        let newest =
            state.workers().filter(|(name, _)| is_chosen(name)).filter_map(|(_, it)| it.state_of(job)).max();
        let kinds = job.request.device.kinds(Stage::Train);
        let could = |device: Device| {
            let there = |(name, worker): &(&WorkerName, &Worker)| {
                let is_free = worker.is_free() && !job.excludes(name, worker);
                worker.device == device && (is_free || is_chosen(name))
            };
            let waits_before = |other: &Job| {
                let stage = other.remaining.front().filter(|_| other.phase == Phase::Pending);
                let kinds = stage.map_or(&[][..], |stage| other.request.device.kinds(*stage));
                let is_due = other.not_before.is_none_or(|then| then <= now);
                other.rank() < job.rank() && is_due && kinds.contains(&device)
            };
            let is_held = state.jobs().any(waits_before);
            kinds.contains(&device)
                && !is_held
                && state.workers().filter(there).count() as u32 >= job.request.min_workers
        };
        let passed_over = state
            .workers()
            .find(|(_, worker)| worker.is_free() && worker.state_of(job) > newest && could(worker.device));
        assert_eq!(passed_over, None, "{name} begins without whoever has the newest state");
    }

    /// Orders against the truth, as they are sent.
    pub(crate) fn check_order(&mut self, session: Session, generation: Generation, order: &Order) {
        let Some(coordinator) = &self.coordinator else { return };
        let Some(connection) = coordinator.connected.get(&session).copied() else { return };
        let process = &self.processes[self.connections[connection].process];
        match order {
            Order::Assign(assignment) => {
                let lets_it = |doing: Doing| doing == Doing::Over;
                let is_free = process
                    .task
                    .as_ref()
                    .is_none_or(|task| task.generation == generation || lets_it(task.doing));
                assert!(
                    is_free,
                    "truth: {} is given {generation} while it has {:?}",
                    process.name, process.task
                );
                let drained = self.users[0].drained.get(&process.name);
                assert!(drained.is_none_or(|then| generation <= *then), "F: {} was drained", process.name);
                // B: every lane and every rank has one holder.
                let parts = self.ledger.parts.entry(generation).or_default();
                let part = (process.name.clone(), assignment.lanes.clone());
                let earlier = parts.insert(assignment.rank, part.clone());
                assert!(earlier.is_none_or(|earlier| earlier == part), "B: two are {}", assignment.rank);
                let mut lanes: Vec<u32> = parts.values().flat_map(|(_, lanes)| lanes.clone()).collect();
                lanes.sort_unstable();
                assert!(lanes.windows(2).all(|pair| pair[0] < pair[1]), "B: a lane is held twice");
                let job =
                    coordinator.state.job(&assignment.job).expect("B: a job is assigned that is not there");
                if parts.len() as u32 == assignment.world {
                    assert_eq!(lanes.len() as u32, job.request.lanes, "B: lanes that nobody holds");
                }
            }
            Order::CommitCheckpoint { step, parts } => {
                let run = &self.runs[&generation];
                let all: Vec<String> =
                    (0..run.world).map(|rank| format!("{generation}/{step}/{rank}")).collect();
                assert_eq!(parts, &all, "C: parts of {generation}, step {step}");
                assert_eq!(run.written[step].len() as u32, run.world, "C: somebody wrote nothing");
                assert_eq!(run.ranks[&Rank(0)], self.connections[connection].process, "C: rank 0 commits");
                let last = self.ledger.commits.entry(run.job.clone()).or_default();
                assert!(generation >= *last, "C: a commit of {generation} after one of {last}");
                *last = generation;
            }
            _ => {}
        }
    }

    /// Everything, after an event.
    pub(crate) fn check(&mut self, event: &Event, before: Before) {
        let Some(coordinator) = &self.coordinator else { return };
        if let Some(before) = before {
            for (name, attempt) in before {
                let after = coordinator.state.job(&name).and_then(|job| job.attempt.clone());
                let Some(attempt) = attempt else { continue };
                // It may have been told to stop, because whoever spoke is free now.
                let told =
                    after.map(|after| twinspire_control::Attempt { ending: attempt.ending.clone(), ..after });
                assert_eq!(told, Some(attempt), "A: of another generation");
            }
        }
        let is_routine = matches!(event, Event::Said { what: twinspire_control::FromWorker::Heartbeat, .. });
        if is_routine || !self.ledger.events.is_multiple_of(self.climate.check_every) {
            return;
        }
        check_state(&coordinator.state, &self.storage);
        for job in coordinator.state.jobs() {
            self.ledger.check_final(job);
        }
        self.check_promises();
        if self.ledger.events.is_multiple_of(64) {
            self.check_recorded();
        }
    }

    /// F: the store holds what the coordinator decided.
    fn check_recorded(&self) {
        let Some(coordinator) = &self.coordinator else { return };
        for job in coordinator.state.jobs() {
            let record = self.store.jobs.get(job.name()).expect("F: a job is not recorded");
            let record: Job = serde_json::from_str(record).expect("a record can be read");
            let text = |job: &Job| serde_json::to_string(&timeless(job)).expect("a job can be written down");
            assert_eq!(text(&record), text(job), "F: something about {} is not recorded", job.name());
        }
        assert_eq!(self.store.jobs.len(), coordinator.state.jobs().count(), "F: a job is not forgotten");
    }

    /// F: at no point between two records do two of them claim the same process.
    pub(crate) fn check_claims(&self) {
        let mut claims: BTreeMap<(WorkerName, Incarnation), JobName> = BTreeMap::new();
        for record in self.store.jobs.values() {
            let job: Job = serde_json::from_str(record).expect("a record can be read");
            for member in job.attempt.iter().flat_map(|attempt| &attempt.members) {
                let earlier = claims.insert((member.worker.clone(), member.incarnation), job.name().clone());
                assert_eq!(earlier, None, "F: {} and another claim {}", job.name(), member.worker);
            }
        }
    }

    pub(crate) fn check_restored(&mut self) {
        self.ledger.restored();
        self.check_claims();
        self.check_promises();
    }
}

/// Without moments, which begin afresh with every coordinator.
fn timeless(job: &Job) -> Job {
    let mut job = job.clone();
    job.since = Default::default();
    if let Some(attempt) = &mut job.attempt {
        attempt.since = Default::default();
    }
    job
}

/// What holds of every state.
fn check_state(state: &State, storage: &BTreeMap<JobName, std::collections::BTreeSet<(Generation, u64)>>) {
    let mut members: BTreeMap<(&WorkerName, Incarnation), Generation> = BTreeMap::new();
    for job in state.jobs() {
        let name = job.name();
        assert!(job.phase.is_final() || !job.remaining.is_empty(), "D: {name} has nothing left to do");
        assert_eq!(
            job.attempt.is_some(),
            job.phase.is_active(),
            "{name} is {} with {:?}",
            job.phase,
            job.attempt
        );
        if let Some(step) = job.checkpoint {
            let visible = storage[name].iter().any(|(_, visible)| *visible == step);
            assert!(visible, "C: {name} has no checkpoint of step {step}");
        }
        let Some(attempt) = &job.attempt else { continue };
        assert_eq!(attempt.generation, job.generation, "A: {name}");
        assert_eq!(Some(&attempt.stage), job.remaining.front(), "{name} does what is not next");
        let (min, max) = attempt.stage.workers(job.request.min_workers, job.request.max_workers);
        assert!(
            (min..=max).contains(&(attempt.members.len() as u32)),
            "B: {name} has {} workers",
            attempt.members.len()
        );
        for member in &attempt.members {
            let earlier = members.insert((&member.worker, member.incarnation), attempt.generation);
            assert_eq!(earlier, None, "B: {} is in two attempts", member.worker);
        }
    }
    for (name, worker) in state.workers() {
        let should = members.get(&(name, worker.incarnation));
        let has = worker.task.as_ref().map(|task| task.generation);
        assert!(
            should.is_none() || has.as_ref() == should,
            "B: {name} should have {should:?} and has {has:?}"
        );
    }
}
