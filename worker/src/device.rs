//! What this process computes on.

use std::process::{Command, Stdio};

use twinspire_processes::{Device, gpus};

/// The device of a worker that was not told which.
pub(crate) fn guess() -> Device {
    if gpus().is_empty() { Device::Cpu } else { Device::Cuda(0) }
}

/// Its memory in bytes, as far as that can be known without libtorch; 0 = unknown. For people: it
/// decides nothing.
pub(crate) fn memory(device: Device) -> u64 {
    match device {
        Device::Cpu => memory_of_machine().unwrap_or(0),
        Device::Cuda(_) => memory_of_gpu().unwrap_or(0),
    }
}

/// What the machine has, or the control group lets this process have.
fn memory_of_machine() -> Option<u64> {
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit: Option<u64> = limit.and_then(|limit| limit.trim().parse().ok());
    let machine = in_meminfo(&std::fs::read_to_string("/proc/meminfo").ok()?)?;
    Some(limit.map_or(machine, |limit| limit.min(machine)))
}

/// `MemTotal:       24634784 kB`
fn in_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Of the GPU this process sees, by the driver's own tool, if it is there.
fn memory_of_gpu() -> Option<u64> {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_else(|_| "0".into());
    let output = Command::new("nvidia-smi")
        .args(["--query-gpu=memory.total", "--format=csv,noheader,nounits", "--id", &visible])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let megabytes: u64 = String::from_utf8_lossy(&output.stdout).lines().next()?.trim().parse().ok()?;
    Some(megabytes << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_machine_is_in_bytes() {
        let text = "MemTotal:       24634784 kB\nMemFree:        12 kB\n";
        assert_eq!(in_meminfo(text), Some(24_634_784 * 1024));
        assert_eq!(in_meminfo("nothing"), None);
        assert!(memory(Device::Cpu) > 1 << 20);
    }
}
