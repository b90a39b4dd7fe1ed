//! Leases of etcd, and what keeps them alive.
//!
//! A stream of keep-alives can hang without a word. So each keep-alive is a stream of its own, with
//! a time-out of its own, on whichever member answers: three times in the life of a lease, and
//! again at once when one fails, so that each of three members is asked in time.

use std::time::Duration;

use etcd_client::Client;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::Etcd;
use super::retry::Pauses;
use super::trouble::Trouble;
use crate::error::StoreError;
use crate::lease::{Lease, LeaseId, Standing};

pub(super) async fn lease(etcd: &Etcd, ttl: Duration) -> Result<Lease, StoreError> {
    // Whole seconds, rounded up.
    let seconds = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1);
    // A grant whose answer is lost is a lease without keys: it runs out, and nobody notices.
    let granting = etcd.retried(|client| async move {
        let asked = Instant::now();
        Ok((asked, client.lease_client().grant(seconds, None).await?))
    });
    let (asked, granted) = granting.await.map_err(|trouble| trouble.explain(&etcd.place, ""))?;
    // etcd grants no less than it needs to elect a leader.
    let ttl = Duration::from_secs(u64::try_from(granted.ttl()).unwrap_or(1));
    let (standing, told) = watch::channel(Standing::Until(asked + ttl));
    let keeper = Keeper { etcd: etcd.clone(), id: granted.id(), ttl, until: asked + ttl, standing };
    Ok(Lease::new(LeaseId(granted.id()), ttl, told, |released| keeper.run(released)))
}

struct Keeper {
    etcd: Etcd,
    id: i64,
    ttl: Duration,
    /// When etcd may let go of it.
    until: Instant,
    standing: watch::Sender<Standing>,
}

impl Keeper {
    async fn run(mut self, released: oneshot::Receiver<()>) -> Result<(), StoreError> {
        tokio::select! {
            // Both ways of ending are the same: the holder has let go.
            _ = released => self.revoke().await,
            trouble = self.keep_alive() => {
                warn!(store = self.etcd.place, "a lease was lost: {trouble:?}");
                self.standing.send_replace(Standing::Lost);
                Ok(())
            }
        }
    }

    /// Keeps it alive until it is lost, and says why it was.
    async fn keep_alive(&mut self) -> Trouble {
        loop {
            sleep(self.ttl / 3).await;
            let mut pauses = Pauses::new();
            while let Err(trouble) = self.once().await {
                let pause = pauses.next();
                let is_late = Instant::now() + pause >= self.until;
                if is_late || !matches!(trouble, Trouble::Passing { .. }) {
                    return trouble;
                }
                debug!(store = self.etcd.place, "a lease is kept alive again after {trouble:?}");
                sleep(pause).await;
            }
        }
    }

    async fn once(&mut self) -> Result<(), Trouble> {
        let asked = Instant::now();
        let limit = self.etcd.attempt_limit().min(self.ttl / 6).min(self.until - asked);
        let id = self.id;
        let keeping = |client: Client| async move { client.lease_client().keep_alive(id).await };
        let members = &self.etcd.members;
        members.attempt(members.current(), limit, keeping).await?;
        self.until = asked + self.ttl;
        self.standing.send_replace(Standing::Until(self.until));
        Ok(())
    }

    async fn revoke(&self) -> Result<(), StoreError> {
        self.standing.send_replace(Standing::Lost);
        let id = self.id;
        match self.etcd.retried(|client| async move { client.lease_client().revoke(id).await }).await {
            Ok(_) | Err(Trouble::NoLease) => Ok(()),
            Err(trouble) => Err(trouble.explain(&self.etcd.place, "")),
        }
    }
}
