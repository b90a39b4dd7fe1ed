//! `manifest.json`: what a dataset holds and where.

use serde::{Deserialize, Serialize};
use twinspire_job::FeatureKind;

use super::{ManifestFile, Notes};
use crate::error::DatasetError;

/// The format this build writes and reads.
pub const FORMAT_VERSION: u32 = 1;

/// What a dataset holds and where: `manifest.json`, but for its [`Notes`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format; see [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Name of the dataset: a hash of its inputs and settings.
    pub fingerprint: String,
    /// Version of the program that wrote it.
    pub created_by: String,
    /// Users, one row each.
    pub users: u64,
    /// Items.
    pub items: u64,
    /// How many actions each part has.
    pub counts: ActionCounts,
    /// Kinds of actions; timelines refer to them by index.
    pub actions: Vec<ActionInfo>,
    /// Surfaces, by index; empty when the log has none.
    pub surfaces: Vec<String>,
    /// Whether actions have a time.
    pub has_time: bool,
    /// Whether actions have a duration.
    pub has_durations: bool,
    /// Time of the first and the last action, in milliseconds since 1970.
    pub time_span_ms: Option<(i64, i64)>,
    /// Item features, in the order of their columns in the items file.
    pub features: Vec<FeatureInfo>,
    /// Shards, in row order.
    pub shards: Vec<ShardInfo>,
    /// Every file but the manifest.
    pub files: Vec<FileInfo>,
    /// How many actions users have.
    pub lengths: LengthQuantiles,
    /// The items engaged with most: id and count.
    pub top_items: Vec<(String, i64)>,
    /// Bad rows of the log, by cause.
    pub rejected: Vec<RejectedRows>,
    /// Good rows that were left out, by reason.
    pub dropped: Vec<DroppedRows>,
    /// Rows read from the log, bad ones included.
    pub rows_read: u64,
}

/// How many actions each part has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionCounts {
    /// All of them.
    pub total: u64,
    /// Trained on.
    pub train: u64,
    /// Validated on.
    pub validation: u64,
    /// Tested on.
    pub test: u64,
}

/// A kind of action.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActionInfo {
    /// Its name in the log.
    pub name: String,
    /// Whether it may be predicted.
    pub positive: bool,
    /// Weight of a query that predicts it.
    pub weight: f32,
    /// How many there are, in all parts.
    pub count: u64,
}

/// An item feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureInfo {
    /// Its name: the column in the items file.
    pub name: String,
    /// What it is, in the job file's words.
    pub kind: FeatureKind,
    /// Tokens in its vocabulary; 0 for vectors.
    pub tokens: u64,
}

/// A shard: one row group of one timelines file, the unit that is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// File it is in.
    pub file: String,
    /// Its row group there, from 0.
    pub row_group: u32,
    /// Row id of its first row.
    pub first_row: u64,
    /// Rows (users).
    pub rows: u64,
    /// Actions of those users.
    pub actions: u64,
}

/// A file and how to know that it is whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// CRC-32 (IEEE) of its bytes.
    pub crc32: u32,
}

/// How many actions users have, all parts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LengthQuantiles {
    /// The mean.
    pub mean: f64,
    /// The fewest.
    pub min: u64,
    /// A quarter of the users have at most this many.
    pub p25: u64,
    /// The median.
    pub p50: u64,
    /// Three quarters have at most this many.
    pub p75: u64,
    /// 90 in 100 have at most this many.
    pub p90: u64,
    /// 99 in 100 have at most this many.
    pub p99: u64,
    /// The most.
    pub max: u64,
}

/// Bad rows of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedRows {
    /// What was wrong.
    pub cause: String,
    /// How many.
    pub count: u64,
}

/// Good rows left out for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedRows {
    /// Why.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

impl Manifest {
    /// That of a dataset with nothing in it.
    pub fn empty(fingerprint: &str) -> Manifest {
        Manifest {
            format_version: FORMAT_VERSION,
            fingerprint: fingerprint.into(),
            created_by: format!("twinspire {}", env!("CARGO_PKG_VERSION")),
            users: 0,
            items: 0,
            counts: ActionCounts::default(),
            actions: Vec::new(),
            surfaces: Vec::new(),
            has_time: false,
            has_durations: false,
            time_span_ms: None,
            features: Vec::new(),
            shards: Vec::new(),
            files: Vec::new(),
            lengths: LengthQuantiles::default(),
            top_items: Vec::new(),
            rejected: Vec::new(),
            dropped: Vec::new(),
            rows_read: 0,
        }
    }

    /// Reads a manifest and checks that this build understands it and that its parts agree.
    ///
    /// `place` is where it came from, for errors.
    pub fn from_json(place: &str, json: &[u8]) -> Result<Manifest, DatasetError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let bad = |why: String| DatasetError::BadManifest { place: place.to_owned(), why };
        let version: Version = serde_json::from_slice(json).map_err(|error| bad(error.to_string()))?;
        if version.format_version > FORMAT_VERSION {
            return Err(DatasetError::NewerFormat {
                place: place.to_owned(),
                found: version.format_version,
                known: FORMAT_VERSION,
            });
        }
        let manifest: Manifest = serde_json::from_slice(json).map_err(|error| bad(error.to_string()))?;
        manifest.check().map_err(bad)?;
        Ok(manifest)
    }

    /// A `manifest.json` of this manifest, without notes.
    pub fn to_json(&self) -> Result<Vec<u8>, DatasetError> {
        ManifestFile { manifest: self, notes: &Notes::default() }.to_json()
    }

    /// Whether surfaces are recorded.
    pub fn has_surfaces(&self) -> bool {
        !self.surfaces.is_empty()
    }

    /// Rows of each shard, in order: what the shard plan is made from.
    pub fn shard_rows(&self) -> Vec<u64> {
        self.shards.iter().map(|shard| shard.rows).collect()
    }

    fn check(&self) -> Result<(), String> {
        if self.format_version == 0 {
            return Err("format_version is 0; versions start at 1".into());
        }
        let mut next_row = 0u64;
        for (number, shard) in self.shards.iter().enumerate() {
            if shard.first_row != next_row {
                return Err(format!(
                    "shard {number} starts at row {}, the one before it ends at {next_row}",
                    shard.first_row
                ));
            }
            next_row = shard
                .first_row
                .checked_add(shard.rows)
                .ok_or("the shards hold more rows than there can be")?;
        }
        for feature in &self.features {
            if let FeatureKind::Vector { dim: 0 } | FeatureKind::Vectors { dim: 0, .. } = feature.kind {
                return Err(format!("the vectors of `{}` have no length", feature.name));
            }
        }
        if next_row != self.users {
            return Err(format!("the shards hold {next_row} rows, `users` says {}", self.users));
        }
        if self.actions.len() > 256 {
            return Err(format!("{} kinds of actions; timelines can tell 256 apart", self.actions.len()));
        }
        if self.surfaces.len() > 256 {
            return Err(format!("{} surfaces; timelines can tell 256 apart", self.surfaces.len()));
        }
        if i32::try_from(self.items).is_err() {
            return Err(format!("{} items; item indices are 32 bits", self.items));
        }
        Ok(())
    }
}
