//! What `manifest.json` says to people.

use serde::{Deserialize, Serialize};

use super::Manifest;
use crate::error::DatasetError;

/// What `manifest.json` says to the owner of the data, beside the [`Manifest`]. Nothing that reads
/// a dataset depends on it, and datasets of earlier versions have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// What they should know, though it is no error: in a sentence each.
    pub warnings: Vec<String>,
}

/// The whole of `manifest.json`.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ManifestFile<'a> {
    /// What the dataset holds and where.
    #[serde(flatten)]
    pub manifest: &'a Manifest,
    /// What people should know.
    #[serde(flatten)]
    pub notes: &'a Notes,
}

impl ManifestFile<'_> {
    /// The bytes of `manifest.json`.
    pub fn to_json(&self) -> Result<Vec<u8>, DatasetError> {
        serde_json::to_vec_pretty(self).map_err(|error| DatasetError::BadManifest {
            place: "the manifest".into(),
            why: error.to_string(),
        })
    }
}

impl Notes {
    /// The notes of a `manifest.json`; `place` is where it came from, for errors.
    pub fn from_json(place: &str, json: &[u8]) -> Result<Notes, DatasetError> {
        serde_json::from_slice(json)
            .map_err(|error| DatasetError::BadManifest { place: place.to_owned(), why: error.to_string() })
    }
}
