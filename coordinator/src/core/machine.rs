//! The transitions.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    Assignment, Attempt, Command, Event, Failure, FailureKind, FromWorker, Generation, Launch, Notice, Order,
    Outcome, Phase, Rank, Record, Split, Stage, TaskResult, Timeouts, WorkerId,
    failure::{MAX_RETRIES, Remedy, remedy},
    lanes::deal,
};

/// What is to be done, fixed for the life of the state machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// The job's name.
    pub job: String,
    /// Its lanes.
    pub lanes: u32,
    /// Worker processes.
    pub workers: u32,
    /// What to do, in order.
    pub plan: Vec<Stage>,
    /// The newest generation an earlier run of the job had.
    pub generation: Generation,
    /// Step of the checkpoint to evaluate and export; `None` = the best.
    pub checkpoint_step: Option<u64>,
    /// Held-out rows to evaluate on.
    pub split: Split,
    /// Time-outs.
    pub timeouts: Timeouts,
}

/// A connected worker.
#[derive(Clone, Debug, PartialEq)]
struct Worker {
    name: String,
    heard: Duration,
}

/// A job and its workers.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    setup: Setup,
    phase: Phase,
    reason: String,
    remaining: VecDeque<Stage>,
    generation: Generation,
    dataset_uri: Option<String>,
    checkpoint: Option<u64>,
    workers: BTreeMap<WorkerId, Worker>,
    attempt: Option<Attempt>,
    launch: Launch,
    launched: Duration,
    retries: u32,
    stopping: bool,
    outcome: Option<Outcome>,
}

impl State {
    /// A job nothing was done about yet.
    pub fn new(setup: Setup) -> State {
        State {
            phase: Phase::Pending,
            reason: "not begun".into(),
            remaining: setup.plan.iter().copied().collect(),
            generation: setup.generation,
            dataset_uri: None,
            checkpoint: None,
            workers: BTreeMap::new(),
            attempt: None,
            launch: Launch(0),
            launched: Duration::ZERO,
            retries: 0,
            stopping: false,
            outcome: None,
            setup,
        }
    }

    /// Where the job is and why.
    pub fn phase(&self) -> (Phase, &str) {
        (self.phase, &self.reason)
    }

    /// The newest generation.
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// The task under way.
    pub fn attempt(&self) -> Option<&Attempt> {
        self.attempt.as_ref()
    }

    /// How the job ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The next state, and what is to be done. `now` is the time since the coordinator began.
    pub fn apply(mut self, event: Event, now: Duration) -> (State, Vec<Command>) {
        let mut commands = Vec::new();
        if self.outcome.is_none() {
            self.handle(event, now, &mut commands);
        }
        (self, commands)
    }

    fn handle(&mut self, event: Event, now: Duration, out: &mut Vec<Command>) {
        match event {
            Event::Begin => self.launch(Duration::ZERO, now, out),
            Event::Registered { worker, name } => {
                self.workers.insert(worker, Worker { name, heard: now });
                self.assign(out);
            }
            Event::Said { worker, generation, what } => {
                let Some(speaker) = self.workers.get_mut(&worker) else { return };
                speaker.heard = now;
                self.listen(worker, generation, what, now, out);
            }
            Event::Left { worker, why } => {
                if let Some(gone) = self.workers.remove(&worker) {
                    self.lost(&gone.name, &why, now, out);
                }
            }
            Event::Exited { launch, name, why } => {
                if launch == self.launch {
                    self.workers.retain(|_, worker| worker.name != name);
                    self.lost(&name, &why, now, out);
                }
            }
            Event::StopRequested => self.stop(out),
            Event::Tick => self.look_at_the_clock(now, out),
        }
    }

