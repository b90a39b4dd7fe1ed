//! `coordinator evaluate`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use twinspire_control::{Pool, Split, Stage, TaskResult};

use super::{CliError, Output, failure::exit_of, out, source::JobArgs};
use crate::{
    local::{Outcome, Run, workers},
    service::{Places, Records, ReportFile},
};

/// Measure a trained job on held-out rows.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator evaluate beauty                          the best checkpoint on the test rows
  coordinator evaluate job.yaml --step 1200 --split validation
  coordinator evaluate beauty --set 'evaluate.k=[5, 10, 50]' -o json

Every user with held-out rows is evaluated, over the whole catalogue, beside the popularity
ranking of the same rows.")]
pub(crate) struct Evaluate {
    #[command(flatten)]
    job: JobArgs,
    /// Step of the checkpoint; the best, when not given.
    #[arg(long)]
    step: Option<u64>,
    /// Which held-out rows.
    #[arg(long, value_enum, default_value_t)]
    split: SplitArg,
    /// Worker processes; as the job says, when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    workers: Option<u32>,
    /// `json` writes the report for programs.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SplitArg {
    Validation,
    #[default]
    Test,
}

impl Evaluate {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let spec = self.job.read()?;
        let split = match self.split {
            SplitArg::Validation => Split::Validation,
            SplitArg::Test => Split::Test,
        };
        let run = Run {
            spec: &spec,
            workers: workers(&spec, self.workers)?,
            plan: vec![Stage::Prepare, Stage::Evaluate { split, step: self.step }],
            generation: 0,
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
            if let TaskResult::Evaluated { report, split, .. } = result {
                let file = ReportFile::write_by_step(&Places::of(&spec), *split, report).await?;
                match self.output {
                    Output::Json => out::json(&file.json())?,
                    Output::Text => {
                        out::line(format_args!("{}\n\nevaluation   {}", file.text(), file.uri()))?;
                    }
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
