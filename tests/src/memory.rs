//! Memory that runs out: a control group with next to none.

use std::{fs, io, path::PathBuf};

/// A group of processes that get no more memory; gone when dropped, once they are.
#[derive(Debug)]
pub struct NoMemory {
    group: PathBuf,
    /// The file that counts those the kernel has killed for it.
    events: &'static str,
}

/// Where groups are made, the file that limits their memory, and the one that counts the killed: of both versions.
const VERSIONS: [(&str, &str, &str); 2] = [
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"),
    ("/sys/fs/cgroup", "memory.max", "memory.events"),
];

/// Bytes. What a process has already is not counted, what it takes from now on is.
const LIMIT: &str = "1000000";

impl NoMemory {
    /// A group without processes; none, with the reason, where that is not allowed.
    pub fn new() -> Result<NoMemory, String> {
        let mut why = "there are no control groups".to_owned();
        for (root, limit, events) in VERSIONS {
            let group = PathBuf::from(root).join(format!("twinspire-{}", std::process::id()));
            if let Err(error) = fs::create_dir(&group) {
                why = format!("{}: {error}", group.display());
                continue;
            }
            let made = NoMemory { group, events };
            match fs::write(made.group.join(limit), LIMIT) {
                Ok(()) => return Ok(made),
                Err(error) => why = format!("{}: {error}", made.group.join(limit).display()),
            }
        }
        Err(why)
    }

    /// From now on this process gets no more memory.
    pub fn take(&self, process: u32) -> io::Result<()> {
        fs::write(self.group.join("cgroup.procs"), process.to_string())
    }

    /// How many processes the kernel has killed for it.
    pub fn killed(&self) -> u64 {
        let events = fs::read_to_string(self.group.join(self.events)).unwrap_or_default();
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    }
}

impl Drop for NoMemory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.group);
    }
}
