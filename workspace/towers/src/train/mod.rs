//! The step: batches of this worker's lanes in, updated towers out.
//!
//! Invariant 1 is kept here. Whatever is random is seeded by (seed, step, lane); candidates stand in
//! lane order; losses and gradients are sums over rows that workers add up and divide by the weight
//! of the *global* batch: so the worker count changes nothing but the order of floating-point sums.
//!
//! ```text
//! ids of all lanes ─► candidates ─► rows touched ─► towers, lane by lane ─► vectors of all lanes
//!                                                                                   │
//!   optimizer ◄─ all-reduce ◄─ backward, lane by lane ◄─ dU, dV to their owners ◄─ loss
//! ```

mod candidates;
mod lane;
mod pools;
mod state;
mod sums;
mod trainer;

pub use state::NamedTensor;
pub use trainer::{CONTROL_BITS, StepReport, Trainer};
