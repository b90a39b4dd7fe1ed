//! Every time-out, from one number.

use std::time::Duration;

/// Time-outs derived from a job's `recovery_target` (invariant 6 of the architecture).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Between two heartbeats of a worker.
    pub heartbeat: Duration,
    /// A worker not heard of for so long is lost. A dead one is noticed at once, by its
    /// connection; this is for frozen ones.
    pub lost: Duration,
    /// A worker that reports a lost peer waits so long for somebody to name the cause.
    pub blame: Duration,
    /// A started worker process must register within this.
    pub register: Duration,
    /// A collective operation that has not finished by then fails. Longer than any honest wait
    /// for a slower rank: a dead peer breaks the connection, a frozen one is found by `lost`.
    pub collective: Duration,
}

impl Timeouts {
    /// The time-outs with which training goes on within `recovery_target` after a fault.
    pub fn from_recovery_target(target: Duration) -> Timeouts {
        let shares = twinspire_job::Timeouts::from(twinspire_job::Span(target.max(Duration::from_secs(1))));
        Timeouts {
            heartbeat: shares.heartbeat.min(Duration::from_secs(2)),
            lost: shares.lease,
            blame: shares.heartbeat,
            register: (target * 2).max(Duration::from_secs(60)),
            collective: (target * 4).max(Duration::from_secs(60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn several_heartbeats_may_be_late_before_a_worker_is_lost(millis in 1u64..10_000_000) {
            let timeouts = Timeouts::from_recovery_target(Duration::from_millis(millis));
            prop_assert!(timeouts.lost >= 3 * timeouts.heartbeat);
            prop_assert!(timeouts.collective > timeouts.lost);
        }
    }
}
