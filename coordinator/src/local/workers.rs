//! The worker processes of local mode.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use twinspire_control::{Failure, FailureKind};
use twinspire_processes::{Child, Exit, Supervisor};

use crate::{ControlError, service::Places};

/// Processes that may end in a row without a task having been begun.
const MOST_EXITS: u32 = 4;

/// How long all workers may take to register. Starting one takes a second or two; a loaded machine
/// may take long over libtorch.
const REGISTER: Duration = Duration::from_secs(120);

/// Worker processes, started again when they end.
pub(super) struct Workers {
    supervisor: Supervisor,
    count: u32,
    exits: u32,
    since: Instant,
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
        Ok(Workers { supervisor, count, exits: 0, since: Instant::now() })
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
        self.exits = 0;
        self.since = Instant::now();
    }

    /// Why to give up, when processes keep ending before they have anything to do.
    pub(super) fn given_up(&mut self, exit: Exit) -> Option<Failure> {
        self.exits += 1;
        self.since = Instant::now();
        (self.exits > MOST_EXITS).then(|| Failure {
            code: "TW5001".into(),
            message: format!("{} is gone: {} (tried {} times)", exit.name, exit.why, self.exits),
            kind: FailureKind::LostPeer,
            worker: Some(exit.name.as_str().into()),
        })
    }

    /// Why to give up, when some have not registered in time.
    pub(super) fn overdue(&self, registered: usize) -> Option<Failure> {
        let missing = registered < self.count as usize;
        (missing && self.since.elapsed() > REGISTER).then(|| Failure {
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

    /// Waits until all have ended, but no longer than `grace`; then kills those left.
    pub(super) async fn end(mut self, grace: Duration) {
        self.supervisor.end(grace).await;
    }
}

/// The `worker` program beside this one.
fn program() -> Result<PathBuf, ControlError> {
    let here = std::env::current_exe();
    let here = here.map_err(|source| ControlError::File { action: "find", path: "coordinator".into(), source })?;
    Ok(here.with_file_name("worker"))
}
