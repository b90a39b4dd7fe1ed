//! What tests with real worker processes share.
#![allow(dead_code, reason = "every test program uses another part of it")]

pub(crate) mod fake;
pub(crate) mod job;
pub(crate) mod pool;

use std::time::{Duration, Instant};

/// Waits for a condition.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < fake::DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
