//! The retrieval loss: a softmax of each row's positive against many negatives.
//!
//! Row r has a user vector `u_r`, its positive item's vector `p_r` and a weight `w_r`; columns are
//! candidate items `v_c`. With similarity `s = ⟨u, v⟩ / τ`, corrected for how often a column is
//! sampled (`- log E[count]`, [`logq`]) and some columns masked ([`masks`]),
//!
//! ```text
//! loss_r = w_r · ( log( e^{s(u_r, p_r)} + Σ_c e^{s(u_r, v_c)} ) − s(u_r, p_r) )
//! ```
//!
//! The gradient is computed here, by tiles, from the vectors alone ([`softmax`]): the rows × columns
//! logits are never there at once, and no graph is kept. The towers are then differentiated by
//! `(u·dU).sum() + (v·dV).sum()`. Everything is a sum over rows, not a mean: workers add their parts
//! and divide by the weight of the global batch once, at the end.

mod logq;
mod masks;
mod sketch;
mod softmax;

pub use logq::{InBatchCounts, log_expected};
pub use masks::{ColumnItems, Masks};
pub use sketch::CountMinSketch;
pub use softmax::{Candidates, Gradients, Queries, Tiles, softmax};
