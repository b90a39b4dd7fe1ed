//! The worker processes of local mode.
//!
//! Each is a child of this process with a pipe as its standard input that nothing is ever written
//! to: when this process ends, however it ends, the pipe closes and the worker ends too. Workers
//! are in process groups of their own, so that Ctrl-C reaches the coordinator only, which stops
//! them in good order.

use std::{
    fs::File,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{process::Command, sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::log;
use crate::{core::Launch, error::ControlError};

/// A process that ended.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    pub(crate) launch: Launch,
    pub(crate) name: String,
    pub(crate) why: String,
}

/// The worker processes there are.
pub struct Processes {
    program: PathBuf,
    logs: PathBuf,
    url: String,
    kill: CancellationToken,
    running: JoinSet<()>,
    exits: mpsc::UnboundedSender<Exit>,
    pub(crate) exited: mpsc::UnboundedReceiver<Exit>,
}

impl Processes {
    /// Workers that will connect to `url` and write their logs under `logs`.
    pub fn new(program: PathBuf, logs: PathBuf, url: String) -> Processes {
        let (exits, exited) = mpsc::unbounded_channel();
        Processes {
            program,
            logs,
            url,
            kill: CancellationToken::new(),
            running: JoinSet::new(),
            exits,
            exited,
        }
    }

    /// The `worker` program beside this one.
    pub fn worker_program() -> Result<PathBuf, ControlError> {
        let beside = std::env::current_exe()
            .map(|coordinator| coordinator.with_file_name("worker"))
            .map_err(|source| ControlError::NoWorkerProgram { path: "worker".into(), source })?;
        match beside.metadata() {
            Ok(_) => Ok(beside),
            Err(source) => Err(ControlError::NoWorkerProgram { path: beside, source }),
        }
    }

    /// Starts `count` workers.
    pub(crate) fn launch(&mut self, launch: Launch, count: u32) -> Result<(), ControlError> {
        self.kill = CancellationToken::new();
        for slot in 0..count {
            self.start(launch, format!("worker-{slot}"))?;
        }
        Ok(())
    }

    fn start(&mut self, launch: Launch, name: String) -> Result<(), ControlError> {
        let path = self.log_of(&name);
        let open = || -> std::io::Result<(File, File)> {
            let log = log::open(&path)?;
            Ok((log.try_clone()?, log))
        };
        let (out, err) = open().map_err(|source| ControlError::Log { path: path.clone(), source })?;
        let mut child = Command::new(&self.program)
            .args(["--coordinator", &self.url, "--name", &name, "--end-with-stdin"])
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| ControlError::NoWorkerProgram { path: self.program.clone(), source })?;
        let (exits, kill) = (self.exits.clone(), self.kill.clone());
        // `wait` would close a pipe that is still the child's.
        let held_open = child.stdin.take();
        self.running.spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                () = kill.cancelled() => {
                    let _ = child.kill().await;
                    return;
                }
            };
            drop(held_open);
            let why = status.map_or_else(|why| why.to_string(), how_it_ended);
            let _ = exits.send(Exit { launch, name, why });
        });
        Ok(())
    }

    /// The log of a worker.
    pub fn log_of(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }

    /// Waits until all processes have ended, but no longer than `grace`; then kills those left.
    pub(crate) async fn end(&mut self, grace: Duration) {
        let all_ended = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            self.kill.cancel();
            while self.running.join_next().await.is_some() {}
        }
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(9), _) => "its process was killed (signal 9; out of memory, perhaps)".into(),
        (Some(signal), _) => format!("its process was killed by signal {signal}"),
        (None, Some(code)) => format!("its process ended with exit code {code}"),
        (None, None) => "its process ended".into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[tokio::test]
    async fn the_exit_of_a_worker_is_reported_with_its_cause() {
        let dir = tempfile::tempdir().unwrap();
        let mut processes =
            Processes::new("false".into(), dir.path().join("logs"), "http://127.0.0.1:1".into());
        processes.launch(Launch(1), 1).unwrap();
        let exit = processes.exited.recv().await.unwrap();
        assert_eq!((exit.launch, exit.name.as_str()), (Launch(1), "worker-0"));
        assert_eq!(exit.why, "its process ended with exit code 1");
    }

    #[tokio::test]
    async fn workers_that_do_not_end_are_killed() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("stubborn");
        std::fs::write(&script, "#!/bin/sh\nexec sleep 600\n").unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut processes = Processes::new(script, dir.path().join("logs"), "http://127.0.0.1:1".into());
        processes.launch(Launch(1), 2).unwrap();
        processes.end(Duration::from_millis(10)).await;
        assert!(processes.running.is_empty());
    }
}
