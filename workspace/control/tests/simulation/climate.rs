//! What a seed draws: how large, how long, how bad.

use std::time::Duration;

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use twinspire_control::{Device, DeviceWish, Generation, JobName, Policy, Request, Split, Stage, Timeouts};

/// The circumstances of a seed.
#[derive(Clone, Debug)]
pub(crate) struct Climate {
    pub(crate) hosts: Vec<Device>,
    pub(crate) jobs: usize,
    pub(crate) policy: Policy,
    pub(crate) timeouts: Timeouts,
    /// Milliseconds until faults stop.
    pub(crate) chaos: u64,
    /// Mean milliseconds between two faults; weights by kind, in the order of `faults::KINDS`.
    pub(crate) calm: u64,
    pub(crate) faults: [u32; 11],
    /// Chance that a coordinator crashes in the middle of an event with several commands.
    pub(crate) crash: f64,
    /// Milliseconds a message takes, at most, and the chance that it takes much longer.
    pub(crate) latency: u64,
    pub(crate) hiccup: f64,
    /// Chance that a message is delivered twice.
    pub(crate) twice: f64,
    /// Chance that a task ends an abort by restarting its process.
    pub(crate) restart_on_abort: f64,
    /// Chances, per step: of a failure; per part: that it cannot be written.
    pub(crate) failure: f64,
    pub(crate) unwritable: f64,
    /// Somebody sees processes end, and says so.
    pub(crate) watched: bool,
    /// Milliseconds of a step.
    pub(crate) step: u64,
    /// Mean milliseconds between two requests of a user.
    pub(crate) idle_user: u64,
    /// Every so many events everything is checked.
    pub(crate) check_every: u64,
}

/// Either nothing of it, or some: bad weather is rarely all kinds at once.
fn sometimes(rng: &mut ChaCha8Rng, often: f64, most: f64) -> f64 {
    if rng.random_bool(often) { rng.random_range(0.0..most) } else { 0.0 }
}

impl Climate {
    pub(crate) fn draw(seed: u64, rng: &mut ChaCha8Rng) -> Climate {
        let large = seed % 600 == 599;
        let seconds =
            |rng: &mut ChaCha8Rng, from: u64, to: u64| Duration::from_secs(rng.random_range(from..=to));
        let hosts = match (large, rng.random_range(0..10)) {
            (true, _) => rng.random_range(300..=2000),
            (false, 0) => rng.random_range(15..=30),
            (false, _) => rng.random_range(3..=12),
        };
        let cuda = [0.0, 0.0, 0.3, 1.0].choose(rng).copied().unwrap_or(0.0);
        let device = |rng: &mut ChaCha8Rng| if rng.random_bool(cuda) { Device::Cuda } else { Device::Cpu };
        let lost = rng.random_range(2..=6);
        let mut faults = [0; 11];
        for weight in &mut faults {
            *weight = if rng.random_bool(0.5) { rng.random_range(1..10) } else { 0 };
        }
        let watched = rng.random_bool(0.2);
        Climate {
            hosts: (0..hosts).map(|_| device(rng)).collect(),
            jobs: if large { rng.random_range(10..=50) } else { rng.random_range(1..=8) },
            policy: Policy {
                idle_lost: seconds(rng, 4, 15),
                reconnect: Duration::from_millis(rng.random_range(500..3000)),
                adopt: seconds(rng, 3, 15),
                patience: seconds(rng, 3, 40),
                settle: seconds(rng, 3, 40),
                ..Policy::default()
            },
            timeouts: Timeouts {
                heartbeat: Duration::from_millis(if large { 2000 } else { 1000 }),
                lost: Duration::from_secs(lost),
                blame: Duration::from_millis(rng.random_range(200..2000)),
                let_go: Duration::from_secs(lost),
                collective: Duration::from_secs(lost * 3),
            },
            chaos: if large { 30_000 } else { rng.random_range(20_000..120_000) },
            calm: rng.random_range(300..15_000),
            faults: if watched { without_twins(faults) } else { faults },
            crash: sometimes(rng, 0.3, 0.02),
            latency: *[5, 30, 200].choose(rng).unwrap_or(&5),
            hiccup: sometimes(rng, 0.5, 0.02),
            twice: sometimes(rng, 0.4, 0.1),
            restart_on_abort: sometimes(rng, 0.4, 0.5),
            failure: sometimes(rng, 0.3, 0.01),
            unwritable: sometimes(rng, 0.3, 0.1),
            watched,
            step: rng.random_range(50..500),
            idle_user: if rng.random_bool(0.3) { u64::MAX } else { rng.random_range(2_000..40_000) },
            check_every: if large { 50 } else { 1 },
        }
    }

    /// The job that a user has in mind.
    pub(crate) fn request(&self, name: &str, key: u64, rng: &mut ChaCha8Rng) -> Request {
        let most = (self.hosts.len() as u32).min(if self.hosts.len() > 100 { 200 } else { 12 });
        let (a, b) = (rng.random_range(1..=most), rng.random_range(1..=most));
        let min = if rng.random_bool(0.05) {
            most + 5
        } else if rng.random_bool(0.5) {
            1
        } else {
            a.min(b)
        };
        let stages = [
            Stage::Prepare,
            Stage::Train,
            Stage::Evaluate { split: Split::Test, step: None },
            Stage::Export { step: None },
        ];
        let first = if rng.random_bool(0.5) { 0 } else { 1 };
        Request {
            name: JobName::from(name),
            key: key.to_string(),
            priority: if rng.random_bool(0.5) { 0 } else { rng.random_range(-2..=2) },
            lanes: min.max(b) + rng.random_range(0..4),
            min_workers: min,
            max_workers: min.max(b),
            device: *[DeviceWish::Auto, DeviceWish::Cpu, DeviceWish::Cuda]
                .choose(rng)
                .unwrap_or(&DeviceWish::Auto),
            plan: stages[first..=rng.random_range(1..stages.len())].to_vec(),
            generation: Generation(if rng.random_bool(0.8) { 0 } else { rng.random_range(0..50) }),
            checkpoint: None,
            chaos: false,
            stragglers: Default::default(),
            timeouts: self.timeouts,
        }
    }
}

/// Whoever watches processes by name knows one of each.
fn without_twins(mut faults: [u32; 11]) -> [u32; 11] {
    faults[crate::faults::TWIN] = 0;
    faults
}
