//! The metadata store: compare-and-swap as the only write.
//!
//! The coordinator's decisions (which jobs there are, which generation a job is in, which step is
//! committed) outlive it in a store of small values. Several coordinators may believe that they
//! lead; what keeps them from undoing each other's work is that a value is only ever replaced by
//! somebody who knows it:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let place = directory.path().join("state.redb").display().to_string();
//! use twinspire_store::{Swap, open};
//!
//! let store = open(&place).await?; // a file, or etcd://host:2379
//! // Created only if it is not there …
//! let Swap::Done(first) = store.compare_and_swap("jobs/beauty", None, Some(b"1".to_vec())).await? else {
//!     unreachable!("nobody else writes here");
//! };
//! // … replaced only by who knows it …
//! let Swap::Done(second) = store.compare_and_swap("jobs/beauty", Some(first), Some(b"2".to_vec())).await? else {
//!     unreachable!("nobody else writes here");
//! };
//! // … and who knows an older version is told the present one.
//! let late = store.compare_and_swap("jobs/beauty", Some(first), None).await?;
//! assert!(matches!(late, Swap::Conflict(Some(now)) if now.version == second && now.value == b"2"));
//! # Ok(())
//! # }
//! ```
//!
//! Who leads is decided by an [`Election`]: the leader holds a key under a [`Lease`], which vanishes
//! when its holder is gone, and the others [`Watch`] it. What the leader writes is fenced by that
//! key:
//!
//! ```text
//!  coordinator A                      the store                       coordinator B
//!  campaign ── create `leader` ──►  leader = A, version 7
//!                                        │ ◄─────────────────────── campaign: watches `leader`
//!  store() ─── put, if leader is 7 ─►    ok
//!     (is stopped)                  lease runs out: deleted ──────────────►│
//!                                   leader = B, version 9  ◄── create `leader`
//!     (goes on)
//!  store() ─── put, if leader is 7 ─►    TW5108: another leads
//! ```
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let store = twinspire_store::open(&directory.path().join("state.redb").display().to_string()).await?;
//! use std::time::Duration;
//! use twinspire_store::{Election, MetadataStore};
//!
//! let election = Election::new(store, "leader");
//! let mut leadership = election.campaign("10.0.0.7:7070", Duration::from_secs(10)).await?;
//! let store = leadership.store();
//! tokio::select! {
//!     written = store.compare_and_swap("jobs/beauty", None, Some(b"1".to_vec())) => drop(written?),
//!     () = leadership.lost() => println!("another leads"),
//! }
//! leadership.resign().await?;
//! assert_eq!(election.leader().await?, None);
//! # Ok(())
//! # }
//! ```
//!
//! # What holds, of every implementation
//! 1. Versions only grow, also over a key's deletion: a version names one value for ever, and of
//!    two writes the later has the greater version. (Keys that vanish with one lease share one.)
//! 2. A swap that is done is durable, and seen by every read after it.
//! 3. Of several swaps that expect the same version, one is done.
//! 4. After a retryable error a swap may have happened, or may yet: read before trying again. What
//!    is told, done or conflict, is certain; it is never told of one's own write that it conflicts
//!    with itself.
//! 5. A watch begins with a snapshot, and then tells every change after it once, in the order of
//!    versions. It never loses one silently: when changes may have been missed, another snapshot
//!    takes the place of all that was told. While the store is out of reach, it waits.
//! 6. A key under a lease vanishes when the lease is given up, or when its holder has not been heard
//!    of for the lease's time, and not before. The holder, by its own clock, counts it lost earlier
//!    than the store does.
//! 7. A fenced write is done only if its fence holds at that moment: fence and write are one.

#![forbid(unsafe_code)]

mod election;
mod embedded;
mod error;
mod etcd;
mod fenced;
mod lease;
mod metadata;
mod open;
mod place;
mod watch;

pub use election::{Election, Leader, Leadership, Observer};
pub use embedded::Embedded;
pub use error::{CODES, StoreError};
pub use etcd::{Etcd, PATIENCE};
pub use fenced::Fenced;
pub use lease::{Lease, LeaseId};
pub use metadata::{Fence, MAX_KEY, MAX_VALUE, MetadataStore, Swap, Version, Versioned, Write};
pub use open::open;
pub use place::{EtcdPlace, EtcdTls, Password, Place};
pub use watch::{Update, Watch};
