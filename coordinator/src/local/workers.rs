//! The worker processes of local mode.

use std::{
    collections::HashMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use twinspire_control::{Failure, FailureKind};
use twinspire_processes::{Child, Exit, Signal, Supervisor};

use crate::{
    ControlError,
    service::{Places, WorkerView},
};

/// Processes that may end in a row without a task having been begun.
const MOST_EXITS: u32 = 4;

/// How often in a row a worker that has registered may be missing before its process counts as
/// frozen: one whose connection broke is back by then.
const MOST_ABSENCES: u32 = 3;

/// How long all workers may take to register. Starting one takes a second or two; a loaded machine
/// may take long over libtorch.
const REGISTER: Duration = Duration::from_secs(120);

/// Worker processes, started again when they end.
pub(super) struct Workers {
    supervisor: Supervisor,
    count: u32,
    /// Ends of each in a row, since a task was begun.
    exits: HashMap<String, u32>,
    /// Those that have registered since they were started, and how often in a row they were not
    /// found since.
    absences: HashMap<String, u32>,
    /// Those that were frozen on purpose, and when they wake up.
    asleep: HashMap<String, Instant>,
    /// Since when not all have been registered.
    missing: Option<Instant>,
    /// Since when none of them can do the job's work: there are no others to wait for.
    unable: Option<Instant>,
}

impl Workers {
    /// Starts `count` workers that connect to `url`.
    pub(super) fn start(places: &Places, url: &str, count: u32) -> Result<Workers, ControlError> {
        let children = (0..count).map(|slot| {
            let name = format!("worker-{slot}");
            let args = ["--coordinator", url, "--name", &name, "--end-with-stdin"];
            Child {
                args: args.map(str::to_owned).to_vec(),
                env: Vec::new(),
                log: Some(places.log_of(&name)),
                name,
            }
        });
        let supervisor = Supervisor::start(program()?, children.collect())?;
        Ok(Workers {
            supervisor,
            count,
            exits: HashMap::new(),
            absences: HashMap::new(),
            asleep: HashMap::new(),
            missing: None,
            unable: None,
        })
    }

    /// Waits for a process to end. Another one takes its place by itself.
    pub(super) async fn exited(&mut self) -> Exit {
        match self.supervisor.exits.recv().await {
            Some(exit) => exit,
            None => std::future::pending().await,
        }
    }

    /// Workers got a task: they can be started.
    pub(super) fn began(&mut self) {
        self.exits.clear();
    }

    /// A worker was frozen on purpose: it comes back by itself.
    pub(super) fn sleeps(&mut self, worker: &str, span: Duration) {
        self.asleep.insert(worker.to_owned(), Instant::now() + span);
    }

    /// Why to give up, when a process keeps ending before it has anything to do, or for good.
    pub(super) fn given_up(&mut self, exit: &Exit) -> Option<Failure> {
        // Another one is going to register.
        self.missing = None;
        self.absences.remove(&exit.name);
        self.asleep.remove(&exit.name);
        let exits = self.exits.entry(exit.name.clone()).or_default();
        *exits += 1;
        let times = if *exits > 1 { format!(" (tried {exits} times)") } else { String::new() };
        (*exits > MOST_EXITS || exit.again_in.is_none()).then(|| Failure {
            code: "TW5001".into(),
            message: format!("{} is gone: {}{times}", exit.name, exit.why),
            kind: FailureKind::LostPeer,
            worker: Some(exit.name.as_str().into()),
        })
    }

    /// Looks who is registered. One that was and is not any more, though its process has not ended,
    /// is frozen: another takes its place. Why to give up, when some are missing for too long.
    pub(super) fn look(&mut self, registered: &[WorkerView]) -> Option<Failure> {
        self.asleep.retain(|_, until| Instant::now() < *until);
        for (worker, absences) in &mut self.absences {
            *absences = if self.asleep.contains_key(worker) { 0 } else { *absences + 1 };
        }
        for worker in registered {
            self.absences.insert(worker.name.to_string(), 0);
        }
        let frozen = self.absences.extract_if(|_, absences| *absences >= MOST_ABSENCES);
        for (name, _) in frozen {
            tracing::warn!(worker = name, "it is lost, and its process has not ended: it is killed");
            self.supervisor.replace(&name);
        }
        if registered.is_empty() || registered.iter().any(|worker| worker.left_out_of.is_empty()) {
            self.unable = None;
        } else if self.unable.get_or_insert_with(Instant::now).elapsed() > REGISTER {
            return Some(Failure {
                code: "TW5002".into(),
                message: "no worker can do the job's work: what each is left out for is said above".into(),
                kind: FailureKind::BadInput,
                worker: None,
            });
        }
        let registered = registered.len();
        if registered >= self.count as usize || !self.asleep.is_empty() {
            self.missing = None;
            return None;
        }
        let missing = self.missing.get_or_insert_with(Instant::now);
        (missing.elapsed() > REGISTER).then(|| Failure {
            code: "TW5002".into(),
            message: format!(
                "{registered} of {} workers registered within {} s",
                self.count,
                REGISTER.as_secs()
            ),
            kind: FailureKind::LostPeer,
            worker: None,
        })
    }

    /// Has all end, and waits until they have, but no longer than `grace`; then kills those left.
    pub(super) async fn end(mut self, grace: Duration) {
        if grace > Duration::ZERO {
            self.supervisor.signal_all(Signal::TERM);
        }
        self.supervisor.end(grace).await;
    }
}

/// The `worker` program beside this one.
fn program() -> Result<PathBuf, ControlError> {
    let here = std::env::current_exe();
    let here =
        here.map_err(|source| ControlError::File { action: "find", path: "coordinator".into(), source })?;
    Ok(here.with_file_name("worker"))
}
