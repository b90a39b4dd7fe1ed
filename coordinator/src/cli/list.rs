//! `coordinator list`

use std::process::ExitCode;

use clap::Args;
use twinspire_proto::v1;

use super::{
    CliError, out,
    server::ServerArgs,
    show::{self, Format},
};

/// List the jobs of a coordinator.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator list
  coordinator list --phase running --phase pending
  coordinator list -o wide
  coordinator list -o json | jq -r '.[].name'")]
pub(crate) struct List {
    #[command(flatten)]
    server: ServerArgs,
    /// Only jobs in this phase; may be given several times.
    #[arg(long, value_name = "PHASE")]
    phase: Vec<String>,
    /// How the jobs are shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl List {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut jobs = self.server.connect().await?;
        let answer = jobs.list(v1::ListRequest { phases: self.phase }).await?.into_inner();
        match self.output {
            Format::Text if answer.jobs.is_empty() => out::line("there are no jobs")?,
            Format::Text => out::line(show::jobs(&answer.jobs, false))?,
            Format::Wide => out::line(show::jobs(&answer.jobs, true))?,
            output => {
                let all: Vec<_> = answer.jobs.iter().map(show::job).collect();
                show::value(&all.into(), output)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
