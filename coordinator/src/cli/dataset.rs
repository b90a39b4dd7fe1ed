//! `coordinator dataset`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use twinspire_dataset::{Dataset as Opened, ManifestFile};
use twinspire_storage::Location;

use super::{
    CliError, out,
    show::{self, Format},
};
use crate::display::{clock, number};

/// Look at a dataset.
#[derive(Debug, Subcommand)]
pub(crate) enum Dataset {
    /// Users, items, actions, time span, lengths, top items, what was left out and why.
    Describe(Describe),
}

/// Describe a dataset.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator dataset describe runs/datasets/4f1c…      a dataset by its directory or URI
  coordinator dataset describe 4f1c… --runs runs        by its fingerprint
  coordinator dataset describe 4f1c… --verify           and check every byte of it

Exit codes: 0 shown, 1 it is damaged or cannot be read, 2 there is none.")]
pub(crate) struct Describe {
    /// Directory, URI or fingerprint of the dataset.
    #[arg(value_name = "DATASET")]
    dataset: String,
    /// The directory of runs in which a fingerprint is looked up.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: String,
    /// Read every file whole and compare checksums.
    #[arg(long)]
    verify: bool,
    /// `json` and `yaml` write the dataset's manifest.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Dataset {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let Dataset::Describe(Describe { dataset, runs, verify, output }) = self;
        let location = if dataset.contains('/') {
            Location::parse(&dataset)?
        } else {
            Location::parse(&runs)?.join("datasets").join(&dataset)
        };
        let opened = Opened::open(location).await?;
        if verify {
            opened.verify().await?;
        }
        show(&opened, verify, output)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes what a dataset is to standard output.
pub(super) fn show(dataset: &Opened, verified: bool, output: Format) -> Result<(), CliError> {
    match output {
        Format::Text | Format::Wide => {
            out::text(describe(dataset.location().uri(), dataset.manifest_file(), verified))
        }
        output => show::value(&serde_json::to_value(dataset.manifest_file()).unwrap_or_default(), output),
    }
}

/// A dataset in words.
fn describe(uri: &str, file: ManifestFile<'_>, verified: bool) -> String {
    let ManifestFile { manifest, notes } = file;
    let mut lines: Vec<(String, String)> = vec![
        ("dataset".into(), uri.into()),
        ("users".into(), number(manifest.users)),
        ("items".into(), number(manifest.items)),
        ("rows read".into(), number(manifest.rows_read)),
    ];
    let counts = manifest.counts;
    let share =
        |part: u64| format!("{} ({:.1}%)", number(part), 100.0 * part as f64 / counts.total.max(1) as f64);
    lines.push(("actions".into(), number(counts.total)));
    lines.push(("  trained on".into(), share(counts.train)));
    lines.push(("  validation".into(), share(counts.validation)));
    lines.push(("  test".into(), share(counts.test)));
    for action in &manifest.actions {
        let role = if action.positive {
            format!("positive, weight {}", action.weight)
        } else {
            "not predicted".into()
        };
        lines.push((format!("  `{}`", action.name), format!("{} ({role})", number(action.count))));
    }
    if let Some((first, last)) = manifest.time_span_ms {
        let at = |ms: i64| clock(u64::try_from(ms).unwrap_or(0), u64::MAX);
        lines.push(("time span".into(), format!("{} to {}", at(first), at(last))));
    }
    let lengths = serde_json::to_value(manifest.lengths).unwrap_or_default();
    let quantiles = lengths.as_object().into_iter().flatten().filter_map(|(name, value)| {
        let value = value.as_f64()?;
        Some(if value.fract() == 0.0 { format!("{name} {value}") } else { format!("{name} {value:.1}") })
    });
    lines.push(("actions a user".into(), quantiles.collect::<Vec<_>>().join(", ")));
    if !manifest.surfaces.is_empty() {
        lines.push(("surfaces".into(), manifest.surfaces.join(", ")));
    }
    for feature in &manifest.features {
        let tokens =
            if feature.tokens > 0 { format!(", {} tokens", number(feature.tokens)) } else { String::new() };
        let kind = serde_json::to_value(&feature.kind).unwrap_or_default();
        let kind = kind.get("type").and_then(|kind| kind.as_str()).unwrap_or("feature").to_owned();
        lines.push((format!("feature `{}`", feature.name), format!("{kind}{tokens}")));
    }
    for (item, count) in manifest.top_items.iter().take(10) {
        lines.push((
            "top item".into(),
            format!("{item}: {} actions", number(u64::try_from(*count).unwrap_or(0))),
        ));
    }
    for rejected in &manifest.rejected {
        lines.push(("bad rows".into(), format!("{}: {}", rejected.cause, number(rejected.count))));
    }
    for dropped in &manifest.dropped {
        lines.push(("left out".into(), format!("{}: {} rows", dropped.reason, number(dropped.rows))));
    }
    for warning in &notes.warnings {
        lines.push(("WARNING".into(), warning.clone()));
    }
    lines.push(("shards".into(), number(manifest.shards.len() as u64)));
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    lines.push(("size".into(), format!("{:.1} MB in {} files", bytes as f64 / 1e6, manifest.files.len())));
    if verified {
        lines.push(("checksums".into(), "right".into()));
    }
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    lines.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}
