//! Every time-out of a job, from one number.

use std::time::Duration;

use twinspire_control::Timeouts;
use twinspire_job::Span;

/// The time-outs with which training goes on within `recovery_target` after a fault (invariant 6
/// of the architecture).
pub fn timeouts(recovery_target: Duration) -> Timeouts {
    let target = recovery_target.max(Duration::from_secs(1));
    let shares = twinspire_job::Timeouts::from(Span(target));
    Timeouts {
        heartbeat: shares.heartbeat.min(Duration::from_secs(2)),
        lost: shares.lease,
        blame: shares.heartbeat,
        collective: (target * 4).max(Duration::from_secs(60)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn several_heartbeats_may_be_late_before_a_worker_is_lost(millis in 1u64..10_000_000) {
            let timeouts = timeouts(Duration::from_millis(millis));
            prop_assert!(timeouts.lost >= 3 * timeouts.heartbeat);
            prop_assert!(timeouts.collective > timeouts.lost);
        }
    }
}
