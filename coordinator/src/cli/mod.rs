//! What people type.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | something failed while running |
//! | 2 | the job file, the data or the command is wrong |
//! | 130 | stopped by Ctrl-C or SIGTERM; the same command again goes on |

mod audit;
mod checkpoints;
mod dataset;
mod evaluate;
mod export;
mod failure;
mod generate;
mod local;
mod out;
mod prepare;
mod source;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

pub(crate) use failure::CliError;

const EXAMPLES: &str = "\
Examples:
  coordinator generate demo                    make a log, a catalogue and demo/job.yaml
  coordinator validate demo/job.yaml           is the job file right?
  coordinator local demo/job.yaml              train on this machine; the same again resumes
  coordinator local demo/job.yaml --workers 2 --set train.epochs=20
  coordinator checkpoints demo                 what can be resumed from
  coordinator evaluate demo --split validation

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
}

/// How results are written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
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
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
