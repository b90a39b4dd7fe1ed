//! The `twinspire.v1` protocol: what the coordinator and its workers say to each other.
//!
//! ```text
//! worker                                        coordinator
//!   | register -------------------------------------> |
//!   | <------------------------------------- welcome  |
//!   | <----------------------- assign (generation g)  |   rank, world, lanes [first, end)
//!   | rendezvous_ready (rank 0) --------------------> |
//!   | <---------------------- rendezvous (the others) |
//!   | training_started, progress, validated --------> |
//!   | checkpoint_part (each rank) ------------------> |
//!   | <--------------- commit_checkpoint (to rank 0)  |   once all parts are there
//!   | checkpoint_committed -------------------------> |
//!   | task_done | task_failed ----------------------> |
//! ```
//!
//! What people ask a coordinator is the service [`v1::jobs_server::Jobs`]: submit, list, cancel, …
//!
//! The `.proto` files under `proto/` are the reference; the types of [`v1`] are generated from
//! them when the crate is built. Every message about a task carries the task's generation, and
//! whoever receives an older one than it knows refuses it.

/// Version 1 of the protocol.
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated; documented in the .proto files")]
pub mod v1 {
    tonic::include_proto!("twinspire.v1");
}

/// The protocol's descriptors, for server reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/twinspire.bin"));

/// The metadata key under which an error's stable code travels.
pub const CODE_KEY: &str = "twinspire-code";

use v1::{coordinator_message, worker_message};

/// Wraps what a worker says about the task of `generation`.
pub fn from_worker(generation: u64, body: worker_message::Body) -> v1::WorkerMessage {
    v1::WorkerMessage { generation, body: Some(body) }
}

/// Wraps what the coordinator says about the task of `generation`.
pub fn from_coordinator(generation: u64, body: coordinator_message::Body) -> v1::CoordinatorMessage {
    v1::CoordinatorMessage { generation, body: Some(body) }
}
