//! `coordinator evaluate`

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use twinspire_report::EvaluationReport;
use twinspire_storage::Location;

use super::{CliError, Output, failure::exit_of, out, source::JobArgs};
use crate::{
    core::{Generation, Outcome, Split, Stage, TaskResult},
    display::number,
    local::{Run, workers},
    shell::{Keep, Places},
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
        let run = Run {
            spec: &spec,
            workers: workers(&spec, self.workers)?,
            plan: vec![Stage::Prepare, Stage::Evaluate],
            generation: Generation(0),
            checkpoint_step: self.step,
            split: match self.split {
                SplitArg::Validation => Split::Validation,
                SplitArg::Test => Split::Test,
            },
            keep: Keep::nothing(),
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

/// An evaluation report, kept in the job's run directory.
pub(super) struct ReportFile {
    report: EvaluationReport,
    name: String,
    uri: String,
}

impl ReportFile {
    /// Keeps a run's final report as `evaluation-{split}.json`.
    pub(super) async fn write(places: &Places, split: Split, report: &str) -> Result<ReportFile, CliError> {
        ReportFile::of(places, report, |_| format!("evaluation-{}.json", name_of(split)))?.kept(places).await
    }

    /// Keeps another report as `evaluation-{split}-step-{step}.json`, beside the run's own.
    pub(super) async fn write_by_step(
        places: &Places,
        split: Split,
        report: &str,
    ) -> Result<ReportFile, CliError> {
        let name = |step| format!("evaluation-{}-step-{step}.json", name_of(split));
        ReportFile::of(places, report, name)?.kept(places).await
    }

    fn of(places: &Places, report: &str, name: impl Fn(u64) -> String) -> Result<ReportFile, CliError> {
        let report: EvaluationReport = serde_json::from_str(report).map_err(unreadable)?;
        let name = name(report.step);
        Ok(ReportFile { uri: format!("{}/{name}", places.run), name, report })
    }

    async fn kept(self, places: &Places) -> Result<ReportFile, CliError> {
        let text = self.report.to_json().map_err(unreadable)?;
        Location::parse(&places.run)?.put(&self.name, text.into_bytes()).await?;
        Ok(self)
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.report).unwrap_or_default()
    }

    /// A table for people.
    pub(super) fn text(&self) -> String {
        let EvaluationReport { split, step, users, without_history, items, .. } = &self.report;
        let split = match split {
            twinspire_report::Split::Validation => "validation",
            twinspire_report::Split::Test => "test",
        };
        let (step, users, items) = (number(*step), number(*users), number(*items));
        let left_out = match without_history {
            0 => String::new(),
            count => format!(" ({} more have no history to go by)", number(*count)),
        };
        let table = self.report.table();
        format!("{split}, step {step}: {users} users{left_out}, all {items} items ranked\n{table}")
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }
}

fn name_of(split: Split) -> &'static str {
    match split {
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

fn unreadable(why: serde_json::Error) -> CliError {
    CliError::new(1, "TW5012", format!("a worker's evaluation report cannot be read: {why}"))
}
