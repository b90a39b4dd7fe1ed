//! `coordinator workers`, `drain`, `undrain`

use std::process::ExitCode;

use clap::Args;
use twinspire_proto::v1;

use super::{
    CliError, out,
    server::ServerArgs,
    show::{self, Format},
};

/// List the workers of a coordinator.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator workers
  coordinator workers -o json | jq -r '.[] | select(.state == \"idle\") | .name'")]
pub(crate) struct Workers {
    #[command(flatten)]
    server: ServerArgs,
    /// How they are shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Workers {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let mut client = self.server.connect().await?;
        let workers = client.list_workers(v1::ListWorkersRequest {}).await?.into_inner().workers;
        match self.output {
            Format::Text | Format::Wide if workers.is_empty() => {
                out::line("there are no workers; start one with `worker --coordinator URL`")?;
            }
            Format::Text => out::line(show::workers(&workers, false))?,
            Format::Wide => out::line(show::workers(&workers, true))?,
            output => {
                let all: Vec<_> = workers.iter().map(show::worker).collect();
                show::value(&all.into(), output)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Workers, told something.
#[derive(Debug, Args)]
pub(crate) struct Drain {
    /// Names of workers.
    #[arg(required = true, value_name = "WORKER")]
    workers: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Drain {
    pub(super) async fn run(self, drain: bool) -> Result<ExitCode, CliError> {
        let mut client = self.server.connect().await?;
        for name in self.workers {
            let worker = v1::WorkerRequest { name: name.clone() };
            let (changed, done) = match drain {
                true => (client.drain(worker).await?, "gets no more tasks"),
                false => (client.undrain(worker).await?, "gets tasks again"),
            };
            match changed.into_inner().already {
                true => out::line(format_args!("{name}: was so already"))?,
                false => out::line(format_args!("{name}: {done}"))?,
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
