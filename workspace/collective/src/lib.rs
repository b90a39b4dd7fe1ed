//! Collectives on tensors: what the workers of one generation say to each other within a step.
//!
//! Training is data-parallel. Each worker, a *rank*, works on its own rows, and three times a step all ranks meet:
//!
//! ```text
//!             rank 0          rank 1                        every rank then has
//! all_gather  items [3, d]    items [2, d]             ->   [3, d], [2, d]      negatives shared by all
//! reduce_scatter              gradients for each rank  ->   the sum of what is its own
//! all_reduce  gradient [n]    gradient [n]             ->   [n] their sum       the same bits everywhere
//! ```
//!
//! [`Collective`] is that meeting. [`Solo`] is the meeting of one, [`Gloo`] of many processes over TCP, with the
//! Gloo that libtorch already holds. Every rank must call the same operations in the same order.
//!
//! What holds:
//! 1. After a sum every rank holds identical bits, and the same inputs give the same bits again.
//! 2. A rank that dies, freezes or is cut off is an error on every other rank: at once when its connections close,
//!    and after the group's time-out otherwise, or when a [`Breaker`] is told. Nothing waits for ever.
//! 3. A group that failed stays closed: its ranks may no longer agree on which operation is next. The survivors
//!    meet again as a new group, under a new prefix.
//!
//! ```
//! use tch::Tensor;
//! use twinspire_collective::{Collective, Solo};
//!
//! fn mean(group: &dyn Collective, mut gradient: Tensor) -> Result<Tensor, twinspire_collective::CollectiveError> {
//!     group.all_reduce_sum(&mut gradient)?;
//!     Ok(gradient / group.size() as f64)
//! }
//! let alone = mean(&Solo, Tensor::from_slice(&[2.0, 4.0]))?;
//! assert_eq!(Vec::<f64>::try_from(alone).ok(), Some(vec![2.0, 4.0]));
//! # Ok::<(), twinspire_collective::CollectiveError>(())
//! ```

mod collective;
mod error;
mod gloo;
mod rows;
mod solo;
mod timed;

pub use collective::Collective;
pub use error::{CODES, CollectiveError};
pub use gloo::{Breaker, Gloo, Rendezvous, RendezvousHost};
pub use solo::Solo;
pub use timed::Timed;
