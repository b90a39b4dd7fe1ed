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
        Ok(self.connect_lasting(job).await?.jobs().clone())
    }

    /// For a command that may take longer than a coordinator lives: it stays with the one that is meant.
    pub(crate) async fn connect_lasting(&self, job: &str) -> Result<Lasting, CliError> {
        let named = self.named();
        if !named.is_empty() {
            return Ok(Lasting::connect(&named).await?);
        }
        // One that was killed has left its address: nobody listens there.
        if let Some(address) = local::address(&self.runs, job)
            && let Ok(service) = Lasting::connect(&[address]).await
        {
            return Ok(service);
        }
        let service = Lasting::connect(&[DEFAULT.to_owned()]).await;
        service.map_err(|why| match self.left_by(job) {
            Some(runs) => ControlError::Over { job: job.into(), runs: runs.into() }.into(),
            None => why.into(),
        })
    }

    /// The directory of runs in which a local run has left something of the job, if no coordinator is named.
    pub(crate) fn left_by(&self, job: &str) -> Option<&str> {
        let was_run = Path::new(&self.runs).join(job).join("job.json").is_file();
        (self.named().is_empty() && was_run).then_some(&self.runs)
    }

    /// An empty name is none: that is how to leave out the one that the environment names.
    fn named(&self) -> Vec<String> {
        self.coordinator.iter().filter(|one| !one.is_empty()).cloned().collect()
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
