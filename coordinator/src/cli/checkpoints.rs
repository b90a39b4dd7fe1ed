//! `coordinator checkpoints`

use std::{process::ExitCode, time::SystemTime};

use clap::Args;
use serde_json::json;
use twinspire_checkpoint::{CheckpointStore, Retention, State, Summary};
use twinspire_storage::Location;

use super::{
    CliError, out,
    show::{self, Format},
    source::JobArgs,
};
use crate::{
    display::{clock, number},
    service::Places,
};

/// List a job's checkpoints.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator checkpoints beauty
  coordinator checkpoints job.yaml -o json
  coordinator checkpoints beauty --coordinator http://10.0.0.5:7070   of a job of a service

The coordinator says where they are; they are read from here.

Exit codes: 0 listed, 1 the storage failed, 2 there is no such job.")]
pub(crate) struct Checkpoints {
    #[command(flatten)]
    job: JobArgs,
    /// `json` and `yaml` write all that is known of each.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Checkpoints {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let spec = self.job.spec().await?;
        let location = Location::parse(&Places::of(&spec).checkpoints)?;
        let all = CheckpointStore::new(location.clone(), Retention::default()).list().await?;
        match self.output {
            Format::Text | Format::Wide if all.is_empty() => {
                out::line(format_args!("{} has no checkpoints in {}", spec.name, location.uri()))?;
            }
            Format::Text => out::line(table(&all, false))?,
            Format::Wide => out::line(table(&all, true))?,
            output => {
                let value = json!({
                    "uri": location.uri(),
                    "checkpoints": all.iter().map(as_json).collect::<Vec<_>>(),
                });
                show::value(&value, output)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn state(summary: &Summary) -> String {
    match &summary.state {
        State::Whole => "whole".into(),
        State::Damaged(why) => format!("damaged: {why}"),
        State::Unfinished => "unfinished".into(),
    }
}

/// As a table; the wide one has every metric.
fn table(all: &[Summary], wide: bool) -> comfy_table::Table {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_header(["STEP", "EPOCH", "GENERATION", "WRITTEN", "MB", "STATE", "METRICS"]);
    for summary in all {
        let manifest = summary.manifest.as_ref();
        let metrics = manifest.map(|m| &m.metrics).into_iter().flatten();
        let metrics: Vec<String> = metrics
            .filter(|(name, _)| wide || name.contains("ndcg"))
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        table.add_row([
            number(summary.step.0),
            manifest.map(|m| m.epoch.to_string()).unwrap_or_default(),
            summary.generation.to_string(),
            manifest.map(|m| clock(m.created_ms, now)).unwrap_or_default(),
            format!("{:.1}", summary.size as f64 / 1e6),
            state(summary),
            metrics.join(", "),
        ]);
    }
    table
}

fn as_json(summary: &Summary) -> serde_json::Value {
    let manifest = summary.manifest.as_ref();
    json!({
        "step": summary.step,
        "generation": summary.generation,
        "bytes": summary.size,
        "state": state(summary),
        "epoch": manifest.map(|m| m.epoch),
        "created_ms": manifest.map(|m| m.created_ms),
        "workers": manifest.map(|m| m.workers),
        "metrics": manifest.map(|m| m.metrics.clone()),
    })
}
