//! What a process does to itself on purpose, to see that others go on without it.

use std::{
    io,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};

/// Ends this process as `kill -9` does: nothing more of it runs.
pub fn kill_this_process() -> io::Result<()> {
    Ok(kill_process(getpid(), Signal::KILL)?)
}

/// Stops this process for a while, as `kill -STOP` and `kill -CONT` do. Comes back when that is over.
pub fn pause_this_process(span: Duration) -> io::Result<()> {
    let this = std::process::id().to_string();
    // A process that is stopped cannot wake itself.
    let mut waker = Command::new("sh")
        .args(["-c", "sleep \"$1\"; kill -CONT \"$2\"", "waker", &span.as_secs_f64().to_string(), &this])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    kill_process(getpid(), Signal::STOP)?;
    waker.wait().map(drop)
}
