//! Waiting for a condition, and for each other.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// Far beyond what any wait should need, on a machine that does other things too.
pub const DEADLINE: Duration = Duration::from_secs(300);

/// Waits until `condition` gives something.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(result) = condition() {
            return result;
        }
        assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        thread::sleep(Duration::from_millis(3));
    }
}

/// Held by a test while its workers run: at most one job of a test program computes at a time.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed says so itself; the others go on.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
