//! What people type.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | something failed while running |
//! | 2 | the job file, the data or the command is wrong |
//! | 130 | stopped by Ctrl-C or SIGTERM; the same command again goes on |

mod answers;
mod audit;
mod chaos;
mod checkpoints;
mod dataset;
mod evaluate;
mod export;
mod extra;
mod failure;
mod follow;
mod generate;
mod history;
mod list;
mod live;
mod local;
mod out;
mod paths;
mod pool;
mod prepare;
mod serve;
mod server;
mod settings;
mod show;
mod source;
mod spent;
mod status;
mod steer;
mod submit;
mod validate;
mod watch;

use std::{io::IsTerminal, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

pub(crate) use failure::CliError;
use steer::Ask;

const EXAMPLES: &str = "\
Examples:
  coordinator generate demo                    make a log, a catalogue and demo/job.yaml
  coordinator validate demo/job.yaml           is the job file right?
  coordinator local demo/job.yaml              train on this machine; the same again resumes
  coordinator local demo/job.yaml --workers 2 --set train.epochs=20
  coordinator checkpoints demo                 what can be resumed from
  coordinator evaluate demo --split validation

  coordinator serve                            take jobs on, for workers anywhere
  coordinator submit demo/job.yaml --follow
  coordinator list
  coordinator watch

Exit codes: 0 done, 1 failed while running, 2 the job file, the data or the command is wrong,
130 stopped (the same command again goes on).";

/// Trains item and user towers on engagement logs.
#[derive(Debug, Parser)]
#[command(name = "coordinator", version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a job on this machine: prepare, train, evaluate, export.
    Local(local::Local),
    /// Check a job file.
    Validate(validate::Validate),
    /// Only turn the job's log into a dataset.
    Prepare(prepare::Prepare),
    /// Look at a dataset.
    #[command(subcommand)]
    Dataset(dataset::Dataset),
    /// Generate a realistic log and catalogue of any size, with a job file.
    Generate(generate::Generate),
    /// Measure a trained job on held-out rows.
    Evaluate(evaluate::Evaluate),
    /// Write a trained job's embeddings and weights.
    Export(export::Export),
    /// List a job's checkpoints.
    Checkpoints(checkpoints::Checkpoints),
    /// Prove from the records of training that every row was trained exactly once an epoch.
    Audit(audit::Audit),

    /// Run a coordinator that takes on jobs and leases them to workers.
    Serve(serve::Serve),
    /// Give a job to a coordinator.
    Submit(submit::Submit),
    /// List the jobs of a coordinator.
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Watch a coordinator live: jobs, loss, workers, events.
    Watch(watch::Watch),
    /// Show how a job is doing.
    Status(status::Status),
    /// Show a job with everything it was submitted with, and its history.
    Describe(status::Describe),
    /// Say why a job is where it is.
    Explain(status::Explain),
    /// Show what happened to a job, in order.
    Events(history::Events),
    /// Show what a job's workers logged.
    Logs(history::Logs),
    /// End jobs for good; training writes a checkpoint first. Asked again, at once.
    Cancel(steer::Steer),
    /// Stop jobs and keep their places; training writes a checkpoint first.
    Pause(steer::Steer),
    /// Go on with paused jobs.
    Resume(steer::Steer),
    /// Try failed or cancelled jobs again, from their newest checkpoints.
    Retry(steer::Steer),
    /// Forget jobs that are over; their files stay.
    Delete(steer::Steer),
    /// Move a job in the queue.
    Priority(steer::Priority),
    /// List the workers of a coordinator.
    Workers(pool::Workers),
    /// Give workers no more tasks; training goes on without them.
    Drain(pool::Drain),
    /// Give drained workers tasks again.
    Undrain(pool::Drain),
    /// Make parts of a running job fail, and report what that cost it.
    Chaos(chaos::Chaos),
    /// Write shell completions: `coordinator completions bash > /etc/bash_completion.d/coordinator`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // It would panic when standard error is closed.
        .log_internal_errors(false)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments.verb)),
        Err(why) => Err(CliError::new(1, "TW5005", format!("threads cannot be started: {why}"))),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            error.print();
            ExitCode::from(error.exit)
        }
    }
}

async fn run(verb: Verb) -> Result<ExitCode, CliError> {
    match verb {
        Verb::Local(verb) => verb.run().await,
        Verb::Validate(verb) => verb.run(),
        Verb::Prepare(verb) => verb.run().await,
        Verb::Dataset(verb) => verb.run().await,
        Verb::Generate(verb) => verb.run(),
        Verb::Evaluate(verb) => verb.run().await,
        Verb::Export(verb) => verb.run().await,
        Verb::Checkpoints(verb) => verb.run().await,
        Verb::Audit(verb) => verb.run().await,
        Verb::Serve(verb) => verb.run().await,
        Verb::Submit(verb) => verb.run().await,
        Verb::List(verb) => verb.run().await,
        Verb::Watch(verb) => verb.run().await,
        Verb::Status(verb) => verb.run().await,
        Verb::Describe(verb) => verb.run().await,
        Verb::Explain(verb) => verb.run().await,
        Verb::Events(verb) => verb.run().await,
        Verb::Logs(verb) => verb.run().await,
        Verb::Cancel(verb) => verb.run(Ask::Cancel).await,
        Verb::Pause(verb) => verb.run(Ask::Pause).await,
        Verb::Resume(verb) => verb.run(Ask::Resume).await,
        Verb::Retry(verb) => verb.run(Ask::Retry).await,
        Verb::Delete(verb) => verb.run(Ask::Delete).await,
        Verb::Priority(verb) => verb.run().await,
        Verb::Workers(verb) => verb.run().await,
        Verb::Drain(verb) => verb.run(true).await,
        Verb::Undrain(verb) => verb.run(false).await,
        Verb::Chaos(verb) => verb.run().await,
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "coordinator", &mut script);
            out::text(String::from_utf8_lossy(&script))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use twinspire_control::Phase;

    use super::Arguments;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn jobs_are_listed_by_phases_that_there_are() {
        let list = |phase: &str| Arguments::try_parse_from(["coordinator", "list", "--phase", phase]);
        for phase in Phase::ALL {
            assert!(list(phase.as_str()).is_ok(), "{phase}");
        }
        let refused = list("runing").map(drop).map_err(|why| why.to_string());
        assert!(refused.is_err_and(|why| why.contains("'running'") && why.contains("cancelled")));
    }
}