    fn listen(
        &mut self,
        worker: WorkerId,
        generation: Generation,
        what: FromWorker,
        now: Duration,
        out: &mut Vec<Command>,
    ) {
        if what == FromWorker::Heartbeat {
            return;
        }
        // Invariant A.
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.generation == generation) else {
            let reason = format!("generation {generation} is not the newest, {}", self.generation);
            return out.push(Command::Tell(Notice::Refused { reason }));
        };
        let Some(rank) = attempt.rank_of(worker) else {
            let reason = format!("connection {worker} takes no part in generation {generation}");
            return out.push(Command::Tell(Notice::Refused { reason }));
        };
        match what {
            FromWorker::Heartbeat => {}
            FromWorker::Progress(progress) => out.push(Command::Tell(Notice::Progress(progress))),
            FromWorker::Started(started) => out.push(Command::Tell(Notice::Started(started))),
            FromWorker::Validated(validated) => out.push(Command::Tell(Notice::Validated(validated))),
            FromWorker::RendezvousReady { host, port } => {
                for other in attempt.members.iter().filter(|member| **member != worker) {
                    let order = Order::Rendezvous { host: host.clone(), port };
                    out.push(Command::Send { worker: *other, generation, order });
                }
            }
            FromWorker::CheckpointPart { step, part } => {
                // Invariant C.
                if let Some(parts) = attempt.part_written(step, rank, part) {
                    let order = Order::CommitCheckpoint { step, parts };
                    out.push(Command::Send { worker: attempt.members[0], generation, order });
                }
            }
            FromWorker::CheckpointCommitted { step } => {
                if self.checkpoint.is_none_or(|newest| step > newest) {
                    self.checkpoint = Some(step);
                    self.retries = 0;
                }
                self.record(out);
                out.push(Command::Tell(Notice::Committed { step }));
            }
            FromWorker::CheckpointFailed { step, message } => {
                attempt.parts.remove(&step);
                out.push(Command::Tell(Notice::CheckpointFailed { step, message }));
            }
            FromWorker::Done(result) => {
                attempt.done.insert(rank, result);
                if attempt.is_done() {
                    self.stage_done(out);
                }
            }
            FromWorker::Failed(mut failure) if failure.kind == FailureKind::LostPeer => {
                failure.worker = self.workers.get(&worker).map(|worker| worker.name.clone());
                attempt.bereft.insert(rank, failure);
                attempt.bereft_since.get_or_insert(now);
                self.blame(now, out);
            }
            FromWorker::Failed(mut failure) => {
                failure.worker = self.workers.get(&worker).map(|worker| worker.name.clone());
                self.failed(failure, now, out);
            }
        }
    }

    /// A stage is finished when all its ranks are; rank 0's result is the stage's.
    fn stage_done(&mut self, out: &mut Vec<Command>) {
        let Some(attempt) = self.attempt.take() else { return };
        let Some(result) = attempt.done.get(&Rank(0)).cloned() else { return };
        let mut stopped = false;
        match &result {
            TaskResult::Prepared { dataset_uri, .. } => self.dataset_uri = Some(dataset_uri.clone()),
            TaskResult::Trained { stopped: told, .. } => stopped = *told,
            TaskResult::Evaluated { .. } | TaskResult::Exported { .. } => {}
        }
        out.push(Command::Tell(Notice::Done(result)));
        if !stopped {
            self.retries = 0;
            self.remaining.pop_front();
        }
        if self.remaining.is_empty() {
            self.finish(Outcome::Succeeded, "everything planned is done".into(), out);
        } else if self.stopping {
            self.stopped(out);
        } else {
            self.assign(out);
        }
    }

    /// Gives the next stage to workers, when there are enough of them.
    fn assign(&mut self, out: &mut Vec<Command>) {
        let (None, false, Some(stage)) = (&self.attempt, self.stopping, self.remaining.front().copied())
        else {
            return;
        };
        let world = stage.world(self.setup.workers);
        let missing = (world as usize).saturating_sub(self.workers.len());
        if missing > 0 {
            let workers = if missing == 1 { "worker" } else { "workers" };
            return self.enter(stage.phase(), format!("waiting for {missing} more {workers}"), out);
        }
        // By name, so that worker-0 has rank 0 as long as the same workers are there.
        let mut members: Vec<(&str, WorkerId)> =
            self.workers.iter().map(|(id, worker)| (worker.name.as_str(), *id)).collect();
        members.sort();
        members.truncate(world as usize);
        let members: Vec<WorkerId> = members.into_iter().map(|(_, id)| id).collect();

        self.generation = self.generation.next();
        let workers = if world == 1 { "worker" } else { "workers" };
        let reason = format!("generation {} on {world} {workers}", self.generation);
        self.phase = stage.phase();
        self.reason = reason.clone();
        self.record(out); // Invariant F: the generation exists before anybody acts in it.
        out.push(Command::Tell(Notice::Phase { phase: self.phase, reason }));
        let generation = self.generation;
        for (rank, (worker, lanes)) in members.iter().zip(deal(self.setup.lanes, world)).enumerate() {
            let assignment = Assignment {
                stage,
                rank: Rank(rank as u32),
                world,
                lanes,
                dataset_uri: self.dataset_uri.clone().unwrap_or_default(),
                checkpoint_step: self.setup.checkpoint_step,
                split: self.setup.split,
                collective_timeout: self.setup.timeouts.collective,
            };
            out.push(Command::Send { worker: *worker, generation, order: Order::Assign(assignment) });
        }
        self.attempt = Some(Attempt::new(stage, generation, members));
    }

    /// A worker or its process is gone.
    fn lost(&mut self, name: &str, why: &str, now: Duration, out: &mut Vec<Command>) {
        if self.stopping {
            return self.stopped(out);
        }
        let failure = Failure {
            code: "TW5001".into(),
            message: format!("{name} is gone: {why}"),
            kind: FailureKind::LostPeer,
            worker: Some(name.to_owned()),
        };
        self.failed(failure, now, out);
    }

    /// Ranks that lost a peer wait for the cause: the peer's own failure, or its loss. When all
    /// have lost somebody, or nobody speaks up in time, that itself is the cause.
    fn blame(&mut self, now: Duration, out: &mut Vec<Command>) {
        let Some(attempt) = &self.attempt else { return };
        let Some(since) = attempt.bereft_since else { return };
        let all = attempt.bereft.len() + attempt.done.len() >= attempt.members.len();
        let overdue = all || now.saturating_sub(since) >= self.setup.timeouts.blame;
        if let Some(failure) = attempt.bereft.values().next().filter(|_| overdue).cloned() {
            self.failed(failure, now, out);
        }
    }

    fn failed(&mut self, failure: Failure, now: Duration, out: &mut Vec<Command>) {
        match remedy(failure.kind, self.retries) {
            Remedy::Fail => {
                let reason = if self.retries > 0 {
                    format!("{} (tried {} times without getting further)", failure.message, self.retries + 1)
                } else {
                    failure.message.clone()
                };
                let failure = Failure { message: reason.clone(), ..failure };
                self.finish(Outcome::Failed(failure), reason, out);
            }
            // Invariant D: `retries` is only set back by a newer checkpoint or a finished stage.
            Remedy::Retry { .. } if self.stopping => self.stopped(out),
            Remedy::Retry { after } => {
                self.retries += 1;
                let retry = self.retries;
                out.push(Command::Tell(Notice::Retrying { failure, retry, of: MAX_RETRIES, after }));
                self.launch(after, now, out);
            }
        }
    }

    /// Starts all workers anew. Whoever is connected belongs to an earlier start and does not
    /// count any more.
    fn launch(&mut self, after: Duration, now: Duration, out: &mut Vec<Command>) {
        self.attempt = None;
        self.workers.clear();
        self.launch = self.launch.next();
        self.launched = now + after;
        out.push(Command::Launch { launch: self.launch, count: self.setup.workers, after });
        self.assign(out);
    }

    fn stop(&mut self, out: &mut Vec<Command>) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        match &self.attempt {
            Some(attempt) if attempt.stage == Stage::Train => {
                let reason = "finishing the step and writing a checkpoint".to_owned();
                out.push(Command::Tell(Notice::Stopping { reason }));
                for worker in &attempt.members {
                    let order = Order::StopAfterStep { checkpoint: true };
                    out.push(Command::Send { worker: *worker, generation: attempt.generation, order });
                }
            }
            // The other stages leave nothing half-done and begin again.
            _ => self.stopped(out),
        }
    }

    fn stopped(&mut self, out: &mut Vec<Command>) {
        let reason = match self.checkpoint {
            Some(step) => format!("stopped while {}; checkpoint of step {step}", self.phase),
            None => format!("stopped while {}", self.phase),
        };
        self.finish(Outcome::Stopped { reason: reason.clone() }, reason, out);
    }

    fn look_at_the_clock(&mut self, now: Duration, out: &mut Vec<Command>) {
        self.blame(now, out);
        let Timeouts { lost, register, .. } = self.setup.timeouts;
        let silent = self.workers.iter().find(|(_, worker)| now.saturating_sub(worker.heard) > lost);
        if let (None, Some((id, worker))) = (&self.outcome, silent) {
            let (id, name) = (*id, worker.name.clone());
            self.workers.remove(&id);
            return self.lost(&name, &format!("it has been silent for {} s", lost.as_secs_f64()), now, out);
        }
        let incomplete = self.workers.len() < self.setup.workers as usize;
        if self.outcome.is_none() && incomplete && now.saturating_sub(self.launched) > register {
            let message = format!(
                "{} of {} workers registered within {} s",
                self.workers.len(),
                self.setup.workers,
                register.as_secs()
            );
            let failure =
                Failure { code: "TW5002".into(), message, kind: FailureKind::LostPeer, worker: None };
            self.failed(failure, now, out);
        }
    }

    fn enter(&mut self, phase: Phase, reason: String, out: &mut Vec<Command>) {
        if self.phase != phase || self.reason != reason {
            self.phase = phase;
            self.reason = reason.clone();
            out.push(Command::Tell(Notice::Phase { phase, reason }));
        }
    }

    fn finish(&mut self, outcome: Outcome, reason: String, out: &mut Vec<Command>) {
        self.phase = match &outcome {
            Outcome::Succeeded => Phase::Succeeded,
            Outcome::Failed(_) => Phase::Failed,
            Outcome::Stopped { .. } => Phase::Stopped,
        };
        self.reason = reason.clone();
        self.attempt = None;
        self.outcome = Some(outcome.clone());
        self.record(out);
        out.push(Command::Tell(Notice::Phase { phase: self.phase, reason }));
        out.push(Command::Finish(outcome));
    }

    fn record(&self, out: &mut Vec<Command>) {
        out.push(Command::Record(Record {
            phase: self.phase,
            reason: self.reason.clone(),
            generation: self.generation,
            checkpoint: self.checkpoint,
            dataset_uri: self.dataset_uri.clone(),
            failure: match &self.outcome {
                Some(Outcome::Failed(failure)) => Some(failure.clone()),
                _ => None,
            },
        }));
    }
}
