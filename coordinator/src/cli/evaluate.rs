//! `coordinator evaluate`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use twinspire_control::{Pool, Split, Stage, TaskResult};
use twinspire_job::JobSpec;
use twinspire_proto::v1;

use super::{
    CliError, extra,
    failure::exit_of,
    out,
    show::{self, Format},
    source::{JobArgs, Subject, There},
};
use crate::{
    ControlError,
    client::Jobs,
    local::{Outcome, Run, workers},
    service::{Places, Records, ReportFile},
    submit::what_is_there,
};

/// Measure a trained job on held-out rows.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator evaluate beauty                          the best checkpoint on the test rows
  coordinator evaluate job.yaml --step 1200 --split validation
  coordinator evaluate beauty --set 'evaluate.k=[5, 10, 50]' -o json
  coordinator evaluate beauty --coordinator http://10.0.0.5:7070      on the workers of a service

Every user with held-out rows is evaluated, over the whole catalogue, beside the popularity
ranking of the same rows. With a coordinator the job is one of its own that is over; its workers do
the work, which goes on when this command is left with Ctrl-C.

Exit codes: 0 done, 1 failed while running, 2 the command or the data is wrong, 130 stopped.")]
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
    /// `json` and `yaml` write the report for programs.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum SplitArg {
    Validation,
    #[default]
    Test,
}

impl Evaluate {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let split = match self.split {
            SplitArg::Validation => Split::Validation,
            SplitArg::Test => Split::Test,
        };
        match self.job.find().await? {
            Subject::Here(spec) => self.here(&spec, split).await,
            Subject::There(there) => self.there(*there, split).await,
        }
    }

    async fn here(&self, spec: &JobSpec, split: Split) -> Result<ExitCode, CliError> {
        let (generation, _) = what_is_there(spec).await?;
        let run = Run {
            spec,
            workers: workers(spec, self.workers)?,
            plan: vec![Stage::Prepare, Stage::Evaluate { split, step: self.step }],
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
            if let TaskResult::Evaluated { report, .. } = result {
                self.show(&ReportFile::later(&Places::of(spec), report)?)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn there(&self, there: There, split: Split) -> Result<ExitCode, CliError> {
        if self.workers.is_some() {
            return Err(ControlError::NotOfService { option: "--workers" }.into());
        }
        let places = Places::of(&there.spec);
        let mut request = v1::EvaluateRequest { name: there.job.name.clone(), split: 0, step: self.step };
        request.set_split(match split {
            Split::Validation => v1::Split::Validation,
            Split::Test => v1::Split::Test,
        });
        let job = extra::run(there, async |jobs: &mut Jobs| jobs.evaluate(request).await).await?;
        match ReportFile::later(&places, &job.asked_evaluation_json) {
            Ok(report) if report.is_of(split, self.step) => self.show(&report)?,
            _ => return Err(ControlError::LostResult { job: job.name, what: "the evaluation" }.into()),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, file: &ReportFile) -> Result<(), CliError> {
        match self.output {
            Format::Text | Format::Wide => {
                out::line(format_args!("{}\n\nevaluation   {}", file.text(), file.uri()))
            }
            output => show::value(&file.json(), output),
        }
    }
}
