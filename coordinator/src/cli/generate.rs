//! `coordinator generate`

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use twinspire_generate::GenerateSpec;

use super::{
    CliError, out,
    show::{self, Format},
};
use crate::display::{duration, number};

/// Generate a realistic log and catalogue of any size, with a job file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator generate demo
  coordinator generate big --users 1000000 --items 200000 --events 20000000

Users have drifting interests and come in sessions; items have topics, a popularity, titles,
categories and image-like vectors. The same numbers and seed give the same bytes.

Exit codes: 0 done, 1 it could not be written, 2 a number is out of range or the directory in use.")]
pub(crate) struct Generate {
    /// Directory to write into.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Users.
    #[arg(long, default_value_t = 10_000)]
    users: u64,
    /// Items.
    #[arg(long, default_value_t = 5_000)]
    items: u64,
    /// Events.
    #[arg(long, default_value_t = 500_000)]
    events: u64,
    /// Seed of everything random.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Days the events span.
    #[arg(long, default_value_t = 90)]
    days: u32,
    /// Length of the image-like vectors.
    #[arg(long, default_value_t = 64)]
    vector_dim: u32,
    /// Threads; 0 = one a core.
    #[arg(long, default_value_t = 0)]
    threads: u32,
    /// `json` and `yaml` write the summary for programs.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Generate {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        let spec = GenerateSpec {
            users: self.users,
            items: self.items,
            events: self.events,
            seed: self.seed,
            days: self.days,
            vector_dim: self.vector_dim,
            threads: self.threads,
            ..GenerateSpec::default()
        };
        let begun = Instant::now();
        let bar = ProgressBar::new(spec.events);
        if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} events  ETA {eta}")
        {
            bar.set_style(style);
        }
        let summary =
            twinspire_generate::generate(&spec, &self.directory, &|events| bar.set_position(events));
        bar.finish_and_clear();
        let summary = summary?;

        let job = self.directory.join("job.yaml");
        let yaml = twinspire_generate::job_yaml(&self.directory);
        std::fs::write(&job, yaml)
            .map_err(|why| CliError::new(1, "TW2092", format!("{}: {why}", job.display())))?;
        match self.output {
            Format::Text | Format::Wide => {
                out::line(format_args!(
                    "{} events of {} users on {} items in {} ({} MB in {}), made in {}",
                    number(summary.events),
                    number(summary.users),
                    number(summary.items),
                    self.directory.display(),
                    number(summary.bytes / 1_000_000),
                    files(summary.event_files),
                    duration(begun.elapsed())
                ))?;
                out::line(format_args!("job file: {}; train with: coordinator local {0}", job.display()))?;
            }
            output => show::value(&json!({ "summary": summary, "job": job }), output)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".into() } else { format!("{count} files") }
}
