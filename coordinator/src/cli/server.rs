//! Which coordinator is meant.

use clap::Args;

use super::CliError;
use crate::client::{self, Jobs};

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
}
