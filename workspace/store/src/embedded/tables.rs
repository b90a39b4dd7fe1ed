//! What lies in the file, and the transactions on it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition, WriteTransaction,
};

use crate::lease::LeaseId;
use crate::metadata::{Fence, Swap, Version, Versioned, Write};

/// Key -> version, value.
const VALUES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("values");
/// The number of writes so far, from which versions are taken: one row.
const WRITES: TableDefinition<'_, (), u64> = TableDefinition::new("writes");
/// Key -> the lease it is under.
const LEASED: TableDefinition<'_, &str, i64> = TableDefinition::new("leased");

/// Keys with their values.
pub(super) type Entries = Vec<(String, Versioned)>;

/// A [`Write`] that can go to another thread.
pub(super) struct OwnedWrite {
    pub(super) key: String,
    pub(super) expected: Option<Version>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) lease: Option<LeaseId>,
    pub(super) fence: Option<Fence>,
}

impl From<Write<'_>> for OwnedWrite {
    fn from(write: Write<'_>) -> OwnedWrite {
        OwnedWrite {
            key: write.key.to_owned(),
            expected: write.expected,
            value: write.value.map(<[u8]>::to_owned),
            lease: write.lease,
            fence: write.fence.cloned(),
        }
    }
}

/// What became of a write.
pub(super) enum Outcome {
    Swap(Swap),
    /// The fence no longer holds.
    Deposed,
    /// There is no such lease.
    LeaseLost,
}

pub(super) fn create(path: &Path) -> Result<Database, redb::Error> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(redb::Error::Io)?;
    }
    let database = Database::create(path).map_err(|error| match error {
        // A file that is no database is told as an I/O error of this kind.
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
            redb::Error::Corrupted(error.to_string())
        }
        error => error.into(),
    })?;
    // All tables exist from the beginning, so that reads need not care.
    let write = database.begin_write()?;
    write.open_table(VALUES)?;
    write.open_table(WRITES)?;
    write.open_table(LEASED)?;
    write.commit()?;
    Ok(database)
}

pub(super) fn get(database: &Database, key: &str) -> Result<Option<Versioned>, redb::Error> {
    let values = database.begin_read()?.open_table(VALUES)?;
    Ok(values.get(key)?.map(|found| versioned(found.value())))
}

/// What begins with `prefix`, and the last write that it has seen.
pub(super) fn range(database: &Database, prefix: &str) -> Result<(Version, Entries), redb::Error> {
    let read = database.begin_read()?;
    let values = read.open_table(VALUES)?;
    let mut found = Vec::new();
    for entry in values.range(prefix..)? {
        let (key, value) = entry?;
        if !key.value().starts_with(prefix) {
            break;
        }
        found.push((key.value().to_owned(), versioned(value.value())));
    }
    let writes = read.open_table(WRITES)?.get(())?.map_or(0, |writes| writes.value());
    Ok((Version(writes), found))
}

pub(super) fn write(
    database: &Database,
    leases: &BTreeSet<LeaseId>,
    wanted: &OwnedWrite,
) -> Result<Outcome, redb::Error> {
    let write = database.begin_write()?;
    {
        let values = write.open_table(VALUES)?;
        let present = |key: &str| -> Result<Option<Versioned>, redb::Error> {
            Ok(values.get(key)?.map(|found| versioned(found.value())))
        };
        if let Some(fence) = &wanted.fence
            && present(&fence.key)?.is_none_or(|leader| leader.version != fence.version)
        {
            return Ok(Outcome::Deposed);
        }
        let present = present(&wanted.key)?;
        if present.as_ref().map(|present| present.version) != wanted.expected {
            return Ok(Outcome::Swap(Swap::Conflict(present)));
        }
    }
    // A deletion is under none.
    let lease = wanted.lease.filter(|_| wanted.value.is_some());
    if lease.is_some_and(|lease| !leases.contains(&lease)) {
        return Ok(Outcome::LeaseLost);
    }
    let version = next_version(&write)?;
    let key = wanted.key.as_str();
    match &wanted.value {
        Some(value) => write.open_table(VALUES)?.insert(key, (version.0, value.as_slice())).map(drop)?,
        None => write.open_table(VALUES)?.remove(key).map(drop)?,
    }
    match lease {
        Some(lease) => write.open_table(LEASED)?.insert(key, lease.0).map(drop)?,
        None => write.open_table(LEASED)?.remove(key).map(drop)?,
    }
    write.commit()?;
    Ok(Outcome::Swap(Swap::Done(version)))
}

/// Removes all keys under leases that are `over`, by one version.
pub(super) fn end_leases(
    database: &Database,
    over: impl Fn(LeaseId) -> bool,
) -> Result<(Version, Vec<String>), redb::Error> {
    let write = database.begin_write()?;
    let keys = {
        let leased = write.open_table(LEASED)?;
        let mut keys = Vec::new();
        for entry in leased.iter()? {
            let (key, lease) = entry?;
            if over(LeaseId(lease.value())) {
                keys.push(key.value().to_owned());
            }
        }
        keys
    };
    if keys.is_empty() {
        return Ok((Version(0), keys));
    }
    let version = next_version(&write)?;
    for key in &keys {
        write.open_table(VALUES)?.remove(key.as_str())?;
        write.open_table(LEASED)?.remove(key.as_str())?;
    }
    write.commit()?;
    Ok((version, keys))
}

fn next_version(write: &WriteTransaction) -> Result<Version, redb::Error> {
    let mut writes = write.open_table(WRITES)?;
    let version = writes.get(())?.map_or(0, |writes| writes.value()) + 1;
    writes.insert((), version)?;
    Ok(Version(version))
}

fn versioned((version, value): (u64, &[u8])) -> Versioned {
    Versioned { version: Version(version), value: value.to_owned() }
}
