//! Which coordinator is meant.

use std::path::Path;

use clap::Args;

use super::CliError;
use crate::{
    ControlError,
    client::{self, Jobs, Lasting},
    local,
};

/// Where a coordinator listens that nobody named.
pub(crate) const DEFAULT: &str = "http://127.0.0.1:7070";

/// Which coordinator is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerArgs {
    /// The coordinator; several, separated by commas, are tried in turn.
    #[arg(
        long,
        value_name = "URL",
        env = "TWINSPIRE_COORDINATOR",
        value_delimiter = ',',
        default_value = DEFAULT
    )]
    coordinator: Vec<String>,
}

impl ServerArgs {
    pub(crate) async fn connect(&self) -> Result<Jobs, CliError> {
        Ok(client::connect(&self.coordinator).await?)
    }

    /// Its addresses.
    pub(crate) fn addresses(&self) -> &[String] {
        &self.coordinator
    }

    /// For a command that may take longer than a coordinator lives.
    pub(crate) async fn connect_lasting(&self) -> Result<Lasting, CliError> {
        Ok(Lasting::connect(&self.coordinator).await?)
    }
}

/// Which coordinator has a job.
#[derive(Clone, Debug, Args)]
pub(crate) struct JobServerArgs {
    /// The coordinator; several, separated by commas, are tried in turn. Without one, that of a local
    /// run of the job, and then http://127.0.0.1:7070.
    #[arg(long, value_name = "URL", env = "TWINSPIRE_COORDINATOR", value_delimiter = ',')]
    coordinator: Vec<String>,

    /// The directory of runs in which a local run is looked up.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: String,
}

impl JobServerArgs {
    pub(crate) async fn connect(&self, job: &str) -> Result<Jobs, CliError> {
        client::connect(&self.addresses(job)).await.map_err(|why| self.or_over(job, why))
    }

    /// For a command that may take longer than a coordinator lives.
    pub(crate) async fn connect_lasting(&self, job: &str) -> Result<Lasting, CliError> {
        Lasting::connect(&self.addresses(job)).await.map_err(|why| self.or_over(job, why))
    }

    /// The directory of a local run of the job that is over, if no coordinator is named.
    pub(crate) fn left_by(&self, job: &str) -> Option<&str> {
        let is_over = local::address(&self.runs, job).is_none();
        let was_run = Path::new(&self.runs).join(job).join("job.json").is_file();
        (self.named().is_empty() && is_over && was_run).then_some(&self.runs)
    }

    fn addresses(&self, job: &str) -> Vec<String> {
        let named = self.named();
        match named.is_empty() {
            // One that was killed has left its address: nobody listens there.
            true => local::address(&self.runs, job).into_iter().chain([DEFAULT.to_owned()]).collect(),
            false => named,
        }
    }

    /// An empty name is none: that is how to leave out the one that the environment names.
    fn named(&self) -> Vec<String> {
        self.coordinator.iter().filter(|one| !one.is_empty()).cloned().collect()
    }

    /// Nobody answers, and of a local run that is over nobody could.
    fn or_over(&self, job: &str, why: ControlError) -> CliError {
        match self.left_by(job) {
            Some(runs) => ControlError::Over { job: job.into(), runs: runs.into() }.into(),
            None => why.into(),
        }
    }
}

/// Which coordinator is meant, if any: without one, the command works here.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServiceArgs {
    /// The coordinator whose job it is; several, separated by commas, are tried in turn. Without
    /// one the job is one of this machine.
    #[arg(long, value_name = "URL", env = "TWINSPIRE_COORDINATOR", value_delimiter = ',')]
    coordinator: Vec<String>,
}

impl ServiceArgs {
    /// The coordinator, if one is named. An empty name is none: that is how to leave out the one
    /// that the environment names.
    pub(crate) fn named(&self) -> Option<ServerArgs> {
        let named: Vec<String> = self.coordinator.iter().filter(|one| !one.is_empty()).cloned().collect();
        (!named.is_empty()).then_some(ServerArgs { coordinator: named })
    }
}
