//! What can be wrong with a log or a catalogue, and what to do about it.

use std::path::{Path, PathBuf};

use twinspire_dataset::DatasetError;
use twinspire_storage::StorageError;

/// Why a log could not be turned into a dataset.
///
/// Most of it is for the owner of the data to mend: see
/// [`is_user_mistake`](PrepareError::is_user_mistake).
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message of each variant names its fields")]
pub enum PrepareError {
    #[error("{field}: no file at `{uri}`{hint}")]
    NoFiles { field: String, uri: String, hint: String },
    #[error(
        "{file}: its name does not say what format it has; give it the ending .parquet, .csv, .tsv or .jsonl (and .gz, .zst or .bz2 when compressed), or set `{field}.format`"
    )]
    UnknownFormat { file: String, field: &'static str },
    #[error(
        "{uri}: files of different formats: {}; name the ones to read with a pattern such as `{uri}/*.parquet`",
        files.join(", ")
    )]
    MixedFormats { uri: String, files: Vec<String> },
    #[error("{file}: the file is empty (0 bytes); remove it, or write it again")]
    EmptyFile { file: String },
    #[error(
        "{file}{}: cannot be read: {why}; it is damaged, cut off, or no {format} file: write it again",
        row_text(row)
    )]
    Unreadable { file: String, row: Option<u64>, format: &'static str, why: String },
    #[error(
        "{file}: no column `{column}` ({field}); it has {}{}",
        list(available),
        match nearest { Some(name) => format!(": did you mean `{name}`?"), None => format!(": set {field} to the one that is meant") }
    )]
    MissingColumn {
        file: String,
        field: String,
        column: String,
        available: Vec<String>,
        nearest: Option<String>,
    },
    #[error(
        "{file}: column `{column}` ({field}) holds {found}, which cannot be read as {expected}; {remedy}"
    )]
    WrongType {
        file: String,
        field: String,
        column: String,
        found: String,
        expected: &'static str,
        remedy: String,
    },
    #[error(
        "log.filter: `{filter}` is no condition over the columns of {file}: {why}; columns are {}",
        list(available)
    )]
    BadFilter { filter: String, file: String, why: String, available: Vec<String> },
    #[error(
        "log.timestamp_unit: timestamps of column `{column}` are not in {unit}: their median is about {median}, {why}; {remedy}"
    )]
    TimestampUnit { column: String, unit: String, median: i64, why: String, remedy: String },
    #[error("the log has no rows{why}")]
    EmptyLog { why: String },
    #[error(
        "{bad} of {rows} rows are bad, more than log.max_bad_rows = {allowed} allows:\n{}\nmend the log, leave such rows out with log.filter, or raise log.max_bad_rows",
        causes.join("\n")
    )]
    TooManyBadRows { bad: u64, rows: u64, allowed: f64, causes: Vec<String> },
    #[error(
        "{file} row {row}: longer than {limit} bytes; a row that long is damage (a missing line end, or a quote that is never closed): mend or remove it"
    )]
    LineTooLong { file: String, row: u64, limit: usize },
    #[error("{field}: column `{column}` has more than {most} different values; is it the right column?")]
    TooManyNames { field: &'static str, column: String, most: usize },
    #[error(
        "the log has {found} {what} after its filter and minimums; training compares {what} with each other and needs at least 2"
    )]
    TooFew { what: &'static str, found: u64 },
    #[error(
        "{items} items; item indices are 32 bits, so at most 2147483647 can be told apart: raise log.min_item_actions"
    )]
    TooManyItems { items: u64 },
    #[error("split.{field}: {why}")]
    BadSplit { field: &'static str, why: String },
    #[error(
        "{file}: item `{item}`, feature `{feature}`: {why}; mend the catalogue, or make the value null (missing)"
    )]
    BadFeature { file: String, item: String, feature: String, why: String },
    #[error(
        "catalogue: item `{item}` has two rows that differ in `{feature}`{}; keep one of them",
        more_text(*more)
    )]
    ContradictoryItem { item: String, feature: String, more: u64 },
    #[error("catalogue.features: `{name}` cannot be the name of a feature: {why}")]
    FeatureName { name: String, why: String },
    #[error("{uri}: cannot be reached: {why}")]
    Unreachable { uri: String, why: String },
    #[error("{}: {why}", path.display())]
    Local { path: PathBuf, why: String },
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error("preparing stopped: {why}")]
    Stopped { why: String },
}

