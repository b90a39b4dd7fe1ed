//! Trying again: one attempt is bounded, and so are all of them.

use std::time::Duration;

use etcd_client::Client;
use tokio::time::{Instant, sleep};

use super::Etcd;
use super::trouble::Trouble;

const FIRST_PAUSE: Duration = Duration::from_millis(25);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses that grow, and are never the same for two clients.
pub(super) struct Pauses {
    next: Duration,
}

impl Pauses {
    pub(super) fn new() -> Pauses {
        Pauses { next: FIRST_PAUSE }
    }

    /// How long to wait before the next attempt.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::random_range(0.5..1.5));
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// The attempts at one call.
pub(super) struct Attempts<'a> {
    etcd: &'a Etcd,
    /// When patience is at an end.
    end: Instant,
    pauses: Pauses,
}

impl<'a> Attempts<'a> {
    pub(super) fn new(etcd: &'a Etcd) -> Attempts<'a> {
        Attempts { etcd, end: Instant::now() + etcd.patience, pauses: Pauses::new() }
    }

    /// One attempt.
    pub(super) async fn run<T, F>(&self, call: impl FnOnce(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let limit = self.etcd.attempt_limit().min(self.end - Instant::now());
        let members = &self.etcd.members;
        members.attempt(members.current(), limit, call).await
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// The trouble is none that passes, or patience is at an end.
    pub(super) async fn pause_after(&mut self, trouble: Trouble) -> Result<(), Trouble> {
        let pause = self.pauses.next();
        if !matches!(trouble, Trouble::Passing { .. }) || Instant::now() + pause >= self.end {
            return Err(trouble);
        }
        sleep(pause).await;
        Ok(())
    }
}

impl Etcd {
    /// How long one attempt may take: so that there are several, on different members.
    pub(super) fn attempt_limit(&self) -> Duration {
        self.patience / 4
    }

    /// A call that may be made any number of times.
    pub(super) async fn retried<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = Result<T, etcd_client::Error>>,
    {
        let mut attempts = Attempts::new(self);
        loop {
            match attempts.run(&call).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => attempts.pause_after(trouble).await?,
            }
        }
    }
}
