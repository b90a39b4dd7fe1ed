//! The item tower: an item's features -> its embedding (ItemSage, arXiv 2205.11728).

mod features;
mod hash;
mod tower;

pub(crate) use features::host;
pub use features::{FeatureInput, FeatureWidth, ItemFeatures, ItemInputs};
pub use hash::{HashEmbedding, UniversalHash};
pub use tower::ItemTower;
