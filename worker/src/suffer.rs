//! Faults that a coordinator has this worker suffer, to see that nothing is lost by them.

use std::{io, time::Duration};

use twinspire_proto::v1::{Fault, Suffer};

/// Suffers a fault, beside whatever the worker is doing.
pub(crate) fn suffer(order: Suffer) {
    tracing::warn!(fault = order.fault().as_str_name(), ms = order.span_ms, "failing on purpose");
    // On a thread of its own: the session's would be late for its heartbeats, or miss them.
    std::thread::spawn(move || {
        if let Err(why) = happen(&order) {
            tracing::error!(%why, "it could not fail on purpose");
        }
    });
}

fn happen(order: &Suffer) -> io::Result<()> {
    let span = Duration::from_millis(order.span_ms);
    match order.fault() {
        Fault::KillWorker => twinspire_processes::kill_this_process(),
        Fault::PauseWorker => twinspire_processes::pause_this_process(span),
        Fault::FailStorage => {
            twinspire_storage::fail_writes_for(span);
            Ok(())
        }
        // The task's, and the coordinator's.
        Fault::CrashWorker | Fault::KillCoordinator | Fault::Unspecified => Ok(()),
    }
}
