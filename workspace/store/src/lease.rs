//! Leases: keys that vanish when their holder is gone.

use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::StoreError;

/// What a [`Write`](crate::Write) names a lease by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub(crate) i64);

/// How sure the holder can be that the store still honours the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// As long as this process lives.
    Held,
    /// Until then, by the holder's clock, unless it is heard of again.
    Until(Instant),
    /// No longer.
    Lost,
}

/// A lease that is held; its keys vanish soon after it is dropped, or its process dies.
///
/// The holder counts from the moment *before* it asked, the store from when it was asked: so the
/// holder believes a lease lost before the store lets another have its keys.
#[derive(Debug)]
pub struct Lease {
    id: LeaseId,
    ttl: Duration,
    standing: watch::Receiver<Standing>,
    /// Dropped when the lease is: what keeps it alive hears that.
    held: Option<oneshot::Sender<()>>,
    keeper: JoinHandle<Result<(), StoreError>>,
}

impl Lease {
    /// A lease that `keep` keeps alive: it revokes the lease when the receiver it is given ends.
    pub(crate) fn new<F>(
        id: LeaseId,
        ttl: Duration,
        standing: watch::Receiver<Standing>,
        keep: impl FnOnce(oneshot::Receiver<()>) -> F,
    ) -> Lease
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let (held, released) = oneshot::channel();
        let keeper = tokio::spawn(keep(released));
        Lease { id, ttl, standing, held: Some(held), keeper }
    }

    /// What writes name it by.
    pub fn id(&self) -> LeaseId {
        self.id
    }

    /// How long its keys stay when its holder is not heard of.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Whether the keys may be gone. True at once in a process that was stopped for too long, also
    /// before it has talked to the store.
    pub fn is_lost(&self) -> bool {
        match *self.standing.borrow() {
            Standing::Held => false,
            Standing::Until(then) => Instant::now() >= then,
            Standing::Lost => true,
        }
    }

    /// Waits until the keys may be gone.
    pub async fn lost(&self) {
        let mut standing = self.standing.clone();
        loop {
            let now = *standing.borrow_and_update();
            let change = async { standing.changed().await.is_ok() };
            let goes_on = match now {
                Standing::Lost => false,
                Standing::Held => change.await,
                Standing::Until(then) => tokio::select! {
                    biased;
                    goes_on = change => goes_on,
                    () = sleep_until(then) => false,
                },
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Gives it up, and waits until its keys are gone.
    ///
    /// # Errors
    /// The store could not be told: the keys vanish by themselves, later.
    pub async fn revoke(mut self) -> Result<(), StoreError> {
        drop(self.held.take());
        match timeout(self.ttl, &mut self.keeper).await {
            Ok(Ok(outcome)) => outcome,
            // The store has forgotten it by now; or the runtime is going down, and it soon will.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }
}
