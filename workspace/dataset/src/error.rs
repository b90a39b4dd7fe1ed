//! What can be wrong with a dataset.

use twinspire_storage::StorageError;

/// What can be wrong with a dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// No manifest.
    #[error(
        "{place} is not a dataset: it has no manifest.json (a prepare that was interrupted leaves none). \
         If another worker prepared it, it is not to be seen from here: put `runs` where all workers see it. \
         If nobody did, run the job again"
    )]
    NotADataset {
        /// Where it was looked for.
        place: String,
    },
    /// A manifest that cannot be read or contradicts itself.
    #[error("the manifest of {place} cannot be used: {why}. Delete the dataset and prepare it again")]
    BadManifest {
        /// The dataset.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// Written by a later version.
    #[error(
        "{place} has format version {found}, this build reads up to {known}: use the version that wrote it, \
         or delete the dataset and prepare it again"
    )]
    NewerFormat {
        /// The dataset.
        place: String,
        /// Its version.
        found: u32,
        /// The newest this build reads.
        known: u32,
    },
    /// A file is missing or shorter or longer than the manifest says.
    #[error("{file} {found}, the manifest says {expected} bytes. Delete the dataset and prepare it again")]
    Truncated {
        /// The file.
        file: String,
        /// What was found: "has 17 bytes", "is missing".
        found: String,
        /// Bytes it should have.
        expected: u64,
    },
    /// A file's bytes changed.
    #[error(
        "{file} is damaged: its CRC-32 is {found:08x}, the manifest says {expected:08x}. \
         Delete the dataset and prepare it again"
    )]
    Checksum {
        /// The file.
        file: String,
        /// CRC-32 of its bytes.
        found: u32,
        /// CRC-32 in the manifest.
        expected: u32,
    },
    /// A column is missing or of another type.
    #[error("{file} has no usable column `{column}`: {why}. Delete the dataset and prepare it again")]
    Column {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// What is wrong with it.
        why: String,
    },
    /// Values that cannot be: an item index out of range, lists of different lengths, …
    #[error("{file}, row {row}: {why}. Delete the dataset and prepare it again")]
    BadRow {
        /// The file.
        file: String,
        /// The row within the dataset.
        row: u64,
        /// What is wrong.
        why: String,
    },
    /// Not Parquet, or damaged inside.
    #[error("{file} cannot be read as Parquet: {source}. Delete the dataset and prepare it again")]
    Parquet {
        /// The file.
        file: String,
        /// What the reader says.
        source: parquet::errors::ParquetError,
    },
    /// No shard plan can be made.
    #[error("no shard plan can be made: {why}")]
    NoPlan {
        /// Which setting stands in the way.
        why: String,
    },
    /// The storage did not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A reader could not be started, broke off, or was asked for more than there is.
    #[error("the background reader stopped: {why}")]
    ReaderStopped {
        /// Why.
        why: String,
    },
    /// An audit record that cannot be read.
    #[error("the audit record {file} cannot be read at byte {at}: {why}")]
    AuditRecord {
        /// The file.
        file: String,
        /// Byte at which it stops making sense.
        at: usize,
        /// What is wrong.
        why: String,
    },
}

/// Codes of this crate and what they mean.
pub const CODES: &[(&str, &str)] = &[
    ("TW2101", "the directory is not a dataset: it has no manifest"),
    ("TW2102", "the dataset's manifest cannot be read or contradicts itself"),
    ("TW2103", "the dataset was written by a later version"),
    ("TW2104", "a file of the dataset is missing or of another size"),
    ("TW2105", "a file of the dataset is damaged"),
    ("TW2106", "a column of the dataset is missing or of another type"),
    ("TW2107", "a row of the dataset has impossible values"),
    ("TW2108", "a file of the dataset is not Parquet or damaged inside"),
    ("TW2109", "the background reader could not be started or broke off"),
    ("TW2110", "an audit record cannot be read"),
    ("TW2111", "no shard plan can be made of these settings and this dataset"),
];

impl DatasetError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            DatasetError::NotADataset { .. } => "TW2101",
            DatasetError::BadManifest { .. } => "TW2102",
            DatasetError::NewerFormat { .. } => "TW2103",
            DatasetError::Truncated { .. } => "TW2104",
            DatasetError::Checksum { .. } => "TW2105",
            DatasetError::Column { .. } => "TW2106",
            DatasetError::BadRow { .. } => "TW2107",
            DatasetError::Parquet { .. } => "TW2108",
            DatasetError::NoPlan { .. } => "TW2111",
            DatasetError::Storage(error) => error.code(),
            DatasetError::ReaderStopped { .. } => "TW2109",
            DatasetError::AuditRecord { .. } => "TW2110",
        }
    }

    /// Whether the person asking made a mistake: named a place where no dataset is, or settings
    /// that cannot be had with it. A dataset that is damaged is none.
    pub fn is_user_mistake(&self) -> bool {
        match self {
            DatasetError::NotADataset { .. } | DatasetError::NoPlan { .. } => true,
            DatasetError::Storage(error) => error.is_user_mistake(),
            DatasetError::BadManifest { .. }
            | DatasetError::NewerFormat { .. }
            | DatasetError::Truncated { .. }
            | DatasetError::Checksum { .. }
            | DatasetError::Column { .. }
            | DatasetError::BadRow { .. }
            | DatasetError::Parquet { .. }
            | DatasetError::ReaderStopped { .. }
            | DatasetError::AuditRecord { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_every_error_has_one_of_them() {
        let listed: BTreeSet<&str> = CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(listed.len(), CODES.len());
        let file = || "file".to_owned();
        let (why, place) = (file, file);
        let errors = [
            DatasetError::NotADataset { place: place() },
            DatasetError::BadManifest { place: place(), why: why() },
            DatasetError::NewerFormat { place: place(), found: 2, known: 1 },
            DatasetError::Truncated { file: file(), found: why(), expected: 1 },
            DatasetError::Checksum { file: file(), found: 1, expected: 2 },
            DatasetError::Column { file: file(), column: file(), why: why() },
            DatasetError::BadRow { file: file(), row: 1, why: why() },
            DatasetError::Parquet { file: file(), source: parquet::errors::ParquetError::EOF(why()) },
            DatasetError::ReaderStopped { why: why() },
            DatasetError::AuditRecord { file: file(), at: 1, why: why() },
            DatasetError::NoPlan { why: why() },
        ];
        assert_eq!(errors.iter().map(DatasetError::code).collect::<BTreeSet<_>>(), listed);
        let mistakes: Vec<&str> =
            errors.iter().filter(|error| error.is_user_mistake()).map(DatasetError::code).collect();
        assert_eq!(mistakes, ["TW2101", "TW2111"], "damage is nobody's mistake");
    }
}
