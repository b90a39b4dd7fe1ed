//! Exact retrieval metrics: every item of the catalogue is ranked for every user, nothing is sampled.
//!
//! Workers share the work: each encodes a part of the items (all-gathered) and ranks the users it is
//! given; sums are all-reduced, so that every worker ends with the same [`Evaluation`].

mod metrics;
mod rank;

pub use metrics::{Evaluation, Metrics};
pub use rank::{HeldOut, Retrieval, encode_catalogue};
