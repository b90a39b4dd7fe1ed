//! A directory for one test: a log, job files, and the runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    process::{Ended, Process},
    programs::Program,
    state::StateTensors,
};

const JOBS: [(&str, &str); 2] = [
    ("features.yaml", include_str!("../jobs/features.yaml")),
    ("ids.yaml", include_str!("../jobs/ids.yaml")),
];

/// A directory in which commands run; gone when dropped.
///
/// ```text
/// features.yaml  ids.yaml      the job files of tests/jobs, on the generated log
/// log/                         what `coordinator generate` wrote
/// runs/                        what jobs write
/// ```
pub struct Place {
    directory: TempDir,
    output: TempDir,
}

impl Place {
    /// An empty directory.
    #[allow(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Place {
        let directory = || tempfile::tempdir().expect("a temporary directory");
        Place { directory: directory(), output: directory() }
    }

    /// A directory with a generated log and the job files on it.
    pub fn with_log(users: u32, items: u32, events: u32) -> Place {
        let place = Place::new();
        let [users, items, events] = [users, items, events].map(|number| number.to_string());
        let size = ["--users", &users, "--items", &items, "--events", &events];
        let other = ["--vector-dim", "8", "--seed", "1", "--threads", "1"];
        place.run(&[&["generate", "log"][..], &size, &other].concat()).expect_exit(0);
        for (name, text) in JOBS {
            place.write(name, text);
        }
        place
    }

    /// A path in the directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("inside the directory")).expect("a directory");
        fs::write(path, content).expect("a file");
    }

    /// Reads a text file.
    #[track_caller]
    pub fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
    }

    /// A coordinator command in this directory.
    pub fn coordinator(&self, arguments: &[&str]) -> Program {
        Program::coordinator(self.directory.path(), self.output.path(), arguments)
    }

    /// A worker command in this directory.
    pub fn worker(&self, arguments: &[&str]) -> Program {
        Program::worker(self.directory.path(), self.output.path(), arguments)
    }

    /// Runs a coordinator command to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.coordinator(arguments).run()
    }

    /// Starts a coordinator command.
    pub fn start(&self, arguments: &[&str]) -> Process {
        self.coordinator(arguments).start()
    }

    /// Steps of a job's committed checkpoints, in order.
    pub fn checkpoints(&self, job: &str) -> Vec<u64> {
        steps_below(&self.path(format!("runs/{job}/checkpoints")))
    }

    /// The last step that a job has trained, as its metrics have it: no coordinator is asked. With
    /// `train.log_every=1` that is every step.
    pub fn trained(&self, job: &str) -> u64 {
        let metrics = self.path(format!("runs/{job}/metrics.jsonl"));
        let metrics = fs::read_to_string(metrics).unwrap_or_default();
        // The last line may be half written.
        let lines = metrics.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter_map(|line| line["step"].as_u64()).next().unwrap_or(0)
    }

    /// The whole state in a job's newest checkpoint.
    #[track_caller]
    pub fn state(&self, job: &str) -> StateTensors {
        StateTensors::newest(&self.path(format!("runs/{job}/checkpoints")))
    }

    /// Every file below a directory.
    pub fn files(&self, name: &str) -> Vec<PathBuf> {
        files_below(&self.path(name))
    }
}

/// Sorted; none when there is no such directory.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory { directories.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files.sort();
    files
}

/// Steps of the committed checkpoints in a directory, in order.
pub(crate) fn steps_below(directory: &Path) -> Vec<u64> {
    let mut steps: Vec<u64> = files_below(directory)
        .iter()
        .filter(|file| file.ends_with("manifest.json"))
        .filter_map(|file| {
            file.ancestors().nth(2)?.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()
        })
        .collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}
