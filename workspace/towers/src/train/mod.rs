//! The step: batches of this worker's lanes in, updated towers out.
//!
//! [`Trainer::step`] is the table of contents; each phase has a file, and hands the next one a value:
//!
//! ```text
//!  batches ─► candidates ─► forward ─► exchange ─► loss
//!             which items   lanes      vectors of  losses, dU, dV
//!             are columns   encoded    all lanes      │
//!                                                     ▼
//!  towers ◄───────────── commit ◄──── backward ◄── exchange
//!                        sums over    lane by      dV to whoever
//!                        workers      lane         encoded it
//! ```
//!
//! Invariant 1, the worker count changes nothing but speed, is kept here: whatever is random is seeded
//! by (seed, step, lane); candidates stand in lane order; losses and gradients are sums over rows that
//! workers add up and divide by the weight of the *global* batch. So worker counts differ by the order
//! of floating-point sums and by nothing else.
//!
//! In shapes, `queries` are the loss's rows and `offered` the candidates of this worker's lanes, one
//! lane after another; `candidates` are the columns of all workers; `touched` are rows of a table.

mod backward;
mod candidates;
mod commit;
mod exchange;
mod forward;
mod lane;
mod loss;
mod pools;
mod report;
mod state;
mod sums;
mod trainer;

pub use report::{CONTROL_BITS, StepReport, Told};
pub use state::NamedTensor;
pub use trainer::Trainer;
