//! Ctrl-C and SIGTERM.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals closer together than this are one request: `timeout` and some shells send them to the
/// process and then to its group.
pub const ONE_REQUEST: Duration = Duration::from_millis(300);

/// Requests to end, from the keyboard or the system.
#[derive(Debug)]
pub struct Requests {
    interrupt: Signal,
    terminate: Signal,
    last: Option<Instant>,
}

impl Requests {
    /// From now on, neither signal ends the process by itself. Call it within a tokio runtime.
    ///
    /// # Errors
    /// The system does not let signals be handled.
    pub fn listen() -> io::Result<Requests> {
        Ok(Requests {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            last: None,
        })
    }

    /// Waits for the next. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            if is_another(&mut self.last, Instant::now()) {
                return;
            }
        }
    }
}

/// Whether a signal is a request of its own. Time counts from the request, so that somebody who
/// keeps pressing Ctrl-C is heard again.
fn is_another(last: &mut Option<Instant>, now: Instant) -> bool {
    let is_another = last.is_none_or(|last| now.duration_since(last) >= ONE_REQUEST);
    if is_another {
        *last = Some(now);
    }
    is_another
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_close_together_are_one_request_and_keeping_at_it_is_another() {
        let begun = Instant::now();
        let mut last = None;
        let heard: Vec<u64> = (0..1000)
            .step_by(100)
            .filter(|millis| is_another(&mut last, begun + Duration::from_millis(*millis)))
            .collect();
        assert_eq!(heard, [0, 300, 600, 900]);
    }
}
