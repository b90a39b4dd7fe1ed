//! One leased task, on a thread of its own.
//!
//! ```text
//! session (tokio)  -- orders: stop, rendezvous, commit -->  task thread (tensors, blocking)
//!                  <-- outbox: progress, parts, result ---
//! ```

mod failure;
mod group;
mod orders;

use std::{
    any::Any,
    net::IpAddr,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{runtime::Handle, sync::mpsc};
use twinspire_job::JobSpec;
use twinspire_proto::{
    from_worker,
    v1::{
        Assign, Places, Progress, TaskDone, TaskKind, WorkerMessage, coordinator_message::Body as Order,
        task_done, worker_message::Body,
    },
};

pub(crate) use failure::TaskError;
pub(crate) use group::Group;
pub(crate) use orders::{Commit, Control, Orders};

/// Where a worker's messages go out.
pub(crate) type Outbox = mpsc::UnboundedSender<WorkerMessage>;

/// Between two progress reports.
const PROGRESS_EVERY: Duration = Duration::from_millis(300);

/// A running task, as the session sees it.
pub(crate) struct Running {
    pub(crate) generation: u64,
    orders: orders::Sender,
    thread: JoinHandle<()>,
    reported: Arc<AtomicBool>,
}

impl Running {
    /// Not from the moment it reports its result: the next task may be assigned on the strength of
    /// the report, before this one's thread is quite gone.
    pub(crate) fn is_alive(&self) -> bool {
        !self.reported.load(Ordering::Acquire) && !self.thread.is_finished()
    }

    pub(crate) fn tell(&self, order: Order) {
        self.orders.tell(order);
    }
}

/// What a task knows of itself.
pub(crate) struct Task {
    pub(crate) generation: u64,
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
            0 => (cores / self.assign.world.max(1)).max(1),
            threads => threads,
        }
    }
}

/// The task's side of the session.
#[derive(Clone)]
pub(crate) struct Link {
    generation: u64,
    outbox: Outbox,
}

impl Link {
    /// Says something about this task. When nobody listens any more the process is about to end.
    pub(crate) fn say(&self, body: Body) {
        let _ = self.outbox.send(from_worker(self.generation, body));
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

/// Starts a task.
pub(crate) fn start(
    generation: u64,
    assign: Assign,
    host: IpAddr,
    outbox: Outbox,
    runtime: Handle,
) -> std::io::Result<Running> {
    let (sender, orders) = orders::channel();
    let link = Link { generation, outbox };
    tracing::info!(
        generation,
        job = assign.job,
        kind = assign.kind().as_str_name(),
        rank = assign.rank,
        world = assign.world,
        lanes = ?(assign.first_lane..assign.end_lane),
        "assigned"
    );
    let reported = Arc::new(AtomicBool::new(false));
    let about_to_report = Arc::clone(&reported);
    let thread = std::thread::Builder::new().name("task".into()).spawn(move || {
        let outcome =
            catch_unwind(AssertUnwindSafe(|| run(generation, assign, host, link.clone(), orders, runtime)))
                .unwrap_or_else(|panic| Err(TaskError::panic(what_it_said(panic.as_ref()))));
        about_to_report.store(true, Ordering::Release);
        link.say(match outcome {
            Ok(result) => {
                tracing::info!(generation, "done");
                Body::TaskDone(TaskDone { result: Some(result) })
            }
            Err(error) => {
                tracing::error!(generation, code = error.code, "{}", error.message);
                Body::TaskFailed(error.into())
            }
        });
    })?;
    Ok(Running { generation, orders: sender, thread, reported })
}

fn run(
    generation: u64,
    assign: Assign,
    host: IpAddr,
    link: Link,
    orders: Orders,
    runtime: Handle,
) -> Result<task_done::Result, TaskError> {
    let spec: JobSpec =
        serde_json::from_str(&assign.spec_json).map_err(|why| TaskError::protocol("spec", why))?;
    let places = assign.places.clone().ok_or_else(|| TaskError::protocol("places", "missing"))?;
    let kind = assign.kind();
    let task = Task { generation, assign, spec, places, host, link, orders, runtime };
    match kind {
        TaskKind::Prepare => crate::prepare::run(&task).map(task_done::Result::Prepared),
        TaskKind::Train => crate::train::run(&task).map(task_done::Result::Trained),
        TaskKind::Evaluate => crate::evaluate::run(&task).map(task_done::Result::Evaluated),
        TaskKind::Export => crate::export::run(&task).map(task_done::Result::Exported),
        TaskKind::Unspecified => Err(TaskError::protocol("kind", "not one this version knows")),
    }
}

fn what_it_said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_owned()
}
