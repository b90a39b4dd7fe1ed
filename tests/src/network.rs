//! Machines that can be cut off: network namespaces on a bridge.

use std::process::{Command, Stdio};

/// The coordinator's side of the bridge; the documentation of addresses keeps this range for benchmarks.
const HOST: &str = "198.18.77.1";

/// A bridge with some machines on it; gone when dropped.
pub struct Network {
    bridge: String,
    machines: Vec<String>,
}

impl Network {
    /// Machines on a network of their own; none, with the reason, where that is not allowed.
    pub fn new(machines: u32) -> Result<Network, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("network namespaces need root".into());
        }
        let tag = std::process::id() % 10_000;
        let mut network = Network { bridge: format!("twb{tag}"), machines: Vec::new() };
        let bridge = network.bridge.clone();
        ip(&["link", "add", &bridge, "type", "bridge"])?;
        ip(&["addr", "add", &format!("{HOST}/24"), "dev", &bridge])?;
        ip(&["link", "set", &bridge, "up"])?;
        for machine in 0..machines {
            let (name, cable) = (format!("twn{tag}-{machine}"), format!("twc{tag}-{machine}"));
            ip(&["netns", "add", &name])?;
            network.machines.push(name.clone());
            ip(&["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
            ip(&["link", "set", &cable, "master", &bridge])?;
            ip(&["link", "set", &cable, "up"])?;
            let address = format!("198.18.77.{}/24", machine + 2);
            ip(&["-n", &name, "addr", "add", &address, "dev", "eth0"])?;
            ip(&["-n", &name, "link", "set", "eth0", "up"])?;
            ip(&["-n", &name, "link", "set", "lo", "up"])?;
        }
        Ok(network)
    }

    /// The address that all machines reach this one by.
    pub fn host(&self) -> &'static str {
        HOST
    }

    /// A machine's namespace.
    pub fn machine(&self, number: usize) -> &str {
        &self.machines[number]
    }

    /// Pulls a machine's cable: nothing arrives, and nobody is told.
    pub fn cut(&self, machine: usize) {
        ip(&["link", "set", &self.cable(machine), "down"]).expect("a cable of ours");
    }

    /// Plugs it in again.
    pub fn mend(&self, machine: usize) {
        ip(&["link", "set", &self.cable(machine), "up"]).expect("a cable of ours");
    }

    fn cable(&self, machine: usize) -> String {
        self.machines[machine].replacen("twn", "twc", 1)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for machine in &self.machines {
            let _ = ip(&["netns", "del", machine]);
        }
        let _ = ip(&["link", "del", &self.bridge]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let run = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let run = run.map_err(|why| format!("`ip` cannot be run: {why}"))?;
    match run.status.success() {
        true => Ok(()),
        false => Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&run.stderr).trim())),
    }
}
