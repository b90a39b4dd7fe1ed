//! Paths as they are meant where the command is typed.

use std::path::Path;

use twinspire_job::{JobSpec, is_relative};

use crate::{ControlError, submit::DEFAULT_RUNS};

/// A path from the root; URIs stay.
pub(super) fn absolute(path: &str) -> Result<String, ControlError> {
    if !is_relative(path) {
        return Ok(path.to_owned());
    }
    let absolute = std::path::absolute(Path::new(path));
    let absolute =
        absolute.map_err(|source| ControlError::File { action: "find", path: path.into(), source })?;
    Ok(absolute.to_string_lossy().into_owned())
}

/// Makes the paths of a job's log, catalogue and held-out files absolute: they are part of what the
/// job is. Where its results go is not.
pub(super) fn make_inputs_absolute(spec: &mut JobSpec) -> Result<(), ControlError> {
    for (field, uri) in spec.uris_mut() {
        if !matches!(field, "runs" | "checkpoint.uri" | "export.uri") {
            *uri = absolute(uri)?;
        }
    }
    Ok(())
}

/// Makes every path of a job absolute, but for a `runs` that nobody named: the coordinator has its
/// own.
pub(super) fn make_absolute(spec: &mut JobSpec) -> Result<(), ControlError> {
    for (field, uri) in spec.uris_mut() {
        if field != "runs" || uri != DEFAULT_RUNS {
            *uri = absolute(uri)?;
        }
    }
    Ok(())
}
