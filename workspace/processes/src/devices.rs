//! What this machine computes on, found without libtorch.

use std::{fmt, path::Path, str::FromStr};

/// What one worker computes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Device {
    /// The processors.
    Cpu,
    /// The GPU of this number, among those this process may use.
    Cuda(u32),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// Which devices of a machine get workers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Devices {
    /// All GPUs; the processors when there is none.
    #[default]
    Auto,
    /// All GPUs, and the processors.
    All,
    /// These.
    These(Vec<Device>),
}

/// What is wrong with devices asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DevicesError {
    /// No such word.
    #[error("`{0}` is no device: write auto, all, cpu, or cuda:0,cuda:1")]
    Unknown(String),
    /// Named more than once.
    #[error("{0} is named twice: a device has one worker")]
    Twice(Device),
    /// No such GPU.
    #[error("there is no {device} here: this machine has {}", gpus_in_words(*.gpus))]
    Absent {
        /// What was asked for.
        device: Device,
        /// GPUs there are.
        gpus: usize,
    },
    /// Several workers, but none on the processors.
    #[error(
        "several workers can share the processors, not a GPU: add cpu to the devices, or leave the number out"
    )]
    NoProcessors,
    /// A machine with nothing to do.
    #[error("there must be at least one worker")]
    None,
}

fn gpus_in_words(gpus: usize) -> String {
    match gpus {
        0 => "no GPU that can be used".into(),
        1 => "cuda:0".into(),
        more => format!("cuda:0 to cuda:{}", more - 1),
    }
}

impl FromStr for Device {
    type Err = DevicesError;

    fn from_str(text: &str) -> Result<Device, DevicesError> {
        let unknown = || DevicesError::Unknown(text.to_owned());
        match text.split_once(':') {
            None if text == "cpu" => Ok(Device::Cpu),
            None if text == "cuda" => Ok(Device::Cuda(0)),
            Some(("cuda", number)) => number.parse().map(Device::Cuda).map_err(|_| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl FromStr for Devices {
    type Err = DevicesError;

    fn from_str(text: &str) -> Result<Devices, DevicesError> {
        match text {
            "auto" => Ok(Devices::Auto),
            "all" => Ok(Devices::All),
            list => {
                let mut devices = Vec::new();
                for device in list.split(',') {
                    let device = device.trim().parse()?;
                    if devices.contains(&device) {
                        return Err(DevicesError::Twice(device));
                    }
                    devices.push(device);
                }
                Ok(Devices::These(devices))
            }
        }
    }
}

/// The GPUs this process may use, each as `CUDA_VISIBLE_DEVICES` names it: the n-th is `cuda:n`.
///
/// A container that is given some of a machine's GPUs sees the device files of those only, and CUDA
/// numbers them from 0.
pub fn gpus() -> Vec<String> {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    gpus_of(Path::new("/dev"), Path::new("/proc/driver/nvidia/gpus"), visible.as_deref())
}

fn gpus_of(dev: &Path, driver: &Path, visible: Option<&str>) -> Vec<String> {
    let names = |directory: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    let is_gpu = |name: &String| {
        let number = name.strip_prefix("nvidia").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let files = names(dev).iter().filter(|name| is_gpu(name)).count();
    let there = if files > 0 { files } else { names(driver).len() };
    match visible {
        _ if there == 0 => Vec::new(),
        // As CUDA reads it: what comes after something that is no device does not count.
        Some(list) => {
            let named = list.split(',').map(str::trim);
            named.take_while(|name| !name.is_empty() && *name != "-1").map(str::to_owned).collect()
        }
        None => (0..there).map(|number| number.to_string()).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn machine(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|file| std::fs::write(dir.path().join(file), "").unwrap());
        dir
    }

    #[test]
    fn gpus_are_counted_by_their_device_files() {
        let none = machine(&["null"]);
        let two = machine(&["nvidia3", "nvidia5", "nvidiactl", "nvidia-uvm", "null"]);
        assert!(gpus_of(none.path(), none.path().join("absent").as_path(), None).is_empty());
        assert_eq!(gpus_of(two.path(), Path::new("/absent"), None), ["0", "1"]);
        assert_eq!(gpus_of(none.path(), two.path(), None).len(), 5, "or by what the driver says");
    }

    #[test]
    fn gpus_hidden_from_this_process_do_not_count() {
        let four = machine(&["nvidia0", "nvidia1", "nvidia2", "nvidia3"]);
        let seen = |visible| gpus_of(four.path(), Path::new("/absent"), Some(visible));
        assert_eq!(seen("2, 3"), ["2", "3"]);
        assert_eq!(seen("GPU-8932f937,-1,2"), ["GPU-8932f937"]);
        assert!(seen("").is_empty());
        let none = machine(&[]);
        assert!(gpus_of(none.path(), Path::new("/absent"), Some("0")).is_empty());
    }

    #[test]
    fn devices_are_words_or_a_list() {
        assert_eq!("auto".parse(), Ok(Devices::Auto));
        assert_eq!("all".parse(), Ok(Devices::All));
        let list = vec![Device::Cpu, Device::Cuda(0), Device::Cuda(3)];
        assert_eq!("cpu,cuda:0, cuda:3".parse(), Ok(Devices::These(list)));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cpu,,cpu"] {
            assert!(matches!(wrong.parse::<Devices>(), Err(DevicesError::Unknown(_))), "{wrong}");
        }
        assert_eq!("cuda:1,cuda:1".parse::<Devices>(), Err(DevicesError::Twice(Device::Cuda(1))));
    }
}
