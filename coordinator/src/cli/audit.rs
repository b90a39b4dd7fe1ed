//! `coordinator audit`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use twinspire_checkpoint::{CheckpointStore, Retention};
use twinspire_dataset::{Dataset, Plan, PlanSettings, audit};
use twinspire_job::JobSpec;
use twinspire_storage::Location;

use super::{
    CliError, out,
    show::{self, Format},
    source::JobArgs,
};
use crate::{display::number, service::Places};

/// Prove from the records of training that every row was trained exactly once an epoch.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator audit beauty
  coordinator audit beauty -o json
  coordinator audit beauty --coordinator http://10.0.0.5:7070         a job of a service

With each step every worker records which rows it trained. The audit holds the records of all
committed steps against the dataset: expected / trained / twice / never. With a
coordinator, that one says where the records are; they are read from here.

Exit codes: 0 every row that was due was trained exactly once, 1 it was not or cannot be told,
2 there is no such job.")]
pub(crate) struct Audit {
    #[command(flatten)]
    job: JobArgs,
    /// `json` and `yaml` write the report for programs.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Audit {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let spec = self.job.spec().await?;
        let report = check(&spec).await?;
        match self.output {
            Format::Text | Format::Wide => {
                out::line(format_args!("{} after {} committed steps:", spec.name, number(report.steps)))?;
                out::line(table(&report))?;
                out::line(if report.passed() { "passed" } else { "FAILED" })?;
            }
            output => {
                let value = json!({ "job": spec.name, "passed": report.passed(), "report": report });
                show::value(&value, output)?;
            }
        }
        Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// Holds the records of a job's training against its dataset.
pub(super) async fn check(spec: &JobSpec) -> Result<audit::AuditReport, CliError> {
    let places = Places::of(spec);
    let checkpoints = CheckpointStore::new(Location::parse(&places.checkpoints)?, Retention::default());
    let Some(newest) = checkpoints.latest_whole().await? else {
        let message = format!("{} has no checkpoint, so no step of it is committed yet", spec.name);
        return Err(CliError::new(1, "TW5009", message));
    };
    // The dataset is named by its fingerprint, which the checkpoint knows.
    let dataset = Location::parse(&places.datasets)?.join(&newest.dataset_fingerprint);
    let dataset = Dataset::open(dataset).await?;
    let plan = Plan::new(dataset.manifest(), PlanSettings::of(spec))?;
    let records = audit::Audit::load(&Location::parse(&places.run)?).await?;
    Ok(records.check(&plan, newest.step.0))
}

fn counts(epoch: &audit::EpochAudit) -> [u64; 5] {
    [epoch.expected, epoch.trained, epoch.twice, epoch.never, epoch.unexpected]
}

fn table(report: &audit::AuditReport) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["EPOCH", "EXPECTED", "TRAINED", "TWICE", "NEVER", "UNEXPECTED"]);
    // Whole epochs of which there is the same to say are one line.
    for alike in report.epochs.chunk_by(|one, next| next.complete && counts(one) == counts(next)) {
        let (first, last) = (&alike[0], &alike[alike.len() - 1]);
        let name = match (first.epoch, last.epoch) {
            (first, last) if first < last => format!("{first} to {last}, each"),
            (epoch, _) if last.complete => epoch.to_string(),
            (epoch, _) => format!("{epoch} (in part)"),
        };
        table.add_row(std::iter::once(name).chain(counts(first).map(number)));
    }
    let all = [report.expected, report.trained, report.twice, report.never, report.unexpected];
    table.add_row(std::iter::once("all".to_owned()).chain(all.map(number)));
    table
}
