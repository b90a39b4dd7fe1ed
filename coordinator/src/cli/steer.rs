//! `coordinator cancel`, `pause`, `resume`, `retry`, `delete`, `priority`: one job, told something.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use twinspire_proto::v1;

use super::{
    CliError,
    answers::Answers,
    out,
    server::ServerArgs,
    show::{self, Format},
};
use crate::client::Jobs;

/// One job or several.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples, of `cancel` as of the others:
  coordinator cancel beauty
  coordinator cancel beauty -o json        {\"job\": \"beauty\", \"changed\": true}; false if it was so already
  coordinator cancel beauty demo -o json   a list of them; only of those before one that is refused

Exit codes: 0 done, 1 no coordinator answers, 2 there is no such job,
or its phase does not allow it.")]
pub(crate) struct Steer {
    /// Names of jobs.
    #[arg(required = true, value_name = "JOB")]
    jobs: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
    /// `json` and `yaml` say for programs whether each has changed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
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
        let mut answers = Answers::to(self.jobs.len(), self.output);
        let told = tell(&mut client, ask, self.jobs, &mut answers).await;
        answers.end()?;
        told.map(|()| ExitCode::SUCCESS)
    }
}

async fn tell(client: &mut Jobs, ask: Ask, jobs: Vec<String>, answers: &mut Answers) -> Result<(), CliError> {
    for name in jobs {
        let job = v1::JobRequest { name: name.clone() };
        let (changed, done, already) = match ask {
            Ask::Cancel => (client.cancel(job).await?, "cancelling", "is cancelled already"),
            Ask::Pause => (client.pause(job).await?, "pausing", "is paused already"),
            Ask::Resume => (client.resume(job).await?, "resumed", "is under way already"),
            Ask::Retry => (client.retry(job).await?, "queued again", "is under way already"),
            Ask::Delete => (client.delete(job).await?, "forgotten; its files stay", "is forgotten already"),
        };
        match changed.into_inner().already {
            true => answers.add("job", &name, false, format_args!("{name} {already}"))?,
            false => answers.add("job", &name, true, format_args!("{name}: {done}"))?,
        }
    }
    Ok(())
}

/// Move a job in the queue.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator priority beauty 10       before all of lower priority, which give way
  coordinator priority beauty -- -5
  coordinator priority beauty 10 -o json    {\"job\": \"beauty\", \"priority\": 10, \"changed\": true}

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
    /// `json` and `yaml` say for programs whether it has changed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Priority {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut client = self.server.connect().await?;
        let Priority { job: name, priority, output, .. } = self;
        let request = v1::PrioritiseRequest { name: name.clone(), priority };
        let changed = !client.prioritise(request).await?.into_inner().already;
        match output {
            Format::Text | Format::Wide => out::line(format_args!("{name}: priority {priority}"))?,
            output => {
                show::value(&json!({ "job": name, "priority": priority, "changed": changed }), output)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
