//! The loop around the core.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::mpsc, task::JoinHandle};
use twinspire_control::{
    Command, Event, Generation, Job, JobName, Notice, Policy, Session, State, Time, Verb,
};
use twinspire_job::JobSpec;
use twinspire_proto::{from_coordinator, v1::Register};

use super::{
    Board, Found, Handle, Places, Records, WorkerView, convert,
    input::{Input, WAITING},
    sessions::Outbox,
};
use crate::ControlError;

/// How often the core looks at the clock.
const TICK: Duration = Duration::from_millis(200);

/// The core, and all that it takes to run it.
pub struct Engine {
    state: State,
    records: Records,
    board: Arc<Board>,
    inputs: mpsc::Receiver<Input>,
    specs: HashMap<JobName, Arc<JobSpec>>,
    connected: HashMap<Session, (Arc<Register>, Outbox)>,
    clock: Clock,
}

impl Engine {
    /// Begins with what was `found` in the records. The engine runs until it is told to stop, by dropping
    /// all its handles or the task, or until it may not go on: another coordinator leads.
    pub fn start(
        policy: Policy,
        records: Records,
        mut found: Found,
    ) -> (Handle, JoinHandle<Result<(), ControlError>>) {
        let clock = Clock::new();
        let board = Arc::new(Board::default());
        let mut specs = HashMap::new();
        let mut jobs: Vec<Job> = Vec::new();
        for saved in found.jobs {
            let (name, spec) = (saved.job.name().clone(), Arc::new(saved.spec));
            board.put(&saved.job, &spec);
            board.remember(&name, found.events.remove(&name).unwrap_or_default());
            specs.insert(name, spec);
            jobs.push(saved.job);
        }
        tokio::spawn(read_reports(specs.clone(), Arc::clone(&board)));
        let state = State::restore(policy, jobs, found.pool, clock.now());
        let (sender, inputs) = mpsc::channel(WAITING);
        let handle = Handle { inputs: sender, board: Arc::clone(&board) };
        let engine = Engine { state, records, board, inputs, specs, connected: HashMap::new(), clock };
        (handle, tokio::spawn(engine.run()))
    }

