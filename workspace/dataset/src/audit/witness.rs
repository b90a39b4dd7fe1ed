//! What ranks know of lanes that were not theirs.

use serde::{Deserialize, Serialize};

use super::RowDigest;
use crate::error::DatasetError;

/// Which rows every lane trained in a step, as all ranks were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Step of the job.
    pub step: u64,
    /// Generation that did it.
    pub generation: u64,
    /// By lane.
    pub lanes: Vec<RowDigest>,
}

/// The end of the name of a file of witnesses.
pub(super) const WITNESSES: &str = ".witness.json";

/// Name of a file of witnesses within a run's directory: what rank 0 of a generation stored with the checkpoint of
/// a step.
pub fn witness_name(generation: u64, step: u64) -> String {
    format!("audit/generation-{generation:06}-step-{step:09}{WITNESSES}")
}

/// The content of a file of witnesses.
pub fn encode_witnesses(witnesses: &[Witness]) -> Vec<u8> {
    // Numbers only: this cannot fail.
    serde_json::to_vec(witnesses).unwrap_or_default()
}

/// Reads a file of witnesses. `file` is its name, for errors.
///
/// # Errors
/// Bytes that are no such file.
pub fn decode_witnesses(file: &str, bytes: &[u8]) -> Result<Vec<Witness>, DatasetError> {
    serde_json::from_slice(bytes).map_err(|why| DatasetError::AuditRecord {
        file: file.to_owned(),
        at: why.column(),
        why: why.to_string(),
    })
}
