//! Which coordinator leads: who holds one key, under a lease.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tracing::{info, warn};

use crate::error::StoreError;
use crate::fenced::Fenced;
use crate::lease::Lease;
use crate::metadata::{Fence, MetadataStore, Swap, Version, Versioned, Write};
use crate::watch::{Update, Watch};

/// How long a candidate waits before it tries a store again that it could not reach.
const PAUSE: Duration = Duration::from_millis(500);

/// An election of one leader: whoever has created the key. Its value is the leader's address.
#[derive(Clone)]
pub struct Election {
    store: Arc<dyn MetadataStore>,
    key: String,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Where to reach it.
    pub address: String,
    /// The fencing token: each leader's is greater than those before it.
    pub term: Version,
}

impl Leader {
    fn of(versioned: &Versioned) -> Leader {
        let address = String::from_utf8_lossy(&versioned.value).into_owned();
        Leader { address, term: versioned.version }
    }
}

impl Election {
    /// The election for `key`, such as `leader`.
    pub fn new(store: Arc<dyn MetadataStore>, key: impl Into<String>) -> Election {
        Election { store, key: key.into() }
    }

    /// Waits until this candidate leads, however long that takes, also while the store is out of
    /// reach. When the wait is given up, it does not stand any more.
    ///
    /// Others find the leader at `address`. They take over when it has not been heard of for
    /// `ttl`.
    ///
    /// # Errors
    /// Those that time does not mend.
    pub async fn campaign(&self, address: &str, ttl: Duration) -> Result<Leadership, StoreError> {
        loop {
            match self.stand(address, ttl).await {
                Ok(Some(leadership)) => return Ok(leadership),
                Ok(None) => {}
                Err(error) if error.is_retryable() => {
                    warn!("standing for election again: {error}");
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Stands with one lease, to its end. A creation in doubt is undone with the lease: only this
    /// one bears it.
    async fn stand(&self, address: &str, ttl: Duration) -> Result<Option<Leadership>, StoreError> {
        let lease = self.store.lease(ttl).await?;
        let mut observer = self.observe().await?;
        loop {
            tokio::select! {
                () = lease.lost() => return Ok(None),
                vacant = observer.vacant() => vacant?,
            }
            let write = Write::put(&self.key, None, address.as_bytes()).under(&lease);
            match self.store.write(write).await {
                Ok(Swap::Done(version)) => {
                    info!(key = self.key, address, term = version.0, "elected");
                    let fence = Fence { key: self.key.clone(), version };
                    return Ok(Some(Leadership { election: self.clone(), fence, lease, observer: None }));
                }
                // Somebody was faster, which the observer is going to see.
                Ok(Swap::Conflict(_)) => observer.leader = None,
                Err(StoreError::LeaseLost { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Who leads now.
    pub async fn leader(&self) -> Result<Option<Leader>, StoreError> {
        Ok(self.store.get(&self.key).await?.as_ref().map(Leader::of))
    }

    /// Who leads, and every change of that.
    pub async fn observe(&self) -> Result<Observer, StoreError> {
        let watch = self.store.watch(&self.key).await?;
        Ok(Observer { key: self.key.clone(), watch, leader: None })
    }
}

/// Follows who leads.
pub struct Observer {
    key: String,
    watch: Watch,
    /// What was told last: nothing yet, that nobody leads, or who.
    leader: Option<Option<Leader>>,
}

impl Observer {
    /// Who leads: at first at once, then whenever that changes. `None` in it is that nobody does.
    /// Ends after an error, as a [`Watch`] does.
    pub async fn next(&mut self) -> Option<Result<Option<Leader>, StoreError>> {
        loop {
            let leader = match self.watch.next().await? {
                Ok(update) => match self.leader_in(update) {
                    Some(leader) => leader,
                    None => continue,
                },
                Err(error) => return Some(Err(error)),
            };
            if self.leader.as_ref() != Some(&leader) {
                self.leader = Some(leader.clone());
                return Some(Ok(leader));
            }
        }
    }

    /// What an update says about the one key: a watch is told of longer ones too.
    fn leader_in(&self, update: Update) -> Option<Option<Leader>> {
        match update {
            Update::Snapshot(all) => {
                let found = all.iter().find(|(key, _)| *key == self.key);
                Some(found.map(|(_, versioned)| Leader::of(versioned)))
            }
            Update::Put(key, versioned) if key == self.key => Some(Some(Leader::of(&versioned))),
            Update::Deleted(key, _) if key == self.key => Some(None),
            Update::Put(..) | Update::Deleted(..) => None,
        }
    }

    /// Waits until nobody leads.
    async fn vacant(&mut self) -> Result<(), StoreError> {
        while self.leader != Some(None) {
            self.told().await?;
        }
        Ok(())
    }

    async fn told(&mut self) -> Result<Option<Leader>, StoreError> {
        match self.next().await {
            Some(told) => told,
            None => Err(StoreError::Unavailable {
                place: format!("key `{}`", self.key),
                reason: "the watch has ended".into(),
            }),
        }
    }
}

/// Being the leader, until it is dropped, resigned or lost. A process that ends right after it
/// should resign: dropping lets go in the background.
///
/// A leader cannot know at every moment whether it still is one: it may have been stopped for a
/// minute without noticing. So what it writes as the leader goes through [`Leadership::store`],
/// where the store itself refuses the writes of those who lead no longer.
pub struct Leadership {
    election: Election,
    fence: Fence,
    lease: Lease,
    /// Opened by the first wait.
    observer: Option<Observer>,
}

impl Leadership {
    /// The fencing token: each leader's is greater than those before it.
    pub fn term(&self) -> Version {
        self.fence.version
    }

    /// What holds as long as this one leads.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// The store, to write to as the leader.
    pub fn store(&self) -> Fenced {
        Fenced::new(Arc::clone(&self.election.store), self.fence.clone())
    }

    /// Whether another may lead by now, as far as this process's clock tells. True at once in a
    /// process that was stopped for too long.
    pub fn is_lost(&self) -> bool {
        self.lease.is_lost()
    }

    /// Waits until another may lead: the lease has run out, or somebody has deleted the key.
    pub async fn lost(&mut self) {
        tokio::select! {
            () = self.lease.lost() => {}
            () = replaced(&self.election, self.fence.version, &mut self.observer) => {}
        }
    }

    /// Lets another lead at once.
    ///
    /// # Errors
    /// The store could not be told: another leads after the lease's time.
    pub async fn resign(self) -> Result<(), StoreError> {
        self.lease.revoke().await
    }
}

/// Waits until it is not the leader of `term` who leads.
async fn replaced(election: &Election, term: Version, observer: &mut Option<Observer>) {
    loop {
        let observer = match observer {
            Some(observer) => observer,
            None => match election.observe().await {
                Ok(opened) => observer.insert(opened),
                Err(error) if error.is_retryable() => {
                    sleep(PAUSE).await;
                    continue;
                }
                Err(_) => return,
            },
        };
        match observer.next().await {
            Some(Ok(Some(leader))) if leader.term == term => {}
            _ => return,
        }
    }
}
