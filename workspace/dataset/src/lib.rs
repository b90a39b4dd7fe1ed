//! The dataset format, shard plan, lanes and batches.
//!
//! Training reads users. This crate decides which users are trained when and by whom, reads them,
//! samples what they are to predict, and lays them out for the towers:
//!
//! ```text
//! format     what a dataset looks like on disk          prepare writes it
//! read       Dataset: shards and items, decoded and checked
//! plan       (seed, epoch, lane, step) -> rows          pure; invariants 1 and 2
//! objective  a timeline -> queries                      pure
//! bucket     lengths -> few dense grids                 pure
//! assemble   timelines -> LaneBatch                     pure
//! stream     LaneReader, UserReader: all of it ahead of time, in background threads
//! audit      what was trained -> expected / trained / twice / never
//! ```
//!
//! Everything random is keyed by where it is used, so a batch is a function of (job, dataset, lane,
//! step): it does not matter how many workers there are, which of them holds the lane, or how
//! often training was interrupted.

pub mod audit;
pub mod format;
pub mod plan;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

mod assemble;
mod batch;
mod bucket;
mod error;
mod objective;
mod random;
mod read;
mod stream;
mod timeline;

pub use assemble::{Assembler, Histories, LaneStep};
pub use batch::{Bucket, LaneBatch, Queries, Tokens};
pub use bucket::{BucketRules, buckets};
pub use error::{CODES, DatasetError};
pub use format::{Manifest, ManifestFile, Notes, ShardInfo};
pub use objective::{ActionValue, QueryRules, action_values};
pub use plan::{Cursor, Plan, PlanSettings};
pub use read::{Dataset, FeatureColumn, ItemTable, Shard};
pub use stream::{LaneReader, LaneReaderSettings, UserBatch, UserReader, UserReaderSettings, rows_of_rank};
pub use timeline::{HeldOut, HistoryEnd, Timeline};
