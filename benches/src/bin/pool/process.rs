//! What Linux knows of the server's process.

use std::fs;

use crate::Failure;

/// A process of this machine.
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// A line of its status, in MB: `VmRSS` is what it has, `VmHWM` the most it has had.
    pub(crate) fn memory_mb(&self, line: &str) -> Result<f64, Failure> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let text = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes =
            text.and_then(|text| text.trim().strip_suffix(" kB")).ok_or("no memory in its status")?;
        Ok(kilobytes.trim().parse::<f64>()? / 1024.0)
    }

    /// Seconds of processor time it has had.
    pub(crate) fn cpu_s(&self) -> Result<f64, Failure> {
        /// Linux counts in hundredths for programs, whatever the kernel does.
        const TICKS: f64 = 100.0;
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name, in parentheses, may hold spaces; user and system time are fields 14 and 15.
        let (_, fields) = stat.rsplit_once(')').ok_or("its stat has no name")?;
        let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
        let (Some(user), Some(system)) = (times.next(), times.next()) else {
            return Err("its stat has no times".into());
        };
        Ok((user? + system?) / TICKS)
    }
}
