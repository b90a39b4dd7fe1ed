//! `coordinator prepare`

use std::process::ExitCode;

use clap::Args;
use twinspire_control::{Pool, Stage, TaskResult};
use twinspire_dataset::Dataset;
use twinspire_storage::Location;

use super::{CliError, dataset, failure::exit_of, show::Format, source::FileArgs};
use crate::{
    local::{Outcome, Run},
    service::{Places, Records, newest_generation},
};

/// Only turn the job's log into a dataset.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator prepare job.yaml
  coordinator prepare job.yaml --set prepare.memory=8GB -o json

A dataset that is there already, of the same files and settings, is not made again.

Exit codes: 0 done, 1 failed while running, 2 the job file or the data is wrong, 130 stopped.")]
pub(crate) struct Prepare {
    #[command(flatten)]
    job: FileArgs,
    /// `json` and `yaml` write the dataset's manifest.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Prepare {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let spec = self.job.read()?;
        let generation = newest_generation(&Location::parse(&Places::of(&spec).run)?).await?;
        let run = Run {
            spec: &spec,
            workers: 1,
            plan: vec![Stage::Prepare],
            generation,
            checkpoint: None,
            records: Records::nothing(),
            pool: Pool::default(),
        };
        let ran = run.run().await?;
        match ran.outcome {
            Outcome::Succeeded => {}
            Outcome::Failed(failure) => return Ok(ExitCode::from(exit_of(&failure))),
            Outcome::Stopped { .. } => return Ok(ExitCode::from(130)),
        }
        for result in &ran.results {
            if let TaskResult::Prepared { dataset_uri, .. } = result {
                let dataset = Dataset::open(Location::parse(dataset_uri)?).await?;
                dataset::show(&dataset, false, self.output)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
