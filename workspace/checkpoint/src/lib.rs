//! Sharded, asynchronous, atomic checkpoints over object storage.
//!
//! The state of training (weights, optimizer moments, sketches) is an ordered list of named
//! tensors, the same on every rank. Of `n` ranks, rank `i` writes elements
//! `[i·len/n, (i+1)·len/n)` of each, in the background, while training goes on; when all parts are
//! there, one rank commits by creating the manifest:
//!
//! ```text
//! {location}/step-000001200/generation-00003/
//!     state-00000-of-00002.safetensors    rank 0's elements of every tensor
//!     state-00001-of-00002.safetensors    rank 1's
//!     manifest.json                       last, by conditional create: the commit
//! ```
//!
//! A restore reads all parts, whoever wrote them: the worker count may change freely in between.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let location = twinspire_storage::Location::local(directory.path())?;
//! use twinspire_checkpoint::{
//!     CheckpointStore, Dtype, Generation, Manifest, Retention, Step, TensorData, Which,
//! };
//!
//! let checkpoints = CheckpointStore::new(location, Retention::default());
//! let (step, generation) = (Step(1200), Generation(3));
//! let weights = TensorData::new("weights", Dtype::F32, vec![2, 3], vec![0u8; 24])?;
//!
//! // Each of two ranks writes its part …
//! let mut parts = Vec::new();
//! for rank in 0..2 {
//!     parts.push(checkpoints.write_part(step, generation, rank, 2, &[weights.slice(rank, 2)]).await?);
//! }
//! // … and one of them, having all descriptions of parts, commits.
//! let manifest = Manifest::new(step, generation, vec![weights.info.clone()], parts);
//! checkpoints.commit(manifest).await?;
//! checkpoints.collect().await?;
//!
//! let restored = checkpoints.restore(Which::Latest).await?.expect("there is one");
//! assert_eq!(restored.manifest.step, step);
//! assert_eq!(restored.tensors, [weights]);
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//! 1. A checkpoint is there when its manifest is, and the manifest is created once and last: a
//!    writer killed at any moment leaves what was there before and files nobody reads.
//! 2. Every byte is checked when read: parts by size and CRC-32, the manifest by its own. A damaged
//!    checkpoint is never restored; the newest whole one is, and what was skipped is told.
//! 3. A generation writes into a directory of its own, and commits only where no newer generation
//!    has written: a stale worker can neither damage nor replace a newer generation's checkpoint.
//! 4. [`CheckpointStore::collect`] deletes manifests before parts and nothing at or above the
//!    newest whole step.
//!
//! Invariants 1 and 3 rest on the store's conditional create. Some S3 servers ignore the
//! condition ([`twinspire_storage::Location::probe`] finds out); there the directory per generation
//! still keeps generations apart, as long as the generation itself is decided elsewhere.

#![forbid(unsafe_code)]

mod collect;
mod difference;
mod error;
mod ids;
mod layout;
mod manifest;
mod part;
mod restore;
mod retention;
mod store;
mod tensor;
mod writer;

pub use difference::{Difference, is_parameter};
pub use error::{CODES, CheckpointError};
pub use ids::{Generation, Step};
pub use manifest::{FORMAT_VERSION, Manifest};
pub use part::PartInfo;
pub use restore::{Restored, Skipped, Which};
pub use retention::{Best, Retention, to_delete};
pub use store::{CheckpointStore, Commit, State, Summary};
pub use tensor::{Dtype, TensorData, TensorInfo, TensorSlice, slice_range};
pub use writer::{Busy, Finished, Patience, Writer};
