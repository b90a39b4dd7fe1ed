//! `coordinator watch`

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
};

use clap::Args;
use twinspire_proto::v1;

use super::{CliError, server::ServerArgs};
use crate::{
    ControlError,
    watch::{self, Left},
};

/// Watch a coordinator live: jobs, loss, workers, events.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator watch                        all jobs of a coordinator
  coordinator watch beauty                 begin with this one

Keys: ↑ ↓ or j k select a job; p pauses it, r resumes it, c cancels it after a yes; q, Esc or Ctrl-C
leave. The curve begins where training did, or where the present coordinator took it up.

On a pipe, use `coordinator status JOB -w` or `coordinator list -w`.

Exit codes: 0 left, 1 no coordinator answers, 2 there is no such job or no terminal, 130 stopped.")]
pub(crate) struct Watch {
    /// The job to begin with.
    #[arg(value_name = "JOB")]
    job: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

impl Watch {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        if !io::stdout().is_terminal() {
            return Err(ControlError::NoTerminal { what: "standard output" }.into());
        }
        let mut service = self.server.connect_lasting().await?;
        if let Some(name) = self.job.clone() {
            service.jobs().get(v1::GetRequest { name }).await?;
        }
        Ok(match watch::run(service, self.server.addresses().to_vec(), self.job).await? {
            Left::Key => ExitCode::SUCCESS,
            Left::Signal => ExitCode::from(130),
        })
    }
}
