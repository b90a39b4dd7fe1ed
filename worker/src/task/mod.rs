//! One leased task, on a thread of its own.
//!
//! ```text
//! session (tokio)  -- orders: stop, abort, rendezvous, commit -->  task thread (tensors, blocking)
//!                  <-- voice: progress, parts, result -----------
//! ```

mod failure;
mod group;
mod orders;
mod readying;

use std::{
    any::Any,
    net::IpAddr,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use twinspire_job::JobSpec;
use twinspire_proto::v1::{
    Assign, Membership, Places, Progress, TaskDone, TaskKind, coordinator_message::Body as Order, task_done,
    worker_message::Body,
};

pub(crate) use failure::TaskError;
pub(crate) use group::Group;
pub(crate) use orders::{Commit, Control, Orders};
pub(crate) use readying::Readying;

use crate::{job_log::JobLog, train::Keep, voice::Voice};

/// Between two progress reports.
const PROGRESS_EVERY: Duration = Duration::from_millis(300);

/// What a worker can do.
pub(crate) trait Work: Send + Sync {
    /// Does a task.
    fn perform(&self, task: &Task) -> Result<task_done::Result, TaskError>;

    /// Gets ready for a training that others are at.
    fn get_ready(&self, task: &Task) -> Result<(), TaskError>;
}

#[cfg(test)]
impl<F: Fn(&Task) -> Result<task_done::Result, TaskError> + Send + Sync> Work for F {
    fn perform(&self, task: &Task) -> Result<task_done::Result, TaskError> {
        self(task)
    }

    fn get_ready(&self, _: &Task) -> Result<(), TaskError> {
        Ok(())
    }
}

/// A task that was started, as the session sees it.
pub(crate) struct Running {
    orders: orders::Sender,
    /// It may wait for what the worker got ready for before.
    readying: Option<CancellationToken>,
}

impl Running {
    pub(crate) fn tell(&self, order: Order) {
        self.orders.tell(order);
    }

    /// Has the task end as soon as it can.
    pub(crate) fn abort(&self) {
        self.orders.abort();
        self.readying.iter().for_each(CancellationToken::cancel);
    }
}

/// What a task knows of itself.
pub(crate) struct Task {
    pub(crate) generation: u64,
    /// Workers on this machine, this one included, when that is known.
    pub(crate) beside: Option<u32>,
    pub(crate) assign: Assign,
    pub(crate) spec: JobSpec,
    pub(crate) places: Places,
    /// Address of this machine for the other ranks.
    pub(crate) host: IpAddr,
    pub(crate) link: Link,
    pub(crate) orders: Orders,
    pub(crate) runtime: Handle,
}

impl Task {
    pub(crate) fn lanes(&self) -> Range<u32> {
        self.assign.first_lane..self.assign.end_lane
    }

    pub(crate) fn is_first(&self) -> bool {
        self.assign.rank == 0
    }

    /// Threads for tensors: as the job says, or this worker's share of the machine's.
    pub(crate) fn threads(&self) -> u32 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u32;
        match self.spec.train.threads {
            0 => {
                let world = self.assign.world;
                (cores / self.beside.map_or(world, |beside| beside.min(world)).max(1)).max(1)
            }
            threads => threads,
        }
    }

    /// Runs a future on this thread, to its end or until the task is given up.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> Result<F::Output, TaskError> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.orders.aborted() => Err(TaskError::given_up()),
                outcome = future => Ok(outcome),
            }
        })
    }

    /// Fails once the task is given up: for loops that wait for nobody.
    pub(crate) fn go_on(&self) -> Result<(), TaskError> {
        if self.orders.is_aborted() { Err(TaskError::given_up()) } else { Ok(()) }
    }
}

/// The task's side of the session.
#[derive(Clone)]
pub(crate) struct Link {
    part: Membership,
    voice: Voice,
}

impl Link {
    /// Says something about this task; whether or not a coordinator listens now.
    pub(crate) fn say(&self, body: Body) {
        self.voice.say(&self.part, body);
    }

    /// The state of this training is in memory from now on.
    pub(crate) fn has_state(&self) {
        self.voice.has_state_of(Some(self.part.clone()));
    }

    /// No training's state is in memory from now on.
    pub(crate) fn has_no_state(&self) {
        self.voice.has_state_of(None);
    }

    /// Whether a coordinator listens.
    pub(crate) fn is_connected(&self) -> bool {
        self.voice.is_connected()
    }

    /// Waits until a coordinator has listened for `span` without interruption from now on.
    pub(crate) async fn connected_for(&self, span: Duration) {
        self.voice.connected_for(span).await;
    }
}

