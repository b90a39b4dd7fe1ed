//! Sharded, asynchronous, atomic checkpoints over object storage.
