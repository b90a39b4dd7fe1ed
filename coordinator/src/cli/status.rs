//! `coordinator status`, `describe` and `explain`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use twinspire_proto::v1;

use super::{
    CliError, follow, out,
    server::JobServerArgs,
    show::{self, Format},
    spent,
};
use crate::client::Jobs;

/// Show how a job is doing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator status beauty
  coordinator status beauty -w             again whenever it changes, until it is over or paused
  coordinator status beauty -o json

The exit code says whether it could be shown, not how the job is doing (`submit --wait` does):
0 shown, 1 no coordinator answers, 2 there is no such job.")]
pub(crate) struct Status {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: JobServerArgs,
    /// Show it again whenever it changes, until it is over or paused.
    #[arg(short, long)]
    watch: bool,
    /// How it is shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Status {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut service = self.server.connect_lasting(&self.job).await?;
        if !self.watch {
            let job = service.jobs().get(v1::GetRequest { name: self.job }).await?.into_inner();
            show_one(&job, self.output)?;
            return Ok(ExitCode::SUCCESS);
        }
        let output = self.output;
        let each = |job: &v1::Job| match output {
            Format::Text | Format::Wide => {
                show_one(job, output)?;
                out::line("")
            }
            output => show::entry(&show::job(job), output),
        };
        follow::watch(&mut service, &self.job, each).await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show_one(job: &v1::Job, output: Format) -> Result<(), CliError> {
    match output {
        Format::Text => out::text(show::status(job)),
        Format::Wide => out::text(show::status_wide(job)),
        output => show::value(&show::job(job), output),
    }
}

/// Show a job with everything it was submitted with, and its last events.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator describe beauty
  coordinator describe beauty -o yaml

Exit codes: 0 shown, 1 no coordinator answers, 2 there is no such job.")]
pub(crate) struct Describe {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: JobServerArgs,
    /// How it is shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Describe {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut jobs = self.server.connect(&self.job).await?;
        let job = jobs.get(v1::GetRequest { name: self.job.clone() }).await?.into_inner();
        let spec: serde_json::Value = serde_json::from_str(&job.spec_json).unwrap_or_default();
        let events = events(&mut jobs, self.job).await?;
        if let Format::Json | Format::Yaml = self.output {
            let mut value = show::job(&job);
            value["spec"] = spec;
            value["events"] = events.iter().map(show::event_value).collect();
            show::value(&value, self.output)?;
            return Ok(ExitCode::SUCCESS);
        }
        show_one(&job, self.output)?;
        out::line("\nspec:")?;
        out::text(show::yaml(&spec, 1))?;
        out::line("\nevents:")?;
        for event in events {
            out::line(format_args!("  {}", show::event(&event)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Say why a job is where it is: why it waits, what it was interrupted by.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  coordinator explain beauty

Exit codes: 0 shown, 1 no coordinator answers, 2 there is no such job.")]
pub(crate) struct Explain {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: JobServerArgs,
    /// How it is shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Explain {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut jobs = self.server.connect(&self.job).await?;
        let job = jobs.get(v1::GetRequest { name: self.job.clone() }).await?.into_inner();
        let events = events(&mut jobs, self.job).await?;
        let of = |kind: &str| events.iter().filter(|event| event.kind == kind).collect::<Vec<_>>();
        let (faults, changes, slow) = (of("retrying"), of("stopping"), of("slow"));
        if let Format::Json | Format::Yaml = self.output {
            let value = json!({
                "name": job.name,
                "phase": job.phase,
                "reason": job.reason,
                "ahead": job.ahead,
                "seconds": job.spent.as_ref().map(spent::json),
                "at_risk": show::at_risk(&job),
                "left_out": show::job(&job)["left_out"],
                "interrupted_by": faults.into_iter().map(show::event_value).collect::<Vec<_>>(),
                "stopped_for": changes.into_iter().map(show::event_value).collect::<Vec<_>>(),
                "slow": slow.into_iter().map(show::event_value).collect::<Vec<_>>(),
            });
            show::value(&value, self.output)?;
            return Ok(ExitCode::SUCCESS);
        }
        out::line(format_args!("{} is {}: {}", job.name, job.phase, job.reason))?;
        if !job.ahead.is_empty() {
            out::line(format_args!("before it in the queue: {}", job.ahead.join(", ")))?;
        }
        if job.phase == "pending" {
            let workers = jobs.list_workers(v1::ListWorkersRequest {}).await?.into_inner().workers;
            out::line(show::pool(&workers))?;
        }
        for worker in show::left_out(&job) {
            out::line(format_args!("left out is {worker}"))?;
        }
        if let Some(risk) = show::at_risk(&job) {
            out::line(format_args!("at risk is {risk}"))?;
        }
        if let Some(spent) = &job.spent {
            out::line(spent::table(spent))?;
        }
        list("interrupted by", &faults)?;
        list("stopped between two steps for", &changes)?;
        list("slow workers", &slow)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The last of some events.
fn list(what: &str, events: &[&v1::JobEvent]) -> Result<(), CliError> {
    const MOST: usize = 10;
    if events.is_empty() {
        return Ok(());
    }
    let earlier = events.len().saturating_sub(MOST);
    out::line(format_args!("{what}:"))?;
    if earlier > 0 {
        out::line(format_args!("  {earlier} earlier ones (`coordinator events` has them), and"))?;
    }
    for event in &events[earlier..] {
        out::line(format_args!("  {}", show::event(event)))?;
    }
    Ok(())
}

/// All that happened to a job.
async fn events(jobs: &mut Jobs, name: String) -> Result<Vec<v1::JobEvent>, CliError> {
    let request = v1::EventsRequest { name, ..Default::default() };
    let mut stream = jobs.events(request).await?.into_inner();
    let mut events = Vec::new();
    while let Some(event) = stream.message().await? {
        events.push(event);
    }
    Ok(events)
}
