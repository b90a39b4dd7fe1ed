//! A worker's life as a member of a pool: it connects to a coordinator, does what it is told, and
//! connects again when the connection breaks. Its task goes on meanwhile (invariant 5 of the
//! architecture).

mod addresses;
mod line;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Interval, MissedTickBehavior},
};
use twinspire_proto::v1::{
    Assign, CoordinatorMessage, FailureKind, Fault, Membership, Ready, Register, Shutdown, TaskFailed,
    coordinator_message::Body as Order, worker_message::Body,
};

use self::line::{Heard, Line};
use crate::{
    job_log::JobLog,
    suffer::suffer,
    task::{self, Readying, Running, Work},
    voice::{Present, Voice},
};

pub(crate) use addresses::Addresses;

/// A task that was given up has so long to end, unless the coordinator says how long. One that does not by then hangs,
/// and is ended with its process.
const LET_GO: Duration = Duration::from_secs(10);

/// A worker that is leaving and has nothing to do, or nobody to do it for, waits so long to be told
/// that it may go.
const LEAVE: Duration = Duration::from_secs(5);

/// Between two looks at what may be overdue.
const LOOK: Duration = Duration::from_millis(50);

/// Between heartbeats, until the coordinator says.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("threads cannot be started: {source}")]
    Runtime { source: std::io::Error },
    #[error("signals cannot be handled: {source}")]
    Signals { source: std::io::Error },
    #[error("{url:?} is no address of a coordinator: {why}; write it as http://127.0.0.1:7070")]
    Url { url: String, why: String },
}

impl SessionError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            SessionError::Runtime { .. } => "TW5201",
            SessionError::Signals { .. } => "TW5006",
            SessionError::Url { .. } => "TW5202",
        }
    }
}

/// Why a worker's life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The coordinator said so.
    Told,
    /// The system said so, and nothing was left unfinished.
    Left,
    /// The system said so, and did not wait for the task.
    Cut,
    /// It has a task it cannot let go of in any other way.
    Stuck,
    /// It cannot connect to anybody any more: a bug.
    Broken,
}

/// Who a worker is.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// Its name.
    pub(crate) name: String,
    /// Which life of it: a random number.
    pub(crate) incarnation: u64,
    /// What it computes on.
    pub(crate) device: String,
    /// Memory of that, in bytes; 0 = unknown.
    pub(crate) memory: u64,
    /// Workers on this machine, this one included, when that is known.
    pub(crate) beside: Option<u32>,
}

impl Who {
    fn register(&self, host: IpAddr, running: Option<Membership>, state: Option<Membership>) -> Register {
        Register {
            name: self.name.clone(),
            device: self.device.clone(),
            pid: std::process::id(),
            host: host.to_string(),
            version: env!("CARGO_PKG_VERSION").into(),
            incarnation: self.incarnation,
            memory: self.memory,
            running,
            state,
        }
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    let_go: Duration,
    leave: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { let_go: LET_GO, leave: LEAVE }
    }
}

/// A worker's life.
pub(crate) struct Session {
    voice: Voice,
    line: Line,
    work: Arc<dyn Work>,
    log: JobLog,
    pace: Pace,
    who: Who,
    /// This machine as the coordinator and the other workers see it.
    host: IpAddr,
    idle_heartbeat: Duration,
    heartbeat: Interval,
    running: Option<Running>,
    /// What it gets ready for, or did last.
    readying: Option<Readying>,
    /// The job that last suffered a fault on purpose here.
    sufferer: Option<String>,
    /// How long the present task has to end once it is given up, if its coordinator says.
    let_go: Option<Duration>,
    /// Until when a task that was given up has to end.
    let_go_by: Option<Instant>,
    /// It is to leave: since when there is nothing to wait for.
    leaving: Option<Instant>,
}

