//! The parent of the workers of a machine: one process for each device, kept running.

use twinspire_processes::{DevicesError, ProcessError, Seat, Signal, Supervisor, gpus, seats};

use crate::{Arguments, NAMED_LINES, session::SessionError, signals};

/// Why there are no workers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParentError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("{0}")]
    Devices(#[from] DevicesError),
    #[error("{0}")]
    Process(#[from] ProcessError),
    #[error("this program does not know where it is: {0}")]
    Program(std::io::Error),
}

impl ParentError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            ParentError::Session(error) => error.code(),
            ParentError::Devices(_) => "TW5212",
            ParentError::Process(error) => error.code(),
            ParentError::Program(_) => "TW5004",
        }
    }
}

/// Which workers this machine gets.
pub(crate) fn plan(arguments: &Arguments) -> Result<Vec<Seat>, ParentError> {
    let name = arguments.name.clone().unwrap_or_else(host_name);
    Ok(seats(&name, &arguments.devices, arguments.workers, &gpus())?)
}

/// Runs the workers until they have all ended; the worst of their exit codes.
pub(crate) async fn run(coordinators: &[String], seats: Vec<Seat>) -> Result<i32, ParentError> {
    let mut told_to_end = signals::told_to_end().map_err(|source| SessionError::Signals { source })?;
    let program = std::env::current_exe().map_err(ParentError::Program)?;
    let several = seats.len() > 1;
    let children = seats.iter().map(|seat| {
        let mut child = seat.child(coordinators, None);
        if several {
            child.args.push(NAMED_LINES.into());
        }
        child
    });
    for seat in &seats {
        tracing::info!(worker = seat.name, device = %seat.device, "starting");
    }
    let mut workers = Supervisor::start(program, children.collect())?;
    loop {
        tokio::select! {
            code = workers.wait() => return Ok(code),
            Some(()) = told_to_end.recv() => {
                tracing::info!("told to end: passing it on to the workers");
                workers.signal_all(Signal::TERM);
            }
        }
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "worker".into() } else { name.to_owned() }
}
