//! Which workers a machine gets.

use std::path::PathBuf;

use crate::{Child, Device, Devices, DevicesError};

/// A worker's place on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The worker's name.
    pub name: String,
    /// What it computes on.
    pub device: Device,
    /// The GPU as `CUDA_VISIBLE_DEVICES` names it; empty: none.
    pub visible: String,
    /// Workers on this machine, this one included: they share its processors.
    pub workers: u32,
}

/// The workers a machine called `name` gets.
///
/// A single worker on the processors is called `name`, several `name/0`, `name/1`, …; those on
/// GPUs `name/cuda:0`, …, and beside those `name/cpu` or `name/cpu-0`, ….
///
/// # Errors
/// Devices that are not there, or `workers` (how many share the processors) without processors.
pub fn seats(
    name: &str,
    devices: &Devices,
    workers: Option<u32>,
    gpus: &[String],
) -> Result<Vec<Seat>, DevicesError> {
    let all_gpus = || (0..gpus.len() as u32).map(Device::Cuda);
    let devices: Vec<Device> = match devices {
        // Who says how many workers share the processors wants the processors.
        Devices::Auto if gpus.is_empty() || workers.is_some() => vec![Device::Cpu],
        Devices::Auto => all_gpus().collect(),
        Devices::All => all_gpus().chain([Device::Cpu]).collect(),
        Devices::These(devices) => devices.clone(),
    };
    if workers.is_some() && !devices.contains(&Device::Cpu) {
        return Err(DevicesError::NoProcessors);
    }
    let sharing = workers.unwrap_or(1);
    let alone = devices == [Device::Cpu];
    let mut seats: Vec<(String, Device, String)> = Vec::new();
    for device in devices {
        match device {
            Device::Cuda(number) => {
                let visible =
                    gpus.get(number as usize).ok_or(DevicesError::Absent { device, gpus: gpus.len() })?;
                seats.push((format!("{name}/{device}"), device, visible.clone()));
            }
            Device::Cpu => seats.extend((0..sharing).map(|number| {
                let name = match (alone, sharing) {
                    (true, 1) => name.to_owned(),
                    (true, _) => format!("{name}/{number}"),
                    (false, 1) => format!("{name}/cpu"),
                    (false, _) => format!("{name}/cpu-{number}"),
                };
                (name, device, String::new())
            })),
        }
    }
    let workers = seats.len() as u32;
    if workers == 0 {
        return Err(DevicesError::None);
    }
    let seat = |(name, device, visible)| Seat { name, device, visible, workers };
    Ok(seats.into_iter().map(seat).collect())
}

impl Seat {
    /// The `worker` process on this seat: how that program is told what it is.
    pub fn child(&self, coordinators: &[String], log: Option<PathBuf>) -> Child {
        let args = [
            "--coordinator",
            &coordinators.join(","),
            "--name",
            &self.name,
            "--device",
            &self.device.to_string(),
            "--beside",
            &self.workers.to_string(),
            "--end-with-stdin",
        ];
        // In the order of the bus, as device files and nvidia-smi have it.
        let env = [("CUDA_DEVICE_ORDER", "PCI_BUS_ID"), ("CUDA_VISIBLE_DEVICES", &self.visible)];
        Child {
            name: self.name.clone(),
            args: args.map(str::to_owned).into(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            log,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn names(devices: &str, workers: Option<u32>, gpus: &[&str]) -> Result<Vec<String>, DevicesError> {
        let gpus: Vec<String> = gpus.iter().map(|gpu| (*gpu).to_owned()).collect();
        let seats = seats("node", &devices.parse()?, workers, &gpus)?;
        assert!(seats.iter().all(|seat| seat.workers == seats.len() as u32));
        Ok(seats.into_iter().map(|seat| seat.name).collect())
    }

    #[test]
    fn a_worker_is_called_by_its_machine_and_what_sets_it_apart() {
        let both = &["0", "1"];
        assert_eq!(names("auto", None, &[]).unwrap(), ["node"]);
        assert_eq!(names("auto", None, both).unwrap(), ["node/cuda:0", "node/cuda:1"]);
        assert_eq!(names("auto", Some(2), both).unwrap(), ["node/0", "node/1"]);
        assert_eq!(names("cpu", Some(1), both).unwrap(), ["node"]);
        assert_eq!(names("all", None, both).unwrap(), ["node/cuda:0", "node/cuda:1", "node/cpu"]);
        assert_eq!(names("cuda:1,cpu", Some(2), both).unwrap(), ["node/cuda:1", "node/cpu-0", "node/cpu-1"]);
    }

    #[test]
    fn what_a_machine_does_not_have_is_refused() {
        let absent = names("cuda:2", None, &["0", "1"]).unwrap_err();
        assert_eq!(absent, DevicesError::Absent { device: Device::Cuda(2), gpus: 2 });
        assert!(absent.to_string().contains("cuda:0 to cuda:1"), "{absent}");
        assert_eq!(names("cuda:0", Some(2), &["0"]), Err(DevicesError::NoProcessors));
        assert_eq!(names("cpu", Some(0), &[]), Err(DevicesError::None));
    }

    #[test]
    fn a_worker_sees_its_own_gpu_only() {
        let seats = seats("node", &Devices::All, None, &["GPU-1".into(), "GPU-2".into()]).unwrap();
        let sees: Vec<_> = seats.iter().map(|seat| seat.child(&[], None).env[1].1.clone()).collect();
        assert_eq!(sees, ["GPU-1", "GPU-2", ""]);
    }
}
