//! `coordinator events` and `logs`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use twinspire_proto::v1;

use super::{
    CliError, out,
    server::ServerArgs,
    show::{self, Format},
};

/// Show what happened to a job, in order.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator events beauty
  coordinator events beauty -w             go on until it is over")]
pub(crate) struct Events {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: ServerArgs,
    /// Go on until the job is over.
    #[arg(short, long)]
    watch: bool,
    /// `json` writes one event a line.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Events {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut client = self.server.connect().await?;
        let request = v1::EventsRequest { name: self.job, follow: self.watch };
        let mut events = client.events(request).await?.into_inner();
        while let Some(event) = events.message().await? {
            match self.output {
                Format::Json => out::line(json!({
                    "sequence": event.sequence,
                    "at_ms": event.at_ms,
                    "kind": event.kind,
                    "message": event.message,
                }))?,
                _ => out::line(show::event(&event))?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Show what a job's workers logged.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator logs beauty
  coordinator logs beauty -f                        go on until it is over
  coordinator logs beauty --worker node-3/cuda:0 --tail 50")]
pub(crate) struct Logs {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: ServerArgs,
    /// Go on until the job is over.
    #[arg(short, long)]
    follow: bool,
    /// Of this worker only.
    #[arg(long, value_name = "NAME", default_value = "")]
    worker: String,
    /// Only so many of the last lines.
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    tail: u32,
}

impl Logs {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut client = self.server.connect().await?;
        let Logs { job, follow, worker, tail, .. } = self;
        let request = v1::LogsRequest { name: job, worker, follow, tail };
        let mut lines = client.logs(request).await?.into_inner();
        while let Some(line) = lines.message().await? {
            out::line(format_args!("{} | {}", line.worker, line.line))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
