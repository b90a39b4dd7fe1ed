//! The `worker` process: it connects to a coordinator and does what it is told.
//!
//! - [`session`]: the stream to the coordinator: registration, heartbeats, orders.
//! - [`task`]: one leased task on a thread of its own, and its link back to the session.
//! - [`prepare`], [`train`], [`evaluate`], [`export`]: the kinds of tasks.
//! - [`model`]: what the last three begin with: dataset, towers, checkpoint.

mod evaluate;
mod export;
mod model;
mod prepare;
mod process;
mod report;
mod session;
mod task;
mod train;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

/// Codes of this crate and what they mean.
pub const CODES: &[(&str, &str)] = &[
    ("TW5201", "A worker could not start its threads."),
    ("TW5202", "The address given to a worker is no address of a coordinator."),
    ("TW5203", "No coordinator answers at the address given to a worker."),
    ("TW5204", "The coordinator ended a worker's session."),
    ("TW5205", "A worker was given a task while it had another, or could not start one."),
    ("TW5206", "The coordinator sent a worker something that cannot be used."),
    ("TW5207", "A task panicked: memory ran out, or a bug."),
    ("TW5208", "There is no checkpoint to evaluate, export or train on from."),
    ("TW5209", "A checkpoint is of another job or of another dataset."),
];

/// Does heavy work for a coordinator: prepares logs, trains towers, evaluates and exports them.
///
/// In local mode the coordinator starts its workers itself; there is no need to run this by hand.
#[derive(Debug, Parser)]
#[command(name = "worker", version, after_help = "Example:\n  worker --coordinator http://127.0.0.1:7070")]
struct Arguments {
    /// Where the coordinator listens.
    #[arg(long, value_name = "URL", env = "TWINSPIRE_COORDINATOR")]
    coordinator: String,

    /// The worker's name in logs and tables.
    #[arg(long, value_name = "NAME", default_value = "worker")]
    name: String,

    /// End when standard input closes: the process that started this one is gone then.
    #[arg(long)]
    end_with_stdin: bool,
}

/// Runs the worker of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    if arguments.end_with_stdin {
        process::end_with_stdin();
    }
    // Two threads: they only move bytes. Tensors have the task's thread and libtorch's own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(session::run(&arguments.coordinator, &arguments.name)),
        Err(source) => Err(session::SessionError::Runtime { source }),
    };
    match ended {
        // A task that is still running has threads inside libtorch: waiting for them, or running
        // libtorch's destructors beside them, could take for ever.
        Ok(session::End::Busy) => process::end_now(),
        Ok(session::End::Idle) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(code = error.code(), "{error}");
            process::end_now()
        }
    }
}
