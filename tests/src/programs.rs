//! Where the programs are, and how they are started.

use std::{
    env,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::process::{Ended, Process};

/// A program of this workspace: cargo puts them one directory above the test programs.
pub fn program(name: &str) -> PathBuf {
    let test = env::current_exe().expect("this program has a path");
    let path = test.parent().and_then(Path::parent).expect("a build directory").join(name);
    assert!(path.is_file(), "{} is not there; run cargo build --workspace --bins first", path.display());
    path
}

/// A `coordinator` command to be started in a directory.
pub struct Coordinator {
    command: Command,
    output: PathBuf,
}

impl Coordinator {
    /// `coordinator arguments…` in `directory`; what it prints goes into files under `output`.
    pub fn new(directory: &Path, output: &Path, arguments: &[&str]) -> Coordinator {
        // The coordinator starts the worker beside it; better to say here that it is not built.
        program("worker");
        let mut command = Command::new(program("coordinator"));
        command.current_dir(directory).args(arguments).stdin(Stdio::null());
        for variable in ["TWINSPIRE_RUNS", "RUST_LOG"] {
            command.env_remove(variable);
        }
        Coordinator { command, output: output.to_owned() }
    }

    /// With more variables in its environment.
    pub fn environment(mut self, variables: &[(String, String)]) -> Coordinator {
        self.command.envs(variables.iter().map(|(name, value)| (name, value)));
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Process {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let arguments: Vec<_> = self.command.get_args().map(|argument| argument.to_string_lossy()).collect();
        let what = format!("coordinator {}", arguments.join(" "));
        let paths = ["out", "err"].map(|stream| self.output.join(format!("{number}.{stream}")));
        let mut start = || -> io::Result<_> {
            self.command.stdout(File::create(&paths[0])?).stderr(File::create(&paths[1])?);
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
