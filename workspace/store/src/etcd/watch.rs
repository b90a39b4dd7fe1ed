//! Watches of etcd: opened anew from where they were, on whichever member answers.

use etcd_client::{Client, EventType, WatchOptions, WatchResponse};
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc::{self, Sender, error::TrySendError};
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::Etcd;
use super::range::{end_of, snapshot, stamped, version};
use super::retry::{LONGEST_PAUSE, Pauses};
use super::trouble::Trouble;
use crate::error::StoreError;
use crate::watch::{Update, Watch};

/// Updates that wait for their reader. When there are more, the stream from etcd is closed until
/// the reader has caught up: unread, it would hold up all other calls on the same connection.
const WAITING: usize = 256;

pub(super) async fn watch(etcd: &Etcd, prefix: &str) -> Result<Watch, StoreError> {
    let (revision, entries) = snapshot(etcd, prefix).await?;
    let (to, mut updates) = mpsc::channel(WAITING);
    let (etcd, prefix) = (etcd.clone(), prefix.to_owned());
    let (next, pauses) = (revision + 1, Pauses::new());
    let mut follower = Follower { etcd, prefix, next, to, pauses, member: 0, token_is_new: false };
    tokio::spawn(async move {
        let reader = follower.to.clone();
        tokio::select! {
            // Nobody reads any more.
            () = reader.closed() => {}
            error = follower.run() => drop(reader.send(Err(error)).await),
        }
    });
    let first = stream::iter([Ok(Update::Snapshot(entries))]);
    Ok(Watch::new(first.chain(stream::poll_fn(move |context| updates.poll_recv(context)))))
}

/// Why a stream from etcd is not read any further.
enum End {
    /// The reader was behind, and is no longer.
    CaughtUp,
    /// It broke.
    Trouble(Trouble),
}

struct Follower {
    etcd: Etcd,
    prefix: String,
    /// The first revision whose changes were not passed on.
    next: i64,
    to: Sender<Result<Update, StoreError>>,
    pauses: Pauses,
    /// The one that it last was on.
    member: usize,
    /// Whether the last thing done about being denied was to log in again.
    token_is_new: bool,
}

impl Follower {
    /// Passes on what changes until there is an error that time does not mend.
    async fn run(&mut self) -> StoreError {
        loop {
            let opened = Instant::now();
            let trouble = match self.stream().await {
                End::CaughtUp => continue,
                End::Trouble(trouble) => trouble,
            };
            if opened.elapsed() > LONGEST_PAUSE {
                self.pauses = Pauses::new();
            }
            debug!(
                store = self.etcd.place,
                prefix = self.prefix,
                "a watch is opened again after {trouble:?}"
            );
            match trouble {
                Trouble::Passing { .. } => {
                    self.etcd.members.leave(self.member);
                    sleep(self.pauses.next()).await;
                }
                Trouble::Compacted => match self.begin_again().await {
                    Ok(()) => {}
                    Err(error) if error.is_retryable() => sleep(self.pauses.next()).await,
                    Err(error) => return error,
                },
                // To a watch, etcd 3.4 says so of a token that is merely old.
                Trouble::Denied(_) if !self.token_is_new => {
                    self.token_is_new = true;
                    let limit = self.etcd.attempt_limit();
                    if let Err(trouble) = self.etcd.members.log_in_again(self.member, limit).await {
                        debug!(store = self.etcd.place, "no new token: {trouble:?}");
                    }
                }
                trouble => return trouble.explain(&self.etcd.place, &self.prefix),
            }
        }
    }

    /// Reads one stream of changes to its end.
    async fn stream(&mut self) -> End {
        let prefix = self.etcd.full(&self.prefix);
        let options = WatchOptions::new().with_range(end_of(&prefix)).with_start_revision(self.next);
        let opening = |client: Client| async move {
            let mut watching = client.watch_client().max_decoding_message_size(usize::MAX);
            watching.watch(prefix, Some(options)).await
        };
        let (members, limit) = (&self.etcd.members, self.etcd.attempt_limit());
        self.member = members.current();
        let mut stream = match members.attempt(self.member, limit, opening).await {
            Ok(stream) => stream,
            Err(trouble) => return End::Trouble(trouble),
        };
        loop {
            let changes = match stream.message().await {
                Ok(Some(answer)) if answer.canceled() => return End::Trouble(cancelled(&answer)),
                Ok(Some(answer)) => answer,
                Ok(None) => return End::Trouble(passing("the stream ended")),
                Err(error) => return End::Trouble(error.into()),
            };
            self.token_is_new = false;
            match self.updates(&changes) {
                Ok(updates) => {
                    if let Err(rest) = self.offer(updates) {
                        drop(stream);
                        self.wait_for_reader(rest).await;
                        return End::CaughtUp;
                    }
                }
                Err(trouble) => return End::Trouble(trouble),
            }
        }
    }

    /// What a message says; from here on, it counts as passed on.
    fn updates(&mut self, changes: &WatchResponse) -> Result<Vec<Update>, Trouble> {
        let mut updates = Vec::new();
        for event in changes.events() {
            let Some(pair) = event.kv() else { continue };
            let key = self.etcd.bare(pair.key())?;
            updates.push(match event.event_type() {
                EventType::Put => Update::Put(key, stamped(pair.clone()).versioned),
                EventType::Delete => Update::Deleted(key, version(pair.mod_revision())),
            });
            self.next = self.next.max(pair.mod_revision() + 1);
        }
        Ok(updates)
    }

    /// Gives the reader what it has room for, and back what it has not.
    fn offer(&self, updates: Vec<Update>) -> Result<(), Vec<Update>> {
        let mut updates = updates.into_iter();
        while let Some(update) = updates.next() {
            match self.to.try_send(Ok(update)) {
                // Without a reader, all this ends soon.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                Err(TrySendError::Full(update)) => return Err(update.into_iter().chain(updates).collect()),
            }
        }
        Ok(())
    }

    async fn wait_for_reader(&self, updates: Vec<Update>) {
        for update in updates {
            let _ = self.to.send(Ok(update)).await;
        }
    }

    /// Changes were compacted away before they were read.
    async fn begin_again(&mut self) -> Result<(), StoreError> {
        let (revision, entries) = snapshot(&self.etcd, &self.prefix).await?;
        self.wait_for_reader(vec![Update::Snapshot(entries)]).await;
        self.next = revision + 1;
        Ok(())
    }
}

fn passing(reason: &str) -> Trouble {
    Trouble::Passing { reason: reason.to_owned(), maybe_done: false }
}

/// Why etcd ended a watch.
fn cancelled(answer: &WatchResponse) -> Trouble {
    match answer.cancel_reason() {
        _ if answer.compact_revision() > 0 => Trouble::Compacted,
        reason if reason.contains("permission denied") || reason.contains("auth token") => {
            Trouble::Denied(reason.to_owned())
        }
        reason => passing(reason),
    }
}
