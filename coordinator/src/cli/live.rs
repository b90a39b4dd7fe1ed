//! `-w`: the same again whenever it changes.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use serde_json::Value;
use tonic::Status;

use super::{
    CliError, out,
    server::ServerArgs,
    show::{self, Format},
};
use crate::client::{Jobs, Lasting};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);

/// Clears a terminal, and begins at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// What is shown, as it is now.
pub(super) struct Look {
    /// For people.
    pub(super) text: String,
    /// For programs.
    pub(super) value: Value,
    /// What a change is told by: without what changes by itself, such as ages.
    pub(super) essence: Value,
}

/// Shows it once, or if wanted again whenever it changes.
pub(super) async fn show(
    server: &ServerArgs,
    watched: bool,
    output: Format,
    mut look: impl AsyncFnMut(&mut Jobs) -> Result<Look, Status>,
) -> Result<(), CliError> {
    if watched {
        return watch(server.connect_lasting().await?, output, look).await;
    }
    let Look { text, value, .. } = look(&mut server.connect().await?).await?;
    match output {
        Format::Text | Format::Wide => out::line(text),
        output => show::value(&value, output),
    }
}

/// Looks again and again, while anybody reads it: drawn anew on a terminal, one more table, line of JSON or
/// document of YAML for each change elsewhere.
async fn watch(
    mut service: Lasting,
    output: Format,
    mut look: impl AsyncFnMut(&mut Jobs) -> Result<Look, Status>,
) -> Result<(), CliError> {
    let redraw = io::stdout().is_terminal() && !output.is_for_programs();
    let mut last = None;
    loop {
        match look(service.jobs()).await {
            Ok(Look { text, value, essence }) => {
                service.well();
                let changed = last.as_ref() != Some(&essence);
                let shown = match redraw {
                    // Ages go on though nothing changes.
                    true => format!("{CLEAR}{text}\n"),
                    false if !changed => String::new(),
                    false if output.is_for_programs() => show::entry_text(&value, output),
                    false => format!("{text}\n\n"),
                };
                if !out::to_a_reader(shown)? {
                    return Ok(());
                }
                last = Some(essence);
            }
            Err(lost) => service.lost(lost).await?,
        }
        tokio::time::sleep(EVERY).await;
    }
}
