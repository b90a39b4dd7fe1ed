//! How fast this worker computes, beside what it waits for.

use std::time::{Duration, Instant};

use twinspire_proto::v1::{self, worker_message::Body};

use crate::task::Link;

/// Between two reports: a slow worker is one that is slow for longer.
const EVERY: Duration = Duration::from_secs(1);

/// Says it again and again.
pub(super) struct Pace {
    link: Link,
    lanes: usize,
    since: Instant,
    computed: Duration,
    steps: u32,
}

impl Pace {
    /// Of a rank that holds so many lanes.
    pub(super) fn new(link: &Link, lanes: usize) -> Pace {
        Pace { link: link.clone(), lanes, since: Instant::now(), computed: Duration::ZERO, steps: 0 }
    }

    /// A step was done that this rank computed for so long.
    pub(super) fn step(&mut self, computed: Duration) {
        self.computed += computed;
        self.steps += 1;
        if self.lanes > 0 && self.since.elapsed() >= EVERY {
            let lanes = f64::from(self.steps) * self.lanes as f64;
            let ms_per_lane = self.computed.as_secs_f64() * 1000.0 / lanes;
            self.link.say(Body::Pace(v1::Pace { ms_per_lane }));
            (self.since, self.computed, self.steps) = (Instant::now(), Duration::ZERO, 0);
        }
    }
}
