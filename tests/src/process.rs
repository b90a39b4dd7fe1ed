//! A running program with the processes it started, and what it left when it ended.

use std::{
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::until;

/// A running coordinator, or the parent of workers. It and its workers are killed when this is dropped.
pub struct Process {
    what: String,
    child: Child,
    output: [PathBuf; 2],
}

impl Process {
    pub(crate) fn new(what: String, child: Child, output: [PathBuf; 2]) -> Process {
        Process { what, child, output }
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> Ended {
        let what = format!("{} is to end", self.what);
        let status = until(&what, || self.child.try_wait().expect("a child of this process"));
        self.ended(status)
    }

    /// Waits until `condition` holds, which must be before the program ends.
    pub fn wait_until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        until(what, || {
            if condition() {
                return Some(());
            }
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                panic!("ended before {what}: {:?}", self.ended(status));
            }
            None
        });
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child of this process").is_some()
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(self.child.id(), Signal::INT);
    }

    /// SIGTERM, as systems end programs.
    pub fn terminate(&self) {
        self.signal(self.child.id(), Signal::TERM);
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.written(1)
    }

    /// `kill -9` of it and all its workers, at once.
    pub fn kill_all(self) -> Ended {
        let workers = self.workers();
        self.signal(self.child.id(), Signal::KILL);
        for worker in &workers {
            self.signal(*worker, Signal::KILL);
        }
        self.gone(&workers)
    }

    /// `kill -9` of it alone; its workers must end by themselves.
    pub fn kill(self) -> Ended {
        let workers = self.workers();
        self.signal(self.child.id(), Signal::KILL);
        self.gone(&workers)
    }

    /// `kill -9` of its workers, which it must replace.
    pub fn kill_workers(&self) {
        self.workers().into_iter().for_each(|worker| self.signal(worker, Signal::KILL));
    }

    /// A directory as this program sees it, who may have disks of its own.
    pub fn hold(&self, directory: &Path) -> io::Result<Held> {
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        File::open(root.join(directory.strip_prefix("/").unwrap_or(directory))).map(Held)
    }

    fn gone(mut self, workers: &[u32]) -> Ended {
        let status = self.child.wait().expect("a child of this process");
        until("workers are to be gone with their coordinator", || {
            workers.iter().all(|&pid| is_gone(pid)).then_some(())
        });
        self.ended(status)
    }

    /// Process ids of the workers there are now.
    pub fn workers(&self) -> Vec<u32> {
        let parent = format!("PPid:\t{}\n", self.child.id());
        let processes = fs::read_dir("/proc").expect("Linux").flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| status_of(*pid).contains(&parent))
            .collect()
    }

    fn signal(&self, pid: u32, signal: Signal) {
        let pid = Pid::from_raw(pid as i32).expect("no process has the id 0");
        // One that is gone already needs no signal.
        let _ = kill_process(pid, signal);
    }

    fn written(&self, stream: usize) -> String {
        String::from_utf8_lossy(&fs::read(&self.output[stream]).unwrap_or_default()).into_owned()
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        let [stdout, stderr] = [0, 1].map(|stream| self.written(stream));
        Ended { what: self.what.clone(), status, stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let workers = self.workers();
            let _ = self.child.kill();
            let _ = self.child.wait();
            workers.into_iter().for_each(|worker| self.signal(worker, Signal::KILL));
        }
    }
}

fn status_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

/// Gone, or dead and only waiting for somebody to take note of it.
fn is_gone(pid: u32) -> bool {
    let status = status_of(pid);
    status.is_empty() || status.contains("State:\tZ") || status.contains("State:\tX")
}

/// A directory of a program's: it stays when the program has ended, a disk of its own too.
#[derive(Debug)]
pub struct Held(File);

impl Held {
    /// A path in it, for this program and those it starts.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())).join(name)
    }
}

/// What a program left.
#[derive(Debug)]
pub struct Ended {
    what: String,
    status: ExitStatus,
    /// Everything it wrote to standard output.
    pub stdout: String,
    /// Everything it wrote to standard error.
    pub stderr: String,
}

impl Ended {
    /// The exit code; none when a signal ended it.
    pub fn exit(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails, with all that was printed, unless the exit code is this.
    #[track_caller]
    pub fn expect_exit(self, code: i32) -> Ended {
        assert_eq!(self.exit(), Some(code), "{}\n{}\n{}", self.what, self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|why| panic!("{}: {why}\n{}\n{}", self.what, self.stdout, self.stderr))
    }
}
