//! Invariant 6: one number, `recovery_target`, derives every time-out.
//!
//! ```text
//! 0        T/10                3T/10                                                      T
//! |--------|-------------------|----------------------------------------------------------|
//! a worker | two more heart-   | its lease is over: the others are told to let go of what |
//! stops    | beats are missed  | they wait for, meet anew, and commit a step              |
//! ```
//! A worker that is killed is noticed at once, by its connections closing; the picture is of one that freezes or is cut
//! off. What comes after the lease takes as long as a meeting and a step do; the lease leaves it seven tenths.
//!
//! A collective operation has a time-out of its own for when there is no coordinator to say who is lost. It is longer
//! than the target: a peer that is merely slow must not pass for a dead one.

use std::time::Duration;

use crate::units::Span;

/// A worker that is heard of less often than this would be looked for too late.
const SLOWEST_HEARTBEAT: Duration = Duration::from_secs(2);

/// Ranks that meet may have a dataset to open first.
const SHORTEST_COLLECTIVE: Duration = Duration::from_secs(60);

/// What is computed in one go takes no longer on a machine that is busy with other things too.
const SHORTEST_LET_GO: Duration = Duration::from_secs(10);

/// Every time-out of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Between two heartbeats of a worker.
    pub heartbeat: Duration,
    /// A worker not heard of for so long is dead.
    pub lease: Duration,
    /// A rank that lost a peer waits so long for somebody to name the cause.
    pub blame: Duration,
    /// A worker has so long to let go of a task that was given up. It waits for nobody, so that is as long as it
    /// computes without looking up: part of a step, a batch of an evaluation. One that takes longer is ended.
    pub let_go: Duration,
    /// A collective operation that takes longer has lost a member, though nobody said so.
    pub collective: Duration,
}

impl Timeouts {
    /// The shortest `recovery_target` there is.
    pub const SHORTEST_TARGET: Span = Span(Duration::from_secs(5));
}

impl From<Span> for Timeouts {
    fn from(recovery_target: Span) -> Self {
        let target = recovery_target.0.max(Timeouts::SHORTEST_TARGET.0);
        let tenth = target / 10;
        Timeouts {
            heartbeat: tenth.min(SLOWEST_HEARTBEAT),
            lease: tenth * 3,
            blame: tenth,
            let_go: (tenth * 5).max(SHORTEST_LET_GO),
            collective: (target * 4).max(SHORTEST_COLLECTIVE),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Invariant 6.
        #[test]
        fn detection_leaves_time_to_go_on(millis in 5_000u64..100_000_000) {
            let target = Duration::from_millis(millis);
            let timeouts = Timeouts::from(Span(target));
            prop_assert!(timeouts.heartbeat * 3 <= timeouts.lease, "several heartbeats may be late");
            prop_assert!(target - timeouts.lease >= target * 6 / 10);
            prop_assert!(timeouts.blame <= timeouts.lease);
            prop_assert!(timeouts.collective > target);
        }
    }
}
