use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::ByteSize;

/// The engagement log: one row an engagement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSpec {
    /// File, directory, glob or `s3://bucket/prefix/*.parquet`; one or a list.
    #[serde(deserialize_with = "crate::lists::one_or_many")]
    #[schemars(with = "crate::lists::OneOrMany")]
    pub uri: Vec<String>,
    /// `auto` goes by the file name: .parquet, .csv, .tsv, .jsonl or .ndjson, with .gz, .zst, .bz2.
    #[serde(default)]
    pub format: LogFormat,
    /// Which column holds what.
    #[serde(default)]
    pub columns: Columns,
    /// Unit of integer timestamps; `auto` tells s, ms, us and ns apart by magnitude.
    #[serde(default)]
    pub timestamp_unit: TimestampUnit,
    /// SQL condition over the log's own columns; rows for which it is not true are left out.
    #[serde(default)]
    pub filter: Option<String>,
    /// The actions that may occur and what each is worth. Empty: every action found is positive
    /// with weight 1. Not empty: a row with any other action is a bad row.
    #[serde(default)]
    pub actions: BTreeMap<String, ActionSpec>,
    /// Users with fewer rows (after the filter) are left out.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub min_user_actions: u32,
    /// Items with fewer rows (after the filter) are left out, before users are counted.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub min_item_actions: u32,
    /// What to do with rows that are the same as another in every column that is read. Logs that are
    /// delivered at least once have them, and a repeated action is the easiest one to predict.
    /// Without a timestamp and an order column nobody can tell, and all rows are kept.
    #[serde(default)]
    pub repeated_rows: RepeatedRows,
    /// Bad rows allowed, as a fraction of all rows; above it the job fails. Bad rows within it are
    /// written aside and counted by cause.
    #[serde(default = "max_bad_rows")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_bad_rows: f64,
}

/// Column names of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// Who engaged (text or integer).
    pub user: String,
    /// With what (text or integer).
    pub item: String,
    /// How (text). Null: every row is an `engage`.
    pub action: Option<String>,
    /// When: integer, timestamp, date, or ISO 8601 text. Null: the log has no time;
    /// time features and windows are then off, and splits by time refused.
    pub timestamp: Option<String>,
    /// Place of a row inside its user's history, for logs without time (and to break ties of
    /// those with).
    pub order: Option<String>,
    /// Where in the product (text).
    pub surface: Option<String>,
    /// Length of the engagement in seconds (number).
    pub duration: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        Columns {
            user: "user_id".into(),
            item: "item_id".into(),
            action: None,
            timestamp: Some("timestamp".into()),
            order: None,
            surface: None,
            duration: None,
        }
    }
}

/// What to do with rows that repeat another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedRows {
    /// One of them stays; the others are counted.
    #[default]
    Drop,
    /// They are actions of their own: for coarse timestamps, such as days.
    Keep,
}

/// What one action is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ActionSpec {
    /// Whether it may be predicted (all actions are part of histories).
    pub positive: bool,
    /// Weight of a row that predicts it.
    #[schemars(range(min = 0.0))]
    pub weight: f32,
}

impl Default for ActionSpec {
    fn default() -> Self {
        ActionSpec { positive: true, weight: 1.0 }
    }
}

/// File format of a log or catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// By file name.
    #[default]
    Auto,
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values with a header row (tab-separated when the name says .tsv).
    Csv,
    /// One JSON object a line.
    Jsonl,
}

/// Unit of integer timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimestampUnit {
    /// By magnitude: the unit that puts the log's median between 1990 and 2100.
    #[default]
    Auto,
    /// Seconds since 1970.
    S,
    /// Milliseconds since 1970.
    Ms,
    /// Microseconds since 1970.
    Us,
    /// Nanoseconds since 1970.
    Ns,
}

/// How the log is turned into a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PrepareSpec {
    /// Memory the sort may use before it spills to disk.
    pub memory: ByteSize,
    /// Threads; 0 = one a core.
    pub threads: u32,
    /// Actions (timeline entries) in a shard, about. The unit workers read: a row group of about
    /// 15 bytes an action.
    #[schemars(range(min = 1))]
    pub shard_actions: u32,
}

impl Default for PrepareSpec {
    fn default() -> Self {
        PrepareSpec { memory: ByteSize(2_000_000_000), threads: 0, shard_actions: 500_000 }
    }
}

fn one() -> u32 {
    1
}

fn max_bad_rows() -> f64 {
    0.001
}
