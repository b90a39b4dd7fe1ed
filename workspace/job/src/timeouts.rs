//! Invariant 6: one number, `recovery_target`, derives every time-out.
//!
//! ```text
//! 0        T/10                3T/10     4T/10                    7T/10              T
//! |--------|-------------------|---------|------------------------|------------------|
//! a worker | two more heart-   | its     | the survivors' collec- | the new gener-   | state sent to the
//! stops    | beats are missed  | lease   | tive gives up at the   | ation has met at | newcomer, first
//!          |                   | is over | latest                 | the latest       | step taken
//! ```
//! A worker that is killed is noticed at once, by its connections closing; the picture is of one
//! that freezes or is cut off. Each part is a fixed share of the target, so the sum cannot exceed it.

use std::time::Duration;

use crate::units::Span;

/// Every time-out of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Between two heartbeats of a worker.
    pub heartbeat: Duration,
    /// A worker not heard of for so long is dead.
    pub lease: Duration,
    /// A collective operation that takes longer has lost a member. Longer than `lease`, so that the
    /// coordinator knows who is missing by the time the survivors ask.
    pub collective: Duration,
    /// A new generation meets within this or is given up.
    pub rendezvous: Duration,
}

impl Timeouts {
    /// The shortest `recovery_target` there is.
    pub const SHORTEST_TARGET: Span = Span(Duration::from_secs(5));
}

impl From<Span> for Timeouts {
    fn from(recovery_target: Span) -> Self {
        let tenth = recovery_target.0 / 10;
        Timeouts { heartbeat: tenth, lease: tenth * 3, collective: tenth * 4, rendezvous: tenth * 3 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Invariant 6.
        #[test]
        fn detection_and_rendezvous_leave_time_to_go_on(seconds in 5u64..100_000) {
            let target = Duration::from_secs(seconds);
            let timeouts = Timeouts::from(Span(target));
            prop_assert!(timeouts.heartbeat * 3 <= timeouts.lease);
            prop_assert!(timeouts.lease < timeouts.collective);
            let met = timeouts.lease.max(timeouts.collective) + timeouts.rendezvous;
            prop_assert!(target - met >= target / 4);
        }
    }
}
