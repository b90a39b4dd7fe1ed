//! Which coordinator is meant.

use clap::Args;

use super::CliError;
use crate::client::{self, Jobs, Lasting};

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
