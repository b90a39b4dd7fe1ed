use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};

use crate::metadata::{MetadataStore, StoreError, Swap, Version, Versioned, check};

/// Key -> version, value.
const VALUES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("values");
/// The number of writes so far, from which versions are taken: one row.
const WRITES: TableDefinition<'_, (), u64> = TableDefinition::new("writes");

/// A metadata store in one file of this machine, for one coordinator at a time.
///
/// A write is synced before it is acknowledged. After an I/O error (a full disk) the file is
/// opened anew by the next call: redb refuses to go on with what it holds in memory.
#[derive(Clone, Debug)]
pub struct Embedded {
    path: PathBuf,
    database: Arc<Mutex<Option<Database>>>,
}

impl Embedded {
    /// Opens the store in `path`, which is created with its directory when it is not there.
    ///
    /// # Errors
    /// Another process has it open; it is no such store; I/O errors.
    pub async fn open(path: &Path) -> Result<Embedded, StoreError> {
        let store = Embedded { path: path.to_owned(), database: Arc::default() };
        store.run(|_| Ok(())).await?;
        Ok(store)
    }

    /// Runs `work` on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let working = tokio::task::spawn_blocking(move || store.run_blocking(work));
        working.await.unwrap_or_else(|error| Err(self.unavailable(error.to_string())))
    }

    fn run_blocking<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        // A panic while holding the lock cannot leave half a write: transactions are atomic.
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match database.take() {
            Some(open) => open,
            None => self.create().map_err(|error| self.explain(error))?,
        };
        let outcome = work(&open);
        if !matches!(outcome, Err(redb::Error::Io(_) | redb::Error::PreviousIo)) {
            *database = Some(open);
        }
        outcome.map_err(|error| self.explain(error))
    }

    fn create(&self) -> Result<Database, redb::Error> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory).map_err(redb::Error::Io)?;
        }
        let database = Database::create(&self.path).map_err(|error| match error {
            // A file that is no database is told as an I/O error of this kind.
            DatabaseError::Storage(StorageError::Io(error))
                if error.kind() == std::io::ErrorKind::InvalidData =>
            {
                redb::Error::Corrupted(error.to_string())
            }
            error => error.into(),
        })?;
        // Both tables exist from the beginning, so that reads need not care.
        let write = database.begin_write()?;
        write.open_table(VALUES)?;
        write.open_table(WRITES)?;
        write.commit()?;
        Ok(database)
    }

    fn unavailable(&self, reason: String) -> StoreError {
        StoreError::Unavailable { place: self.path.display().to_string(), reason }
    }

    fn explain(&self, error: redb::Error) -> StoreError {
        let place = self.path.display().to_string();
        match error {
            redb::Error::DatabaseAlreadyOpen => StoreError::InUse { place },
            redb::Error::Io(_) | redb::Error::PreviousIo => self.unavailable(error.to_string()),
            error => StoreError::Damaged { place, reason: error.to_string() },
        }
    }
}

#[async_trait]
impl MetadataStore for Embedded {
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
        let key = key.to_owned();
        self.run(move |database| {
            let values = database.begin_read()?.open_table(VALUES)?;
            Ok(values.get(key.as_str())?.map(|found| versioned(found.value())))
        })
        .await
    }

    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: Option<Vec<u8>>,
    ) -> Result<Swap, StoreError> {
        check(key, value.as_deref())?;
        let key = key.to_owned();
        self.run(move |database| {
            let write = database.begin_write()?;
            let version = {
                let mut values = write.open_table(VALUES)?;
                let present = values.get(key.as_str())?.map(|found| versioned(found.value()));
                if present.as_ref().map(|present| present.version) != expected {
                    return Ok(Swap::Conflict(present));
                }
                let mut writes = write.open_table(WRITES)?;
                let version = writes.get(())?.map_or(0, |writes| writes.value()) + 1;
                writes.insert((), version)?;
                match &value {
                    Some(value) => values.insert(key.as_str(), (version, value.as_slice()))?,
                    None => values.remove(key.as_str())?,
                };
                version
            };
            write.commit()?;
            Ok(Swap::Done(Version(version)))
        })
        .await
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError> {
        let prefix = prefix.to_owned();
        self.run(move |database| {
            let values = database.begin_read()?.open_table(VALUES)?;
            let mut found = Vec::new();
            for entry in values.range(prefix.as_str()..)? {
                let (key, value) = entry?;
                if !key.value().starts_with(&prefix) {
                    break;
                }
                found.push((key.value().to_owned(), versioned(value.value())));
            }
            Ok(found)
        })
        .await
    }
}

fn versioned((version, value): (u64, &[u8])) -> Versioned {
    Versioned { version: Version(version), value: value.to_owned() }
}
