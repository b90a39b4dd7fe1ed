//! Where the programs are, and how they are started.

use std::{
    env,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    disk::{in_namespace, reading_only},
    process::{Ended, Process},
};

/// What the programs take from their environment: nothing of it is meant for those that tests start.
const OURS: [&str; 8] = [
    "RUST_LOG",
    "TWINSPIRE_COORDINATOR",
    "TWINSPIRE_LISTEN",
    "TWINSPIRE_ADVERTISE",
    "TWINSPIRE_STATE",
    "TWINSPIRE_RUNS",
    "TWINSPIRE_PATIENCE",
    "TWINSPIRE_SETTLE",
];

/// A program of this workspace: cargo puts them one directory above the test programs.
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("this program has a path");
    let path = test.parent().and_then(Path::parent).expect("a build directory").join(name);
    assert!(path.is_file(), "{} is not there; run cargo build --workspace --bins first", path.display());
    path
}

/// A `coordinator` or `worker` command to be started in a directory.
pub struct Program {
    name: &'static str,
    command: Command,
    output: PathBuf,
    streams: [Option<Stdio>; 2],
}

/// The end to write to of a pipe that nobody reads from any more.
pub fn closed_pipe() -> io::PipeWriter {
    let (_, writer) = io::pipe().expect("a pipe");
    writer
}

impl Program {
    /// `coordinator arguments…` in `directory`; what it prints goes into files under `output`.
    pub fn coordinator(directory: &Path, output: &Path, arguments: &[&str]) -> Program {
        // The coordinator starts the worker beside it; better to say here that it is not built.
        program("worker");
        Program::new("coordinator", directory, output, arguments)
    }

    /// `worker arguments…`, likewise.
    pub fn worker(directory: &Path, output: &Path, arguments: &[&str]) -> Program {
        Program::new("worker", directory, output, arguments)
    }

    fn new(name: &'static str, directory: &Path, output: &Path, arguments: &[&str]) -> Program {
        let mut command = Command::new(program(name));
        command.current_dir(directory).args(arguments).stdin(Stdio::null());
        for variable in OURS {
            command.env_remove(variable);
        }
        Program { name, command, output: output.to_owned(), streams: [None, None] }
    }

    /// In a network namespace of its own.
    pub fn in_network(self, namespace: &str) -> Program {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]);
        self.run_by(command)
    }

    /// With a disk of so many kilobytes in a directory, which only it and its children see: others reach it by
    /// [`Process::hold`].
    pub fn with_disk(self, directory: &Path, kilobytes: u32) -> Program {
        self.run_by(in_namespace(directory, kilobytes))
    }

    /// Without being able to write a directory, nor are its children.
    pub fn reading_only(self, directory: &Path) -> Program {
        self.run_by(reading_only(directory))
    }

    /// As a command that ends with the words of another one.
    fn run_by(mut self, mut command: Command) -> Program {
        command.arg(self.command.get_program()).args(self.command.get_args());
        if let Some(directory) = self.command.get_current_dir() {
            command.current_dir(directory);
        }
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null());
        self.command = command;
        self
    }

    /// With more variables in its environment.
    pub fn environment(mut self, variables: &[(String, String)]) -> Program {
        self.command.envs(variables.iter().map(|(name, value)| (name, value)));
        self
    }

    /// With its standard output going elsewhere.
    pub fn stdout(mut self, to: impl Into<Stdio>) -> Program {
        self.streams[0] = Some(to.into());
        self
    }

    /// With its standard error going elsewhere.
    pub fn stderr(mut self, to: impl Into<Stdio>) -> Program {
        self.streams[1] = Some(to.into());
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Process {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let arguments: Vec<_> = self.command.get_args().map(|argument| argument.to_string_lossy()).collect();
        let what = format!("{} {}", self.name, arguments.join(" "));
        let paths = ["out", "err"].map(|stream| self.output.join(format!("{number}.{stream}")));
        let mut start = || -> io::Result<_> {
            let [out, err] = paths.each_ref().map(File::create);
            let [other_out, other_err] = self.streams.each_mut().map(Option::take);
            self.command.stdout(other_out.unwrap_or(out?.into())).stderr(other_err.unwrap_or(err?.into()));
            self.command.spawn()
        };
        let child = start().unwrap_or_else(|why| panic!("{what}: {why}"));
        Process::new(what, child, paths)
    }

    /// Starts it and waits for its end.
    pub fn run(self) -> Ended {
        self.start().wait()
    }
}
