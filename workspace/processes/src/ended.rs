use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

/// A process that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Whose.
    pub name: String,
    /// How, in words.
    pub why: String,
    /// The code it ended with; for one that was killed, 128 and the signal's number, as shells
    /// have it.
    pub code: i32,
    /// How long it ran.
    pub lived: Duration,
    /// When the next one of its name is started; none for the last.
    pub again_in: Option<Duration>,
}

/// The exit code of what could not be started, as shells have it.
pub(crate) const NOT_STARTED: i32 = 127;

/// Words and code for an exit status.
pub(crate) fn describe(status: ExitStatus) -> (String, i32) {
    match (status.signal(), status.code()) {
        (Some(9), _) => ("its process was killed (signal 9; out of memory, perhaps)".into(), 128 + 9),
        (Some(signal), _) => (format!("its process was killed by signal {signal}"), 128 + signal),
        (None, code) => {
            let code = code.unwrap_or_default();
            (format!("its process ended with exit code {code}"), code)
        }
    }
}
