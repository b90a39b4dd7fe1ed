//! What goes wrong, and what is done about it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::WorkerName;

/// Why a task or a job failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code, e.g. `TW2003`.
    pub code: String,
    /// What, where, why, and how to mend it.
    pub message: String,
    /// The cause, by what can be done about it.
    pub kind: FailureKind,
    /// The worker it happened to, when it happened to one.
    #[serde(default)]
    pub worker: Option<WorkerName>,
}

/// Causes, by what can be done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The job file or the data is wrong: trying again changes nothing.
    BadInput,
    /// A worker died, froze or was cut off: its work is given to another.
    LostPeer,
    /// Files or objects could not be read or written: that may pass.
    Storage,
    /// A worker's program broke off: memory ran out, a device failed, or a bug. Others may do better.
    Crash,
    /// Training goes wrong (a loss that is not a number), or what is known contradicts itself: trying
    /// again would repeat it.
    Internal,
}

impl FailureKind {
    /// Whether what failed was beside the towers: their state in memory is good to go on from.
    pub fn spares_the_state(self) -> bool {
        matches!(self, FailureKind::LostPeer | FailureKind::Storage)
    }
}

/// How often in a row a job is started again without having got any further.
pub(crate) const MAX_RETRIES: u32 = 3;

/// What to do about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Try again, after a pause.
    Retry { after: Duration },
    /// Give up.
    Fail,
}

/// The failure policy: by cause, and by how often it was tried since the job last got further.
pub(crate) fn remedy(kind: FailureKind, retries: u32) -> Remedy {
    match kind {
        FailureKind::BadInput | FailureKind::Internal => Remedy::Fail,
        _ if retries >= MAX_RETRIES => Remedy::Fail,
        FailureKind::LostPeer | FailureKind::Crash => Remedy::Retry {
            after: if retries == 0 { Duration::ZERO } else { Duration::from_secs(1 << retries) },
        },
        FailureKind::Storage => Remedy::Retry { after: Duration::from_secs(2 << retries) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_data_is_not_tried_again() {
        assert_eq!(remedy(FailureKind::BadInput, 0), Remedy::Fail);
        assert_eq!(remedy(FailureKind::Internal, 0), Remedy::Fail);
    }

    #[test]
    fn a_crash_is_tried_again_as_a_loss_is() {
        for retries in 0..=MAX_RETRIES {
            assert_eq!(remedy(FailureKind::Crash, retries), remedy(FailureKind::LostPeer, retries));
        }
    }

    #[test]
    fn the_first_loss_of_a_worker_costs_no_pause_and_later_ones_longer_pauses() {
        let pauses: Vec<_> =
            (0..=MAX_RETRIES).map(|retries| remedy(FailureKind::LostPeer, retries)).collect();
        let seconds = |s| Remedy::Retry { after: Duration::from_secs(s) };
        assert_eq!(pauses, [seconds(0), seconds(2), seconds(4), Remedy::Fail]);
    }
}
