//! `coordinator submit`

use std::process::ExitCode;

use clap::Args;
use twinspire_proto::v1;

use super::{
    CliError, follow, out, paths,
    server::ServerArgs,
    show::{self, Format},
    source::FileArgs,
};

/// Give a job to a coordinator.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator submit job.yaml                     prints the job's name, and returns
  coordinator submit job.yaml --follow            shows its logs until it is over or paused
  coordinator submit job.yaml --wait -o json      returns when it is over; exit code as `local`
  coordinator submit job.yaml --priority 10 --set workers='{min: 2, max: 16}'

Paths are made absolute where the command is typed; the workers must find them there too. Submitting
the same job again is harmless: it is the same job.

--follow and --wait go on when the coordinator is started again or another one leads; Ctrl-C leaves
the job to itself. With them the exit code is the job's: 0 done, 1 failed, 2 the job or its data is
wrong, 130 cancelled or paused.")]
pub(crate) struct Submit {
    #[command(flatten)]
    job: FileArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Higher ones go first.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// Makes repeating this command safe even when the job file has changed: the same key is the
    /// same request. Without one, the job file is the key.
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
    /// Return when the job is over.
    #[arg(long)]
    wait: bool,
    /// Show its logs, and on standard error its progress, until it is over or paused.
    #[arg(long)]
    follow: bool,
    /// How the job is shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Submit {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut spec = self.job.read()?;
        paths::make_absolute(&mut spec)?;
        let mut service = self.server.connect_lasting().await?;
        let request = v1::SubmitRequest {
            // A spec is numbers, texts and lists: this cannot fail.
            spec_json: serde_json::to_string(&spec).unwrap_or_default(),
            idempotency_key: self.idempotency_key,
            priority: self.priority,
        };
        let answer = service.jobs().submit(request).await?.into_inner();
        let job = answer.job.unwrap_or_default();
        if self.follow {
            let request = v1::LogsRequest { name: job.name.clone(), follow: true, ..Default::default() };
            let mut beside = self.server.connect_lasting().await?.quiet();
            let logs = follow::logs(&mut service, request, |line| out::line(show::log(line)));
            let progress = follow::progress(&mut beside, &job.name);
            // Progress ends with the job, logs a moment later.
            let (logs, progress) = tokio::join!(logs, progress);
            progress.and(logs)?;
        }
        if self.wait || self.follow {
            return follow::until_over(&mut service, &job.name, self.output).await;
        }
        match self.output {
            Format::Text | Format::Wide if answer.already => {
                out::line(format_args!("{} was submitted before; it is {}", job.name, job.phase))?;
                if self.priority != job.priority {
                    let (name, is, asked) = (&job.name, job.priority, self.priority);
                    out::line(format_args!(
                        "its priority is {is}; `coordinator priority {name} {asked}` changes it"
                    ))?;
                }
            }
            Format::Text | Format::Wide => {
                out::line(format_args!("{} submitted; see `coordinator status {0}`", job.name))?
            }
            output => show::value(&show::job(&job), output)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