/// Reports progress, but not more often than somebody could read.
pub(crate) struct Reporter {
    link: Link,
    last: Option<Instant>,
}

impl Reporter {
    pub(crate) fn new(link: &Link) -> Reporter {
        Reporter { link: link.clone(), last: None }
    }

    /// Whether a report would be sent now.
    pub(crate) fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= PROGRESS_EVERY)
    }

    pub(crate) fn report(&mut self, progress: impl FnOnce() -> Progress) {
        if self.is_due() {
            self.last = Some(Instant::now());
            self.link.say(Body::Progress(progress()));
        }
    }
}

/// What it takes to start a task.
pub(crate) struct Start {
    pub(crate) part: Membership,
    pub(crate) assign: Assign,
    pub(crate) host: IpAddr,
    pub(crate) beside: Option<u32>,
    pub(crate) voice: Voice,
    pub(crate) log: JobLog,
    pub(crate) work: Arc<dyn Work>,
    pub(crate) runtime: Handle,
    /// What it got ready for before.
    pub(crate) before: Option<Readying>,
}

/// Starts a task. Its thread says how it ended.
pub(crate) fn start(start: Start) -> std::io::Result<Running> {
    let (sender, orders) = orders::channel();
    let readying = start.before.as_ref().map(Readying::token);
    let (link, log) = (Link { part: start.part.clone(), voice: start.voice.clone() }, start.log.clone());
    tracing::info!(
        generation = start.part.generation,
        job = start.assign.job,
        kind = start.assign.kind().as_str_name(),
        rank = start.assign.rank,
        world = start.assign.world,
        lanes = ?(start.assign.first_lane..start.assign.end_lane),
        "assigned"
    );
    std::thread::Builder::new().name("task".into()).spawn(move || {
        let generation = start.part.generation;
        let aborted = orders.token();
        let outcome =
            catch_unwind(AssertUnwindSafe(|| run(start, link.clone(), orders))).unwrap_or_else(|panic| {
                // Whatever there was went with it.
                link.has_no_state();
                Err(TaskError::panic(what_it_said(panic.as_ref())))
            });
        let end = match outcome {
            _ if aborted.is_cancelled() => {
                tracing::info!(generation, "let go of the task");
                Body::TaskFailed(TaskError::given_up().into())
            }
            Ok(result) => {
                tracing::info!(generation, "done");
                Body::TaskDone(TaskDone { result: Some(result) })
            }
            Err(error) => {
                tracing::error!(generation, code = error.code, "{}", error.message);
                Body::TaskFailed(error.into())
            }
        };
        // Once the end is said another task may come, with a log of its own.
        log.end();
        link.say(end);
    })?;
    Ok(Running { orders: sender, readying })
}

fn run(mut start: Start, link: Link, orders: Orders) -> Result<task_done::Result, TaskError> {
    if let Some(before) = start.before.take() {
        before.wait();
    }
    let work = start.work.clone();
    work.perform(&task(start, link, orders)?)
}

fn task(start: Start, link: Link, orders: Orders) -> Result<Task, TaskError> {
    let Start { part, assign, host, beside, runtime, .. } = start;
    let spec: JobSpec =
        serde_json::from_str(&assign.spec_json).map_err(|why| TaskError::protocol("spec", why))?;
    let places = assign.places.clone().ok_or_else(|| TaskError::protocol("places", "missing"))?;
    Ok(Task { generation: part.generation, beside, assign, spec, places, host, link, orders, runtime })
}

/// The work of a real worker, who keeps what it has trained from one task to the next.
#[derive(Default)]
pub(crate) struct Trade {
    keep: Keep,
}

impl Work for Trade {
    fn perform(&self, task: &Task) -> Result<task_done::Result, TaskError> {
        if task.assign.kind() != TaskKind::Train {
            self.keep.forget(task);
        }
        match task.assign.kind() {
            TaskKind::Prepare => crate::prepare::run(task).map(task_done::Result::Prepared),
            TaskKind::Train => crate::train::run(task, &self.keep).map(task_done::Result::Trained),
            TaskKind::Evaluate => crate::evaluate::run(task).map(task_done::Result::Evaluated),
            TaskKind::Export => crate::export::run(task).map(task_done::Result::Exported),
            TaskKind::Unspecified => Err(TaskError::protocol("kind", "not one this version knows")),
        }
    }

    fn get_ready(&self, task: &Task) -> Result<(), TaskError> {
        crate::train::get_ready(task, &self.keep)
    }
}

fn what_it_said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned()
}
