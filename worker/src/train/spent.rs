//! Where the time of a training goes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use twinspire_proto::v1::TimeSpent;

/// Seconds by what they went into, as rank 0 sees it, over all runs of the job: part of every
/// checkpoint. The time of steps that were lost after one is in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Spent {
    pub(super) compute: f64,
    pub(super) data: f64,
    pub(super) communication: f64,
    pub(super) checkpoint: f64,
    pub(super) evaluation: f64,
    pub(super) starting: f64,
}

impl Spent {
    /// A step of which `data` and `communication` was waiting and moving.
    pub(super) fn step(&mut self, whole: Duration, data: Duration, communication: Duration) {
        self.data += data.as_secs_f64();
        self.communication += communication.as_secs_f64();
        self.compute += whole.saturating_sub(data + communication).as_secs_f64();
    }

    pub(super) fn as_message(&self) -> TimeSpent {
        let Spent { compute, data, communication, checkpoint, evaluation, starting } = *self;
        TimeSpent { compute, data, communication, checkpoint, evaluation, starting }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_neither_waiting_nor_moving_is_computing() {
        let mut spent = Spent::default();
        let [whole, data, communication] = [1000, 200, 300].map(Duration::from_millis);
        spent.step(whole, data, communication);
        spent.step(whole, data, communication);
        assert_eq!((spent.data, spent.communication, spent.compute), (0.4, 0.6, 1.0));
    }
}
