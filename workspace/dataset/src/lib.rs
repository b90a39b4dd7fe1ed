//! The dataset format, shard plan, lanes and batches.

pub mod format;

mod batch;
mod error;

pub use batch::{Bucket, LaneBatch, Queries, Tokens};
pub use error::{CODES, DatasetError};
pub use format::{Manifest, ShardInfo};
