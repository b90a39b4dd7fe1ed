//! The long-term user tower: a sequence of actions -> user embeddings (PinnerFormer, arXiv 2205.04507).

mod inputs;
mod time;
mod tower;

pub use inputs::{ActionInputs, Times};
pub use time::TimeEncoding;
pub use tower::{UserColumns, UserTower};
