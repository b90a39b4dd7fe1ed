//! The dataset format, shard plan, lanes and batches.
