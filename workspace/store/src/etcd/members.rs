//! The members of the cluster: calls go to one until it fails, then to the next.
//!
//! etcd-client can spread calls over all members, but knows nothing of one that is frozen: that
//! one takes its share of the calls for ever, and keeps each until it times out. So there is a
//! client for each member here, and a member that failed is left alone until all others have.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::trouble::Trouble;

pub(super) struct Members {
    all: Vec<Member>,
    options: ConnectOptions,
    current: AtomicUsize,
}

struct Member {
    endpoint: String,
    /// Made by the first call: that logs in, if there is a user.
    client: OnceCell<Client>,
}

impl Members {
    pub(super) fn new(endpoints: Vec<String>, options: ConnectOptions) -> Members {
        // Not all clients begin with the same.
        let current = AtomicUsize::new(rand::random_range(0..endpoints.len().max(1)));
        let all =
            endpoints.into_iter().map(|endpoint| Member { endpoint, client: OnceCell::new() }).collect();
        Members { all, options, current }
    }

    /// The member that calls go to.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed) % self.all.len()
    }

    /// One attempt at a call.
    pub(super) async fn attempt<T, F>(
        &self,
        member: usize,
        limit: Duration,
        call: impl FnOnce(Client) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let calling = async {
            let client = self.client(member).await?;
            match call(client.clone()).await.map_err(Trouble::from) {
                Err(Trouble::OldToken(reason)) => {
                    client.refresh_token().await?;
                    Err(Trouble::Passing { reason, maybe_done: false })
                }
                outcome => outcome,
            }
        };
        let outcome = timeout(limit, calling).await.unwrap_or_else(|_| Err(Trouble::too_late()));
        if matches!(outcome, Err(Trouble::Passing { .. })) {
            self.leave(member);
        }
        outcome
    }

    async fn client(&self, member: usize) -> Result<Client, Trouble> {
        let Member { endpoint, client } = &self.all[member];
        let connecting = || Client::connect([endpoint], Some(self.options.clone()));
        Ok(client.get_or_try_init(connecting).await?.clone())
    }

    /// Lets a member's client get a new token for its user.
    pub(super) async fn log_in_again(&self, member: usize, limit: Duration) -> Result<(), Trouble> {
        self.attempt(member, limit, |client| async move { client.refresh_token().await }).await
    }

    /// Lets the next calls go to another member, unless they do already.
    pub(super) fn leave(&self, member: usize) {
        let next = (member + 1) % self.all.len();
        let _ = self.current.compare_exchange(member, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}
