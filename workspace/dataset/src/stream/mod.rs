//! Streams of batches, made ahead of their use by background threads.
//!
//! ```text
//! storage ──► shards decoded (tokio) ──► rows picked, batches assembled (a thread) ──► queue ──► next()
//!             this block's and the next   lane by lane, step by step                  4 steps
//! ```
//!
//! Memory is bounded: two blocks of shards a lane, the shard cache, and the queue.

mod background;
mod lane_rows;
mod lanes;
mod users;

pub use lanes::{LaneReader, LaneReaderSettings};
pub use users::{UserBatch, UserReader, UserReaderSettings, rows_of_rank};

#[cfg(test)]
mod lanes_tests;
#[cfg(test)]
mod users_tests;
