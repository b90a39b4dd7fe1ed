//! Reading datasets: the manifest, shards, items.
//!
//! Only a shard (a row group, a few megabytes) at a time is decoded, and only the columns that are
//! needed, so memory does not grow with the dataset. Decoded shards are shared: lanes that meet
//! inside a shard, and epochs of a dataset that fits, read it once.

mod cache;
mod columns;
mod dataset;
mod items;
mod parquet_file;
mod shard;

pub use dataset::Dataset;
pub use items::{FeatureColumn, ItemTable};
pub use shard::Shard;

#[cfg(test)]
mod tests;
