//! Writing the dataset's files.

mod file;
mod rows;
mod shards;
mod staging;

pub(crate) use file::{CheckedFile, parquet_properties};
pub(crate) use shards::{Target, write_timelines};
pub(crate) use staging::Staging;
