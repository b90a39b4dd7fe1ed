//! Every time-out of a job, from one number.

use std::time::Duration;

use twinspire_control::Timeouts;
use twinspire_job::Span;

/// The time-outs with which training goes on within `recovery_target` after a fault (invariant 6
/// of the architecture).
pub fn timeouts(recovery_target: Duration) -> Timeouts {
    let twinspire_job::Timeouts { heartbeat, lease, blame, let_go, collective } =
        Span(recovery_target).into();
    Timeouts { heartbeat, lost: lease, blame, let_go, collective }
}