    async fn run(mut self) -> Result<(), ControlError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => self.take(input).await?,
                    None => return Ok(()),
                },
                _ = tick.tick() => self.tell(Event::Tick, &mut None).await?,
            }
        }
    }

    async fn take(&mut self, input: Input) -> Result<(), ControlError> {
        let event = match input {
            Input::Registered { session, register, outbox } => {
                let registration = convert::registration(&register);
                self.connected.insert(session, (Arc::new(register), outbox));
                Event::Registered(session, registration)
            }
            Input::Said { session, generation, body } => match convert::from_worker(body) {
                Some(what) => Event::Said { session, generation: Generation(generation), what },
                None => return Ok(()),
            },
            Input::Left { session, why } => {
                self.connected.remove(&session);
                Event::Left { session, why }
            }
            Input::Ended { worker, why } => Event::Ended { worker, why },
            Input::Asked { verb, spec, answer } => return self.asked(verb, spec, answer).await,
            Input::Workers { answer } => {
                let _ = answer.send(self.workers());
                return Ok(());
            }
        };
        self.tell(event, &mut None).await
    }

    async fn asked(
        &mut self,
        verb: Verb,
        spec: Option<Arc<JobSpec>>,
        answer: tokio::sync::oneshot::Sender<Result<twinspire_control::Answer, twinspire_control::Refusal>>,
    ) -> Result<(), ControlError> {
        if let (Verb::Submit(request), Some(spec)) = (&verb, spec) {
            self.specs.entry(request.name.clone()).or_insert(spec);
        }
        let mut answered = None;
        self.tell(Event::Asked(verb), &mut answered).await?;
        self.specs.retain(|name, _| self.state.job(name).is_some());
        if let Some(answered) = answered {
            // Whoever asked may have gone away.
            let _ = answer.send(answered);
        }
        Ok(())
    }

    /// Applies an event and carries out what follows.
    async fn tell(
        &mut self,
        event: Event,
        answered: &mut Option<Result<twinspire_control::Answer, twinspire_control::Refusal>>,
    ) -> Result<(), ControlError> {
        tracing::trace!(?event);
        let now = self.clock.now();
        let commands = self.state.apply(event, now);
        for command in &commands {
            // Before the records, which take their time: whoever sees a job succeed sees all of it.
            match command {
                Command::Tell { job, notice: Notice::Done(result) } => self.board.came_to(job, result),
                Command::Tell { job, notice: Notice::AlsoDone(result) } => {
                    self.board.also_came_to(job, result)
                }
                _ => {}
            }
        }
        for command in commands {
            tracing::debug!(?command);
            match command {
                Command::Record(job) => {
                    if let Some(spec) = self.specs.get(job.name()) {
                        self.records.put_job(&job, spec).await?;
                        self.board.put(&job, spec);
                    }
                }
                Command::Forget(job) => {
                    self.records.forget(job.as_str()).await?;
                    self.board.remove(&job);
                }
                Command::RecordPool(pool) => self.records.put_pool(&pool).await?,
                Command::Send { session, generation, order } => self.send(session, generation, order),
                Command::Dismiss { session, reason } => {
                    // Dropping its outbox closes the stream.
                    if self.connected.remove(&session).is_some() {
                        tracing::info!(%session, reason, "dismissed");
                    }
                }
                Command::Answer(answer) => *answered = Some(answer),
                Command::Tell { job, notice } => self.notice(job, notice, now).await?,
            }
        }
        Ok(())
    }

    async fn notice(&mut self, job: JobName, notice: Notice, now: Time) -> Result<(), ControlError> {
        let happening = self.board.to_remember(&job, &notice, now);
        if let Some(event) = &happening {
            self.records.put_event(&job, event).await?;
        }
        self.board.tell(&job, notice, happening, now);
        Ok(())
    }

    fn send(&self, session: Session, generation: Generation, order: twinspire_control::Order) {
        let Some((register, outbox)) = self.connected.get(&session) else { return };
        let Some(body) = convert::to_worker(order, &self.specs) else { return };
        if outbox.try_send(Ok(from_coordinator(generation.0, body))).is_err() {
            // Its connection is about to be reported as ended.
            tracing::warn!(worker = register.name, "a message could not be delivered");
        }
    }

    fn workers(&self) -> Vec<WorkerView> {
        let now = self.clock.now();
        let view = |(name, worker): (&twinspire_control::WorkerName, &twinspire_control::Worker)| {
            let (register, _) = self.connected.get(&worker.session)?;
            let job = worker.task.as_ref().and_then(|task| self.state.job(&task.job));
            let attempt = job.and_then(|job| job.attempt.as_ref());
            let rank = attempt.and_then(|attempt| attempt.rank_of(name));
            let lanes = match (job, attempt, rank) {
                (Some(job), Some(attempt), Some(rank)) => attempt.lanes_of(rank, job.request.lanes),
                _ => 0..0,
            };
            let excludes = |job: &&Job| !job.phase.is_final() && job.excludes(name, worker);
            Some(WorkerView {
                name: name.clone(),
                worker: worker.clone(),
                register: Arc::clone(register),
                drained: self.state.is_drained(name),
                rank,
                lanes,
                left_out_of: self.state.jobs().filter(excludes).map(|job| job.name().clone()).collect(),
                silent_ms: now.since(worker.heard).as_millis() as u64,
            })
        };
        self.state.workers().filter_map(view).collect()
    }
}

/// Puts up the evaluations there are from before: storage may be slow, and nobody waits for it.
async fn read_reports(specs: HashMap<JobName, Arc<JobSpec>>, board: Arc<Board>) {
    for (job, spec) in specs {
        board.found(&job, super::reports::read(&Places::of(&spec)).await);
    }
}

/// Wall-clock time that never goes back.
struct Clock {
    begun: Instant,
    began: Duration,
}

impl Clock {
    fn new() -> Clock {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { begun: Instant::now(), began }
    }

    fn now(&self) -> Time {
        Time((self.began + self.begun.elapsed()).as_millis() as u64)
    }
}
