//! `coordinator serve`

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{CliError, settings::Settings};
use crate::{display::note, serve, submit::DEFAULT_RUNS};

/// Run a coordinator that takes on jobs and leases them to workers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator serve                                        state in ./runs/state.redb
  coordinator serve --state etcd://10.0.0.5:2379,10.0.0.6:2379/twinspire --runs s3://bucket/runs
  coordinator serve --config /etc/twinspire/serve.yaml     the same settings in a file
  coordinator serve --max-jobs 100 --max-workers-per-job 16
  worker --coordinator http://HOST:7070                    on every machine that works
  coordinator submit job.yaml --follow

Several coordinators with the same --state etcd://… elect one that leads; the others pass everything
on to it. Training goes on while the coordinator is away; started again, it goes on where it was.
SIGTERM and Ctrl-C end it in good order.

Flags go before the environment, that before the file, and the file before the defaults.

Exit codes: 0 stopped in good order, 1 its state, its address or the like failed,
2 a setting is wrong.")]
pub(crate) struct Serve {
    /// A file of settings (YAML), with the names of the flags; flags and the environment go before
    /// it.
    #[arg(long, value_name = "FILE", env = "TWINSPIRE_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Where it listens when nobody says.
const LISTEN: &str = "127.0.0.1:7070";

/// Where its state is when nobody says.
const STATE: &str = "runs/state.redb";

impl Serve {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let settings = self.settings.over(self.config.as_ref())?;
        let policy = settings.policy();
        let Settings { listen, advertise, state, runs, .. } = settings;
        let state = state.unwrap_or_else(|| STATE.into());
        let store = twinspire_store::open(&state).await.map_err(crate::ControlError::from)?;
        let serve = serve::Serve {
            listen: listen.unwrap_or_else(|| LISTEN.into()),
            advertise,
            runs: super::paths::absolute(runs.as_deref().unwrap_or(DEFAULT_RUNS))?,
            store,
            policy,
        };
        serve
            .run(|address| note(format_args!("coordinator: listening on {address}, state in {state}")))
            .await?;
        note("coordinator: stopped; training goes on, and a new coordinator takes it up");
        Ok(ExitCode::SUCCESS)
    }
}
