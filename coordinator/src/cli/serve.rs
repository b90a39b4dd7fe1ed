//! `coordinator serve`

use std::process::ExitCode;

use clap::Args;
use twinspire_control::Policy;
use twinspire_job::Span;

use super::CliError;
use crate::{display::note, serve};

/// Run a coordinator that takes on jobs and leases them to workers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator serve                                        state in ./runs/state.redb
  coordinator serve --state etcd://10.0.0.5:2379,10.0.0.6:2379/twinspire --runs s3://bucket/runs
  worker --coordinator http://HOST:7070                    on every machine that works
  coordinator submit job.yaml --follow

Several coordinators with the same --state etcd://… elect one that leads; the others pass everything
on to it. Training goes on while the coordinator is away; started again, it goes on where it was.
SIGTERM and Ctrl-C end it in good order.")]
pub(crate) struct Serve {
    /// Address to listen on.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7070", env = "TWINSPIRE_LISTEN")]
    listen: String,
    /// What other coordinators reach it by; when not given, what it listens on.
    #[arg(long, value_name = "URL", env = "TWINSPIRE_ADVERTISE")]
    advertise: Option<String>,
    /// Where its state is kept: a file, or etcd://HOST:PORT,…/PREFIX.
    #[arg(long, value_name = "URI", default_value = "runs/state.redb", env = "TWINSPIRE_STATE")]
    state: String,
    /// Where jobs that do not say otherwise keep their things; all workers must reach it.
    #[arg(long, value_name = "URI", default_value = "runs", env = "TWINSPIRE_RUNS")]
    runs: String,
    /// How long a job may be overtaken by smaller ones before free workers are held for it.
    #[arg(long, value_name = "TIME", default_value = "60s", env = "TWINSPIRE_PATIENCE")]
    patience: Span,
    /// How long a job stays at its size before it grows.
    #[arg(long, value_name = "TIME", default_value = "60s", env = "TWINSPIRE_SETTLE")]
    settle: Span,
}

impl Serve {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let store = twinspire_store::open(&self.state).await.map_err(crate::ControlError::from)?;
        let policy = Policy { patience: self.patience.0, settle: self.settle.0, ..Policy::default() };
        let serve = serve::Serve {
            listen: self.listen,
            advertise: self.advertise,
            runs: super::paths::absolute(&self.runs)?,
            store,
            policy,
        };
        let state = self.state;
        serve
            .run(|address| note(format_args!("coordinator: listening on {address}, state in {state}")))
            .await?;
        note("coordinator: stopped; training goes on, and a new coordinator takes it up");
        Ok(ExitCode::SUCCESS)
    }
}