impl Session {
    /// A worker that will do `work` for whoever listens at `addresses`. Call it within a runtime.
    pub(crate) fn new(addresses: Addresses, who: Who, work: Arc<dyn Work>, log: JobLog) -> Session {
        let voice = Voice::new();
        Session {
            line: Line::new(addresses, who.clone(), voice.clone()),
            voice,
            work,
            log,
            pace: Pace::default(),
            who,
            host: Ipv4Addr::LOCALHOST.into(),
            idle_heartbeat: HEARTBEAT,
            heartbeat: every(HEARTBEAT),
            running: None,
            readying: None,
            sufferer: None,
            let_go: None,
            let_go_by: None,
            leaving: None,
        }
    }

    /// Serves coordinators until it is told to end: by one of them, or by what comes out of
    /// `told_to_end`.
    pub(crate) async fn run(mut self, mut told_to_end: mpsc::Receiver<()>) -> End {
        let mut look = every(LOOK);
        loop {
            let ended = tokio::select! {
                heard = self.line.next() => self.hear(heard),
                Some(()) = told_to_end.recv() => self.leave(),
                _ = self.heartbeat.tick() => self.beat(),
                _ = look.tick(), if self.let_go_by.is_some() || self.leaving.is_some() => self.overdue(),
            };
            if let Some(end) = ended {
                return end;
            }
        }
    }

    fn hear(&mut self, heard: Heard) -> Option<End> {
        match heard {
            Heard::Connected(welcome, host) => {
                self.host = host;
                self.idle_heartbeat = Duration::from_millis(welcome.heartbeat_ms);
                self.slow_down();
                None
            }
            Heard::Order(message) => {
                let CoordinatorMessage { generation, body } = *message;
                if body.is_none() {
                    tracing::warn!("a message this version does not know");
                }
                self.obey(generation, body?)
            }
            Heard::Lost => None,
            Heard::Broken => Some(End::Broken),
        }
    }

    /// Without a task, heartbeats are few.
    fn slow_down(&mut self) {
        if self.voice.present().is_none() {
            self.heartbeat = every(self.idle_heartbeat);
        }
    }

    fn beat(&mut self) -> Option<End> {
        if self.voice.is_choked() {
            self.line.lost("it does not listen");
        }
        self.voice.heartbeat();
        None
    }

    fn obey(&mut self, generation: u64, order: Order) -> Option<End> {
        match order {
            Order::Shutdown(Shutdown { reason }) => {
                if !reason.is_empty() {
                    tracing::error!(name = self.who.name, "told to end: {reason}");
                }
                return Some(End::Told);
            }
            Order::Assign(assign) => self.take_on(generation, assign),
            Order::GetReady(assign) => self.get_ready(assign),
            order => match (&self.running, self.voice.present()) {
                (Some(running), Some(task)) if task.part.generation == generation => match order {
                    Order::Abort(_) => self.let_go(&task),
                    Order::Suffer(fault) if fault.fault() != Fault::CrashWorker => {
                        self.sufferer = Some(task.part.job.clone());
                        suffer(fault);
                    }
                    order => running.tell(order),
                },
                // Fencing.
                _ => tracing::warn!(?order, generation, "refused: an order for a task this worker has not"),
            },
        }
        None
    }

