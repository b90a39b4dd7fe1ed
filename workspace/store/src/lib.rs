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
//! # let path = directory.path().join("state.redb");
//! use twinspire_store::{Embedded, MetadataStore, Swap};
//!
//! let store = Embedded::open(&path).await?;
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
//! # What holds, of every implementation
//! 1. A key's versions only grow, also over its deletion: a version names one value for ever.
//! 2. A swap that is done is durable, and seen by every read after it.
//! 3. Of several swaps that expect the same version, one is done.
//! 4. After a retryable error a swap may or may not have happened: read before trying again.

#![forbid(unsafe_code)]

mod embedded;
mod metadata;

pub use embedded::Embedded;
pub use metadata::{CODES, MAX_VALUE, MetadataStore, StoreError, Swap, Version, Versioned};
