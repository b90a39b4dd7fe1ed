//! Blocks of the towers: one struct, one file each.

mod attention;
mod encoder;
mod feed_forward;
mod linear;
mod norm;

pub use attention::{Attention, AttentionShape};
pub use encoder::{Encoder, EncoderShape};
pub use feed_forward::FeedForward;
pub use linear::Linear;
pub use norm::LayerNorm;

use tch::{Kind, Tensor};

/// Whether dropout is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Training.
    Train,
    /// Evaluation and export.
    Eval,
}

impl Mode {
    /// `x` with dropout when training.
    pub fn dropout(self, x: Tensor, p: f64) -> Tensor {
        if self == Mode::Train && p > 0.0 { x.dropout(p, true) } else { x }
    }
}

/// Rows scaled to length 1.
pub fn l2_normalize(x: &Tensor) -> Tensor {
    /// Keeps a zero vector zero instead of NaN.
    const EPSILON: f64 = 1e-12;
    let squares = x.square().sum_dim_intlist([-1i64].as_slice(), true, None::<Kind>);
    x * (squares + EPSILON).rsqrt()
}
