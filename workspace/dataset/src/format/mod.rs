//! The format on disk.
//!
//! A dataset is an immutable directory `{runs}/datasets/{fingerprint}/`:
//!
//! ```text
//! timelines-00000.parquet   one row a user, actions in time order; a row group is a shard
//! items.parquet             row i is item index i: id, counts, one column a feature
//! vocabulary-title.parquet  tokens of a text or categorical feature: token, id, count
//! rejects.jsonl             bad rows of the log, with the cause
//! manifest.json             written last: a directory without one is not a dataset
//! ```
//!
//! Users are ordered by a hash of their id, so that neighbours are unrelated and a run of rows
//! is a fair sample. Items are ordered by training count, descending, then by id. The *row id* of
//! a user (a `u64`, its place among all timelines) is what training is audited by.

mod manifest;
mod names;
mod notes;
mod schema;

pub use manifest::{
    ActionCounts, ActionInfo, DroppedRows, FORMAT_VERSION, FeatureInfo, FileInfo, LengthQuantiles, Manifest,
    RejectedRows, ShardInfo,
};
pub use names::{ITEMS, MANIFEST, REJECTS, items, timelines, timelines_file, vocabulary, vocabulary_file};
pub use notes::{ManifestFile, Notes};
pub use schema::{feature_element, items_schema, timelines_schema, timelines_schema_of, vocabulary_schema};
