//! Optimizers: the same rule for the flat dense tensor and for the touched rows of a table.

mod rule;
mod schedule;
mod state;

pub use rule::{Moments, apply};
pub use schedule::learning_rate;
pub use state::{DenseOptimizer, TableOptimizer};
