//! The compare-and-swap, and what to say when an answer was lost.
//!
//! A write is one transaction of etcd: *if* the key has the expected revision (and the fence's key
//! the fence's), put or delete, *else* read both. When its answer is lost, nobody knows whether it
//! happened, or will happen once the network delivers it. It is tried again, which is safe: the
//! first attempt that happens changes the revision that all others compare with. (All but a
//! creation: one that was in doubt could come late, after the key was created and deleted again.)
//!
//! But when an attempt then finds another revision, that may be the doing of an earlier attempt.
//! Saying "conflict" would be wrong, and the caller would do its work twice: a counter would count
//! one too many. So each put carries a stamp, and the history that etcd keeps is read backwards from
//! the present value to the one that was expected:
//!
//! - a value with our stamp: the swap was done, by that revision, even if it is overwritten by now;
//! - the value that directly followed the expected one is another's: the swap was not done, and
//!   never will be;
//! - the history does not say (a deletion, which bears no stamp; a compaction; too much of it): the
//!   swap may have happened, which is what [`StoreError::Unavailable`] means.

use etcd_client::{Compare, CompareOp, DeleteOptions, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};

use super::Etcd;
use super::range::{Stamped, kv, revision_of, stamped, version};
use super::retry::Attempts;
use super::stamp::Stamp;
use super::trouble::Trouble;
use crate::error::StoreError;
use crate::metadata::{Swap, Version, Write};

/// Values that are looked at to find out what became of a write.
const STEPS: usize = 1_000;

pub(super) async fn swap(etcd: &Etcd, write: Write<'_>) -> Result<Swap, StoreError> {
    let stamp = Stamp::new();
    let transaction = transaction(etcd, &write, stamp);
    let mut attempts = Attempts::new(etcd);
    let mut in_doubt = false;
    loop {
        let transaction = transaction.clone();
        let attempt = attempts.run(|client| async move { kv(&client).txn(transaction).await });
        let trouble = match attempt.await {
            Ok(answer) if answer.succeeded() => {
                return Ok(Swap::Done(version(revision_of(answer.header()))));
            }
            Ok(answer) if in_doubt => match settle(etcd, &write, stamp, &answer).await {
                Ok(Settled::Done(version)) => return Ok(Swap::Done(version)),
                Ok(Settled::NotDone) => return refusal(&write, &answer),
                Ok(Settled::Unknown) => {
                    return Err(StoreError::Unavailable {
                        place: etcd.place.clone(),
                        reason: format!(
                            "an answer was lost, and `{}` may or may not have been written",
                            write.key
                        ),
                    });
                }
                Err(trouble) => trouble,
            },
            Ok(answer) => return refusal(&write, &answer),
            Err(trouble) => trouble,
        };
        in_doubt |= matches!(trouble, Trouble::Passing { maybe_done: true, .. });
        let paused = attempts.pause_after(trouble).await;
        paused.map_err(|trouble| trouble.explain(&etcd.place, write.key))?;
    }
}

fn transaction(etcd: &Etcd, write: &Write<'_>, stamp: Stamp) -> Txn {
    let key = etcd.full(write.key);
    let mut conditions =
        vec![Compare::mod_revision(key.as_str(), CompareOp::Equal, expected(write.expected))];
    let mut reads = vec![TxnOp::get(key.as_str(), None)];
    if let Some(fence) = write.fence {
        let leader = etcd.full(&fence.key);
        let revision = expected(Some(fence.version));
        conditions.push(Compare::mod_revision(leader.as_str(), CompareOp::Equal, revision));
        reads.push(TxnOp::get(leader, None));
    }
    let change = match write.value {
        Some(value) => {
            let options = write.lease.map(|lease| PutOptions::new().with_lease(lease.0));
            TxnOp::put(key, stamp.put_on(value), options)
        }
        None => TxnOp::delete(key, Some(DeleteOptions::new())),
    };
    Txn::new().when(conditions).and_then([change]).or_else(reads)
}

/// What etcd compares with: to it, the revision of a key that is not there is 0.
fn expected(version: Option<Version>) -> i64 {
    match version {
        None => 0,
        // No key has it.
        Some(Version(0)) => i64::MAX,
        Some(version) => i64::try_from(version.0).unwrap_or(i64::MAX),
    }
}

/// What an attempt that was refused has read: the key, and whether the fence holds.
fn read(write: &Write<'_>, answer: &TxnResponse) -> (Option<Stamped>, bool) {
    let mut reads = answer.op_responses().into_iter().map(|read| match read {
        TxnOpResponse::Get(mut found) => found.take_kvs().pop(),
        _ => None,
    });
    let present = reads.next().flatten().map(stamped);
    let leader = reads.next().flatten().map(|leader| version(leader.mod_revision()));
    (present, write.fence.is_none_or(|fence| leader == Some(fence.version)))
}

fn refusal(write: &Write<'_>, answer: &TxnResponse) -> Result<Swap, StoreError> {
    match read(write, answer) {
        (_, false) => Err(write.deposed()),
        (present, true) => Ok(Swap::Conflict(present.map(|present| present.versioned))),
    }
}

/// What became of the attempts whose answers were lost.
enum Settled {
    Done(Version),
    NotDone,
    Unknown,
}

async fn settle(
    etcd: &Etcd,
    write: &Write<'_>,
    stamp: Stamp,
    answer: &TxnResponse,
) -> Result<Settled, Trouble> {
    let (mut at, _) = read(write, answer);
    // Backwards, from the present value to the expected one.
    for _ in 0..STEPS {
        let Some(value) = at else { break };
        let here = value.versioned.version;
        if value.stamp == Some(stamp) {
            return Ok(Settled::Done(here));
        }
        // Still as expected: it was the fence that refused, and it will for ever.
        if write.expected == Some(here) {
            return Ok(Settled::NotDone);
        }
        at = match etcd.get_at(write.key, expected(Some(here)) - 1).await {
            Ok(Some(before)) if Some(before.versioned.version) == write.expected => {
                return Ok(Settled::NotDone);
            }
            Ok(before) => before,
            Err(Trouble::Compacted) => None,
            Err(trouble) => return Err(trouble),
        };
    }
    Ok(Settled::Unknown)
}