    /// Takes a task on, unless it has one that is not over. When it is, any other is taken: a pool
    /// whose records are gone counts its generations from the start.
    fn take_on(&mut self, generation: u64, assign: Assign) {
        let part = Membership { job: assign.job.clone(), generation };
        if let Some(Present { is_over: false, part: had }) = self.voice.present() {
            if had == part {
                return tracing::info!(job = part.job, generation, "this worker has that task already");
            }
            if had.job == part.job && generation < had.generation {
                let newest = had.generation;
                return tracing::warn!(job = part.job, generation, newest, "refused: an older generation");
            }
            let message =
                format!("this worker still has a task of generation {} of {}", had.generation, had.job);
            return self.voice.refuse(generation, could_not_start(message));
        }
        if self.sufferer.take_if(|sufferer| *sufferer != part.job).is_some() {
            // What another job suffered on purpose is none of this one's.
            twinspire_storage::fail_writes_for(Duration::ZERO);
        }
        self.let_go_by = None;
        self.let_go = Some(assign.let_go_ms).filter(|ms| *ms > 0).map(Duration::from_millis);
        self.heartbeat = every(Duration::from_millis(assign.heartbeat_ms));
        self.voice.begin(part.clone());
        let run = assign.places.as_ref().map(|places| places.run.as_str());
        self.log.begin(run.unwrap_or_default(), &self.who.name, generation);
        match task::start(self.start_with(part.clone(), assign)) {
            Ok(running) => self.running = Some(running),
            Err(why) => {
                let failed = could_not_start(format!("the task's thread cannot be started: {why}"));
                self.voice.say(&part, Body::TaskFailed(failed));
                self.log.end();
            }
        }
    }

    /// Gets ready for a training that others are at, unless there is a task already.
    fn get_ready(&mut self, assign: Assign) {
        let (job, submitted_ms) = (assign.job.clone(), assign.submitted_ms);
        let part = Membership { job: job.clone(), generation: 0 };
        let begun = match self.voice.is_busy() {
            true => Err("there is a task".to_owned()),
            false => {
                Readying::start(self.start_with(part, assign)).map_err(|why| format!("no thread: {why}"))
            }
        };
        match begun {
            Ok(readying) => self.readying = Some(readying),
            Err(why) => self.voice.ready(Ready { job, submitted_ms, failed: Some(could_not_start(why)) }),
        }
    }

    /// What it takes to start; whatever it gets ready for that is something else is given up.
    fn start_with(&mut self, part: Membership, assign: Assign) -> task::Start {
        let before = self.readying.take();
        before.iter().filter(|before| !before.is_for(&assign)).for_each(Readying::give_up);
        task::Start {
            part,
            assign,
            host: self.host,
            beside: self.who.beside,
            voice: self.voice.clone(),
            log: self.log.clone(),
            work: self.work.clone(),
            runtime: Handle::current(),
            before,
        }
    }

    /// Gives the present task up.
    fn let_go(&mut self, task: &Present) {
        tracing::info!(job = task.part.job, generation = task.part.generation, "told to let go of the task");
        self.voice.give_up();
        if let Some(running) = &self.running {
            running.abort();
        }
        let within = self.let_go.unwrap_or(self.pace.let_go);
        self.let_go_by.get_or_insert_with(|| Instant::now() + within);
    }

    /// The system wants the process to end.
    fn leave(&mut self) -> Option<End> {
        if self.leaving.is_some() {
            tracing::warn!("told to end again: ending at once");
            return Some(self.end_as_it_is());
        }
        tracing::info!("told to end: leaving the pool");
        self.leaving = Some(Instant::now());
        self.voice.leave();
        None
    }

    fn overdue(&mut self) -> Option<End> {
        let now = Instant::now();
        if self.let_go_by.is_some() && !self.voice.is_busy() {
            self.let_go_by = None;
            self.slow_down();
        }
        if self.let_go_by.is_some_and(|by| now >= by) {
            tracing::warn!("the task that was given up does not end: this process does");
            return Some(End::Stuck);
        }
        let needed = self.voice.is_busy() && self.voice.is_connected();
        if needed && self.leaving.is_some() {
            self.leaving = Some(now);
        }
        let done_waiting = self.leaving.is_some_and(|since| now.duration_since(since) >= self.pace.leave);
        done_waiting.then(|| self.end_as_it_is())
    }

    fn end_as_it_is(&self) -> End {
        if self.voice.is_busy() { End::Cut } else { End::Left }
    }
}

fn could_not_start(message: String) -> TaskFailed {
    TaskFailed { code: "TW5205".into(), message, kind: FailureKind::Internal.into() }
}

/// Ticks with this much between them, whatever happened to the one before. The first is now.
fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
