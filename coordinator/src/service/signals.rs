//! Ctrl-C and SIGTERM.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::ControlError;

/// Signals closer together than this are one request: `timeout` and some shells send them to the
/// process and then to its group.
const ONE_REQUEST: Duration = Duration::from_millis(300);

/// Requests to stop, from the keyboard or the system.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    last: Option<Instant>,
}

impl Signals {
    /// From now on, neither ends the process by itself.
    pub fn listen() -> Result<Signals, ControlError> {
        let on = |kind| signal(kind).map_err(|source| ControlError::Signals { source });
        Ok(Signals {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            last: None,
        })
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
            let now = Instant::now();
            let again = self.last.is_some_and(|last| now.duration_since(last) < ONE_REQUEST);
            self.last = Some(now);
            if !again {
                return;
            }
        }
    }
}
