//! Where the coordinator of a local run listens, for commands about it.

use std::path::PathBuf;

use crate::{
    ControlError,
    service::{Places, local_directory},
};

const FILE: &str = "coordinator.url";

/// The address of a run under way, kept in its directory while it is.
pub(super) struct Address(PathBuf);

impl Address {
    pub(super) fn write(places: &Places, url: &str) -> Result<Address, ControlError> {
        let path = places.local.join(FILE);
        let failed = |source| ControlError::File { action: "write", path: path.clone(), source };
        std::fs::create_dir_all(&places.local).map_err(failed)?;
        std::fs::write(&path, url).map_err(failed)?;
        Ok(Address(path))
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        // One that stays leads nowhere.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The address of the local run of a job, if one is, or was, under way in this directory of runs.
pub(crate) fn address(runs: &str, job: &str) -> Option<String> {
    std::fs::read_to_string(local_directory(runs, job).join(FILE)).ok()
}
