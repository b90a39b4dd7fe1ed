//! The `worker` process: it connects to a coordinator and does what it is told.
//!
//! ```text
//! worker ─── parent ──┬── worker --device cuda:0 ── session ── task
//!  (as people          ├── worker --device cuda:1 ── session ── task
//!   start it)          …
//! ```
//!
//! - [`parent`]: one process for each device of this machine, kept running.
//! - [`session`]: membership in the coordinator's pool: registration, heartbeats, orders.
//! - [`voice`]: what is said to the coordinator, and said again to the next one.
//! - [`task`]: one leased task on a thread of its own, and its link back to the session.
//! - [`prepare`], [`train`], [`evaluate`], [`export`]: the kinds of tasks.
//! - [`model`]: what the last three begin with: dataset, towers, checkpoint.
//! - [`suffer`]: faults on purpose.
//! - [`job_log`]: what is logged during a task, kept with its job.

mod device;
mod evaluate;
mod export;
mod job_log;
mod logging;
mod model;
mod parent;
mod prepare;
mod process;
mod report;
mod session;
mod signals;
mod suffer;
mod task;
mod train;
mod voice;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use tokio::runtime;
use twinspire_processes::{Device, Devices, RESTART};

use crate::{
    job_log::JobLog,
    session::{Addresses, End, Session, SessionError, Who},
};

/// Codes of this crate and what they mean.
pub const CODES: &[(&str, &str)] = &[
    ("TW5201", "A worker could not start its threads."),
    ("TW5202", "The address given to a worker is no address of a coordinator."),
    ("TW5203", "No coordinator answers at the address given to a worker; it tries on."),
    ("TW5204", "A worker's session with its coordinator ended; it connects again."),
    ("TW5205", "A worker was given a task while it had another, or could not start one."),
    ("TW5206", "The coordinator sent a worker something that cannot be used."),
    ("TW5207", "A task panicked: memory ran out, or a bug."),
    ("TW5208", "There is no checkpoint to evaluate, export or train on from."),
    ("TW5209", "A checkpoint is of another job or of another dataset."),
    ("TW5210", "The coordinator did not say in time that the last checkpoint may be committed."),
    ("TW5211", "A task was given up, as the coordinator said."),
    ("TW5212", "The devices given to a worker are not there, or not named rightly."),
];

/// What is logged last is waited for so long when the process ends.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Has a child begin its log lines with its name.
const NAMED_LINES: &str = "--named-lines";

/// The workers of this machine: they do heavy work for a coordinator. They prepare logs, train
/// towers, evaluate and export them.
///
/// There is one process for each GPU, or one for the processors; those that end are started again.
/// SIGTERM and Ctrl-C have them finish the step they are at and leave: the others go on from memory,
/// and when too few are left for that a checkpoint is written first.
/// `coordinator local` starts its workers itself.
#[derive(Debug, Parser)]
#[command(
    name = "worker",
    version,
    after_help = "Example:\n  worker --coordinator http://coordinator-0:7070,http://coordinator-1:7070"
)]
struct Arguments {
    /// Where coordinators listen: one address, or several, of which the first that answers is used.
    #[arg(long, value_name = "URL", env = "TWINSPIRE_COORDINATOR", value_delimiter = ',', required = true)]
    coordinator: Vec<String>,

    /// Name of this machine in the pool [default: its host name].
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// What to compute on: auto (all GPUs, or the processors when there is none), all (both), or a
    /// list such as cpu or cuda:0,cuda:1.
    #[arg(long, value_name = "DEVICES", default_value = "auto")]
    devices: Devices,

    /// Workers that share the processors.
    #[arg(long, value_name = "N")]
    workers: Option<u32>,

    /// One of the children: what it computes on.
    #[arg(long, hide = true)]
    device: Option<Device>,

    /// Workers on this machine, this one included.
    #[arg(long, hide = true)]
    beside: Option<u32>,

    /// Begin log lines with the name.
    #[arg(long, hide = true)]
    named_lines: bool,

    /// End when standard input closes: the process that started this one is gone then.
    #[arg(long, hide = true)]
    end_with_stdin: bool,
}

impl Arguments {
    /// Whether this process is a worker, and not the parent of some.
    fn is_child(&self) -> bool {
        self.device.is_some() || self.end_with_stdin
    }
}

/// Runs the worker of this process, or those of this machine.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let log = JobLog::default();
    logging::start(arguments.name.clone().filter(|_| arguments.named_lines), log.clone());
    if arguments.end_with_stdin {
        process::end_with_stdin();
    }
    if arguments.is_child() { process::end_now(child(&arguments, &log)) } else { parent(&arguments) }
}

/// The exit code of wrong arguments.
const USAGE: u8 = 2;

fn parent(arguments: &Arguments) -> ExitCode {
    let failed = |code: &str, error: &dyn std::error::Error| {
        tracing::error!(code, "{error}");
        ExitCode::from(USAGE)
    };
    // A mistake here would be made by every child again and again.
    if let Err(error) = Addresses::parse(&arguments.coordinator) {
        return failed(error.code(), &error);
    }
    let seats = match parent::plan(arguments) {
        Ok(seats) => seats,
        Err(error) => return failed(error.code(), &error),
    };
    let ended = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(parent::run(&arguments.coordinator, seats)),
        Err(source) => Err(SessionError::Runtime { source }.into()),
    };
    match ended {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(error) => {
            tracing::error!(code = error.code(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn child(arguments: &Arguments, log: &JobLog) -> i32 {
    // Two threads: they only move bytes. Tensors have the task's thread and libtorch's own.
    let ended = match runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            let ended = runtime.block_on(serve(arguments, log));
            // Dropping it would wait for a task that uses it.
            std::mem::forget(runtime);
            ended
        }
        Err(source) => Err(SessionError::Runtime { source }),
    };
    match ended {
        Ok(End::Told | End::Left) => 0,
        Ok(End::Stuck) => RESTART,
        Ok(End::Cut | End::Broken) => 1,
        Err(error) => {
            tracing::error!(code = error.code(), "{error}");
            match error {
                SessionError::Url { .. } => USAGE.into(),
                _ => 1,
            }
        }
    }
}

async fn serve(arguments: &Arguments, log: &JobLog) -> Result<End, SessionError> {
    let addresses = Addresses::parse(&arguments.coordinator)?;
    let told_to_end = signals::told_to_end().map_err(|source| SessionError::Signals { source })?;
    let device = arguments.device.unwrap_or_else(device::guess);
    let who = Who {
        name: arguments.name.clone().unwrap_or_else(|| "worker".into()),
        incarnation: rand::random(),
        device: device.to_string(),
        memory: device::memory(device),
        beside: arguments.beside,
    };
    let session = Session::new(addresses, who, Arc::new(task::Trade::default()), log.clone());
    let end = session.run(told_to_end).await;
    tracing::info!(?end, "ending");
    log.finish(LAST_LINES).await;
    Ok(end)
}
