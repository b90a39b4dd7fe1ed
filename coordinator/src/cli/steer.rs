//! `coordinator cancel`, `pause`, `resume`, `retry`, `delete`, `priority`: one job, told something.

use std::process::ExitCode;

use clap::Args;
use twinspire_proto::v1;

use super::{CliError, out, server::ServerArgs};

/// One job or several.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done, 1 no coordinator answers, 2 there is no such job,
or its phase does not allow it.")]
pub(crate) struct Steer {
    /// Names of jobs.
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ask {
    Cancel,
    Pause,
    Resume,
    Retry,
    Delete,
}

impl Steer {
    pub(super) async fn run(self, ask: Ask) -> Result<ExitCode, CliError> {
        let mut client = self.server.connect().await?;
        for name in self.jobs {
            let job = v1::JobRequest { name: name.clone() };
            let (changed, done, already) = match ask {
                Ask::Cancel => (client.cancel(job).await?, "cancelling", "is cancelled already"),
                Ask::Pause => (client.pause(job).await?, "pausing", "is paused already"),
                Ask::Resume => (client.resume(job).await?, "resumed", "is under way already"),
                Ask::Retry => (client.retry(job).await?, "queued again", "is under way already"),
                Ask::Delete => {
                    (client.delete(job).await?, "forgotten; its files stay", "is forgotten already")
                }
            };
            match changed.into_inner().already {
                true => out::line(format_args!("{name} {already}"))?,
                false => out::line(format_args!("{name}: {done}"))?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Move a job in the queue.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator priority beauty 10       before all of lower priority, which give way
  coordinator priority beauty -- -5

Exit codes: 0 done, 1 no coordinator answers, 2 there is no such job,
or it is over.")]
pub(crate) struct Priority {
    /// The job's name.
    job: String,
    /// Higher ones go first.
    #[arg(allow_negative_numbers = true)]
    priority: i32,
    #[command(flatten)]
    server: ServerArgs,
}

impl Priority {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut client = self.server.connect().await?;
        let Priority { job: name, priority, .. } = self;
        client.prioritise(v1::PrioritiseRequest { name: name.clone(), priority }).await?;
        out::line(format_args!("{name}: priority {priority}"))?;
        Ok(ExitCode::SUCCESS)
    }
}
