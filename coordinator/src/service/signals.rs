//! Ctrl-C and SIGTERM.

use twinspire_processes::Requests;

use crate::error::ControlError;

/// Requests to stop, from the keyboard or the system.
pub struct Signals(Requests);

impl Signals {
    /// From now on, neither ends the process by itself.
    pub fn listen() -> Result<Signals, ControlError> {
        Ok(Signals(Requests::listen().map_err(|source| ControlError::Signals { source })?))
    }

    /// Waits for the next.
    pub(crate) async fn next(&mut self) {
        self.0.next().await;
    }
}