/// Codes of this crate and what they mean.
pub const CODES: &[(&str, &str)] = &[
    ("TW2001", "no file matches a uri of the log, the catalogue or the split"),
    ("TW2002", "a file's name does not say its format"),
    ("TW2003", "a directory or pattern matches files of different formats"),
    ("TW2004", "a file is empty"),
    ("TW2005", "a file is damaged, cut off or of another format"),
    ("TW2006", "a column the job names is not in a file"),
    ("TW2007", "a column has a type that cannot be what the job says it is"),
    ("TW2008", "log.filter is no SQL condition over the log's columns"),
    ("TW2009", "timestamps are not in the unit expected, or in no unit that makes sense"),
    ("TW2010", "the log has no rows, or none after its filter and minimums"),
    ("TW2011", "more bad rows than log.max_bad_rows allows"),
    ("TW2012", "a row of a text file is too long to be one"),
    ("TW2013", "too many different actions or surfaces"),
    ("TW2014", "fewer than two users or items"),
    ("TW2015", "more items than item indices can tell apart"),
    ("TW2016", "the split cannot be applied to this log"),
    ("TW2017", "a feature of an item is not a number, of the wrong length or otherwise impossible"),
    ("TW2018", "two rows of the catalogue contradict each other"),
    ("TW2019", "a feature has a name that is taken or cannot be a file name"),
    ("TW2020", "a local file could not be read or written while preparing"),
    ("TW2021", "preparing was stopped or broke off"),
    ("TW2022", "an input cannot be reached: no permission, or the server does not answer"),
];

impl PrepareError {
    /// Its stable code.
    pub fn code(&self) -> &'static str {
        match self {
            PrepareError::NoFiles { .. } => "TW2001",
            PrepareError::UnknownFormat { .. } => "TW2002",
            PrepareError::MixedFormats { .. } => "TW2003",
            PrepareError::EmptyFile { .. } => "TW2004",
            PrepareError::Unreadable { .. } => "TW2005",
            PrepareError::MissingColumn { .. } => "TW2006",
            PrepareError::WrongType { .. } => "TW2007",
            PrepareError::BadFilter { .. } => "TW2008",
            PrepareError::TimestampUnit { .. } => "TW2009",
            PrepareError::EmptyLog { .. } => "TW2010",
            PrepareError::TooManyBadRows { .. } => "TW2011",
            PrepareError::LineTooLong { .. } => "TW2012",
            PrepareError::TooManyNames { .. } => "TW2013",
            PrepareError::TooFew { .. } => "TW2014",
            PrepareError::TooManyItems { .. } => "TW2015",
            PrepareError::BadSplit { .. } => "TW2016",
            PrepareError::BadFeature { .. } => "TW2017",
            PrepareError::ContradictoryItem { .. } => "TW2018",
            PrepareError::FeatureName { .. } => "TW2019",
            PrepareError::Local { .. } => "TW2020",
            PrepareError::Storage(error) => error.code(),
            PrepareError::Dataset(error) => error.code(),
            PrepareError::Stopped { .. } => "TW2021",
            PrepareError::Unreachable { .. } => "TW2022",
        }
    }

    /// Whether it is in the data or the job file (exit code 2), not in this machine or a server.
    pub fn is_user_mistake(&self) -> bool {
        match self {
            PrepareError::Storage(error) => error.is_user_mistake(),
            PrepareError::Dataset(error) => error.is_user_mistake(),
            PrepareError::Local { .. } | PrepareError::Unreachable { .. } | PrepareError::Stopped { .. } => {
                false
            }
            _ => true,
        }
    }

    pub(crate) fn local(path: impl AsRef<Path>, why: impl std::fmt::Display) -> Self {
        PrepareError::Local { path: path.as_ref().to_owned(), why: why.to_string() }
    }

    pub(crate) fn stopped(why: impl std::fmt::Display) -> Self {
        PrepareError::Stopped { why: why.to_string() }
    }
}

fn row_text(row: &Option<u64>) -> String {
    row.map_or_else(String::new, |row| format!(" row {row}"))
}

fn more_text(more: u64) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more items like it)") }
}

/// `a, b, c`, cut off where it gets long.
fn list(names: &[String]) -> String {
    const MOST: usize = 40;
    let shown = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => "none".into(),
        n if n > MOST => format!("{shown} and {} more", n - MOST),
        _ => shown,
    }
}
