//! Whether this worker may write what a training writes: better to know before the others wait for it.

use std::time::Duration;

use twinspire_storage::Location;

use crate::task::{Task, TaskError};

/// Storage that does not answer within this time is in trouble, which may pass.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tries it. What is in the way for a while only is no reason to stay away: training goes on without checkpoints then.
pub(super) fn may_write(task: &Task) -> Result<(), TaskError> {
    let place = Location::parse(&task.places.checkpoints)?;
    match task.block_on(async { tokio::time::timeout(PATIENCE, place.probe()).await })? {
        Ok(Err(error)) if error.is_user_mistake() => Err(error.into()),
        _ => Ok(()),
    }
}
