//! `coordinator status`, `describe` and `explain`

use std::process::ExitCode;

use clap::Args;
use twinspire_proto::v1;

use super::{
    CliError, out,
    server::ServerArgs,
    show::{self, Format},
    spent,
};

/// Show how a job is doing.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator status beauty
  coordinator status beauty -w             again whenever it changes, until it is over
  coordinator status beauty -o json")]
pub(crate) struct Status {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: ServerArgs,
    /// Show it again whenever it changes, until it is over.
    #[arg(short, long)]
    watch: bool,
    /// How it is shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Status {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut jobs = self.server.connect().await?;
        let mut updates = jobs.watch(v1::WatchRequest { name: self.job }).await?.into_inner();
        while let Some(job) = updates.message().await? {
            match self.output {
                Format::Text | Format::Wide => out::text(show::status(&job))?,
                output => show::value(&show::job(&job), output)?,
            }
            if !self.watch {
                break;
            }
            out::line("")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Show a job with everything it was submitted with, and its last events.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  coordinator describe beauty")]
pub(crate) struct Describe {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl Describe {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut jobs = self.server.connect().await?;
        let job = jobs.get(v1::GetRequest { name: self.job.clone() }).await?.into_inner();
        out::text(show::status(&job))?;
        let spec: serde_json::Value = serde_json::from_str(&job.spec_json).unwrap_or_default();
        out::line("\nspec:")?;
        out::text(show::yaml(&spec, 1))?;
        out::line("\nevents:")?;
        let request = v1::EventsRequest { name: self.job, follow: false };
        let mut events = jobs.events(request).await?.into_inner();
        while let Some(event) = events.message().await? {
            out::line(format_args!("  {}", show::event(&event)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Say why a job is where it is: why it waits, what it was interrupted by.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  coordinator explain beauty")]
pub(crate) struct Explain {
    /// The job's name.
    job: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl Explain {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut jobs = self.server.connect().await?;
        let job = jobs.get(v1::GetRequest { name: self.job.clone() }).await?.into_inner();
        out::line(format_args!("{} is {}: {}", job.name, job.phase, job.reason))?;
        if !job.ahead.is_empty() {
            out::line(format_args!("before it in the queue: {}", job.ahead.join(", ")))?;
        }
        if job.phase == "pending" {
            let workers = jobs.list_workers(v1::ListWorkersRequest {}).await?.into_inner().workers;
            out::line(show::pool(&workers))?;
        }
        if let Some(spent) = &job.spent {
            out::line(spent::table(spent))?;
        }
        let request = v1::EventsRequest { name: self.job, follow: false };
        let mut events = jobs.events(request).await?.into_inner();
        let mut why = Vec::new();
        while let Some(event) = events.message().await? {
            if matches!(event.kind.as_str(), "retrying" | "stopping") {
                why.push(event);
            }
        }
        if !why.is_empty() {
            out::line("interrupted by:")?;
            for event in why {
                out::line(format_args!("  {}", show::event(&event)))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
