//! `coordinator events` and `logs`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use twinspire_proto::v1;

use super::{
    CliError, follow, out,
    server::JobServerArgs,
    show::{self, Format},
    source,
};
use crate::display::note;

/// Show what happened to a job, in order.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator events beauty
  coordinator events beauty -w             go on until it is over or paused
  coordinator events beauty -w -o json     a line for each

Exit codes: 0 shown, 1 no coordinator answers, 2 there is no such job.")]
pub(crate) struct Events {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: JobServerArgs,
    /// Go on until the job is over or paused.
    #[arg(short, long)]
    watch: bool,
    /// How they are shown; `json` writes one event a line, `wide` their numbers too.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Events {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let output = self.output;
        let show = |event: &v1::JobEvent| match output {
            Format::Text => out::line(show::event(event)),
            Format::Wide => out::line(format_args!("{:>5}  {}", event.sequence, show::event(event))),
            output => show::entry(&show::event_value(event), output),
        };
        let mut service = match (self.server.connect_lasting(&self.job).await, self.server.left_by(&self.job))
        {
            (Ok(service), _) => service,
            // Of a local run that is over nobody can be asked.
            (Err(_), Some(runs)) => {
                let left = source::events(runs, &self.job).await?;
                left.iter().try_for_each(show)?;
                return Ok(ExitCode::SUCCESS);
            }
            (Err(why), None) => return Err(why),
        };
        let request = v1::EventsRequest { name: self.job, follow: self.watch, after: 0 };
        follow::events(&mut service, request, show).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Show what a job's workers logged.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator logs beauty
  coordinator logs beauty -f                        go on until it is over or paused
  coordinator logs beauty --worker node-3/cuda:0 --tail 50

Exit codes: 0 shown, 1 no coordinator answers, 2 there is no such job.")]
pub(crate) struct Logs {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: JobServerArgs,
    /// Go on until the job is over or paused.
    #[arg(short, long)]
    follow: bool,
    /// Of this worker only.
    #[arg(long, value_name = "NAME", default_value = "")]
    worker: String,
    /// Only so many of the last lines.
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    tail: u32,
    /// How they are shown; `json` writes one line a line, `wide` the piece each is in too.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Logs {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut service = self.server.connect_lasting(&self.job).await?;
        let Logs { job, follow, worker, tail, output, .. } = self;
        let request = v1::LogsRequest { name: job.clone(), worker: worker.clone(), follow, tail };
        let mut is_anything_shown = false;
        let show = |line: &v1::LogLine| {
            is_anything_shown = true;
            match output {
                Format::Text => out::line(show::log(line)),
                Format::Wide => out::line(format_args!("{} {}", line.chunk, show::log(line))),
                output => show::entry(&json!({ "worker": line.worker, "line": line.line }), output),
            }
        };
        follow::logs(&mut service, request, show).await?;
        if !is_anything_shown && !worker.is_empty() {
            note(format_args!(
                "{job}: nothing is logged of a worker {worker:?}; without --worker, each line begins with whose it is"
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
