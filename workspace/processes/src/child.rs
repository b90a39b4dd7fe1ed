use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::{ChildStdin, Command};

use crate::{ProcessError, log};

/// A process to be kept running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Child {
    /// What it is called in logs; of all children of a supervisor, one has it.
    pub name: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What its environment has besides this process's.
    pub env: Vec<(String, String)>,
    /// The file its output is appended to; without one it goes where this process's goes.
    pub log: Option<PathBuf>,
}

/// A process that runs.
pub(crate) struct Started {
    pub(crate) process: tokio::process::Child,
    /// Closes when this process ends, and tells the child so.
    pub(crate) _held_open: Option<ChildStdin>,
}

impl Child {
    pub(crate) fn start(&self, program: &Path) -> Result<Started, ProcessError> {
        let mut command = Command::new(program);
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(path) = &self.log {
            let (out, err) =
                log::open(path).map_err(|source| ProcessError::Log { path: path.clone(), source })?;
            command.stdout(out).stderr(err);
        }
        let mut process =
            command.spawn().map_err(|source| ProcessError::Start { program: program.to_owned(), source })?;
        // Waiting for the child would close it otherwise.
        let held_open = process.stdin.take();
        Ok(Started { process, _held_open: held_open })
    }
}
