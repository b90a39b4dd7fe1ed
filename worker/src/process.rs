//! How this process ends.

use std::io::Read;

/// Ends the process when standard input does. The process that started this one holds the other
/// end of it and never writes: whatever way it ends, this one follows.
pub(crate) fn end_with_stdin() {
    std::thread::spawn(|| {
        let mut byte = [0; 1];
        while matches!(std::io::stdin().read(&mut byte), Ok(1)) {}
        tracing::warn!("the process that started this one is gone");
        end_now(1);
    });
}

/// Ends the process without running anything more of it: a task that is still running has threads
/// inside libtorch, and waiting for them, or running libtorch's destructors beside them, could take
/// for ever.
pub(crate) fn end_now(code: i32) -> ! {
    // SAFETY: `_exit` takes any number, and nothing is left to hold: it does not return.
    unsafe { libc::_exit(code) }
}
