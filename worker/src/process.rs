//! How this process ends.

use std::io::Read;

use rustix::process::{Signal, getpid, kill_process};

/// Ends the process when standard input does. The process that started this one holds the other
/// end of it and never writes: whatever way it ends, this one follows.
pub(crate) fn end_with_stdin() {
    std::thread::spawn(|| {
        let mut byte = [0; 1];
        while matches!(std::io::stdin().read(&mut byte), Ok(1)) {}
        tracing::warn!("the process that started this one is gone");
        end_now();
    });
}

/// Ends the process without running anything more of it.
pub(crate) fn end_now() -> ! {
    // Cannot fail: a process may always kill itself.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort()
}
