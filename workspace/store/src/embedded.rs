//! The store in a file of this machine.

mod following;
mod tables;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use redb::Database;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::time::sleep;

use self::following::{Following, KEPT, Shout};
use self::tables::{Entries, Outcome, OwnedWrite};
use crate::error::StoreError;
use crate::lease::{Lease, LeaseId, Standing};
use crate::metadata::{MetadataStore, Swap, Version, Versioned, Write};
use crate::watch::Watch;

/// A metadata store in one file of this machine, for one coordinator at a time.
///
/// A write is synced before it is acknowledged. After an I/O error (a full disk) the file is
/// opened anew by the next call: redb refuses to go on with what it holds in memory.
///
/// A lock on the file keeps other processes out, until the last clone and the last watch of this
/// one are gone. So a lease never runs out while its holder lives; what a process that died held is
/// removed when the next one opens the file.
#[derive(Clone, Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    state: Mutex<State>,
    shouts: broadcast::Sender<Shout>,
}

#[derive(Debug, Default)]
struct State {
    /// None: to be opened by the next call.
    database: Option<Database>,
    leases: BTreeSet<LeaseId>,
    last_lease: i64,
}

/// What a call works on, with nobody beside it.
struct Opened<'a> {
    database: &'a Database,
    leases: &'a BTreeSet<LeaseId>,
    shouts: &'a broadcast::Sender<Shout>,
}

impl Embedded {
    /// Opens the store in `path`, which is created with its directory when it is not there.
    ///
    /// # Errors
    /// Another process has it open; it is no such store; I/O errors.
    pub async fn open(path: &Path) -> Result<Embedded, StoreError> {
        let (shouts, _) = broadcast::channel(KEPT);
        let shared = Shared { path: path.to_owned(), state: Mutex::default(), shouts };
        let store = Embedded { shared: Arc::new(shared) };
        // The file is this process's alone: whoever held these leases is gone.
        store.run(|open| tables::end_leases(open.database, |_| true)).await?;
        Ok(store)
    }

    /// Runs `work` on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(Opened<'_>) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let working = tokio::task::spawn_blocking(move || store.run_blocking(work));
        working.await.unwrap_or_else(|error| Err(self.unavailable(error.to_string())))
    }

    /// One at a time: so shouts are in the order of versions.
    fn run_blocking<T>(
        &self,
        work: impl FnOnce(Opened<'_>) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let shared = &*self.shared;
        let mut state = self.state();
        let open = match state.database.take() {
            Some(open) => open,
            None => tables::create(&shared.path).map_err(|error| self.explain(error))?,
        };
        let outcome = work(Opened { database: &open, leases: &state.leases, shouts: &shared.shouts });
        if matches!(outcome, Err(redb::Error::Io(_) | redb::Error::PreviousIo)) {
            let _ = shared.shouts.send(Shout::Trouble);
        } else {
            state.database = Some(open);
        }
        outcome.map_err(|error| self.explain(error))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic while holding the lock cannot leave half a write: transactions are atomic.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn snapshot(&self, prefix: &str) -> Result<(Version, Entries), StoreError> {
        let prefix = prefix.to_owned();
        self.run(move |open| tables::range(open.database, &prefix)).await
    }

    /// Ends a lease: it is no good for writes any more, and its keys are gone.
    async fn end(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.state().leases.remove(&lease);
        self.run(move |open| {
            let (version, keys) = tables::end_leases(open.database, |other| other == lease)?;
            for key in keys {
                let _ = open.shouts.send(Shout::Change { key, version, value: None });
            }
            Ok(())
        })
        .await
    }

    fn unavailable(&self, reason: String) -> StoreError {
        StoreError::Unavailable { place: self.place(), reason }
    }

    fn place(&self) -> String {
        self.shared.path.display().to_string()
    }

    fn explain(&self, error: redb::Error) -> StoreError {
        let place = self.place();
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
        self.run(move |open| tables::get(open.database, &key)).await
    }

    async fn write(&self, write: Write<'_>) -> Result<Swap, StoreError> {
        write.check()?;
        let wanted = OwnedWrite::from(write);
        let outcome = self.run(move |open| {
            let outcome = tables::write(open.database, open.leases, &wanted)?;
            if let Outcome::Swap(Swap::Done(version)) = outcome {
                let value = wanted.value.map(Arc::from);
                let _ = open.shouts.send(Shout::Change { key: wanted.key, version, value });
            }
            Ok(outcome)
        });
        match outcome.await? {
            Outcome::Swap(swap) => Ok(swap),
            Outcome::LeaseLost => Err(StoreError::LeaseLost { key: write.key.to_owned() }),
            Outcome::Deposed => Err(write.deposed()),
        }
    }

    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError> {
        Ok(self.snapshot(prefix).await?.1)
    }

    async fn watch(&self, prefix: &str) -> Result<Watch, StoreError> {
        let shouts = self.shared.shouts.subscribe();
        let (told, snapshot) = self.snapshot(prefix).await?;
        let (store, prefix) = (self.clone(), prefix.to_owned());
        Ok(Watch::new(Following { store, prefix, shouts, snapshot: Some(snapshot), told }.updates()))
    }

    async fn lease(&self, ttl: Duration) -> Result<Lease, StoreError> {
        let id = {
            let mut state = self.state();
            state.last_lease += 1;
            let id = LeaseId(state.last_lease);
            state.leases.insert(id);
            id
        };
        let (standing, told) = watch::channel(Standing::Held);
        // Does not hold the store open: whoever opens it next ends the lease.
        let shared = Arc::downgrade(&self.shared);
        Ok(Lease::new(id, ttl, told, |released| keep(shared, id, standing, released)))
    }
}

async fn keep(
    shared: Weak<Shared>,
    lease: LeaseId,
    standing: watch::Sender<Standing>,
    released: oneshot::Receiver<()>,
) -> Result<(), StoreError> {
    // Both ways of ending are the same: the holder has let go.
    let _ = released.await;
    standing.send_replace(Standing::Lost);
    while let Some(shared) = shared.upgrade() {
        let ended = Embedded { shared }.end(lease).await;
        match ended {
            Err(error) if error.is_retryable() => sleep(Duration::from_secs(1)).await,
            outcome => return outcome,
        }
    }
    Ok(())
}
