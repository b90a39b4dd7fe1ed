//! Blocks of the towers: one struct, one file each.

mod attention;
mod dropout;
mod encoder;
mod feed_forward;
mod linear;
mod norm;

pub use attention::{Attention, AttentionShape};
pub use dropout::DropoutRng;
pub use encoder::{Encoder, EncoderShape};
pub use feed_forward::FeedForward;
pub use linear::Linear;
pub use norm::LayerNorm;

use tch::{Kind, Tensor};

/// Whether dropout is on.
#[derive(Clone, Copy)]
pub enum Mode<'a> {
    /// Training, with the random numbers of a lane and step.
    Train(&'a DropoutRng),
    /// Evaluation and export.
    Eval,
}

impl Mode<'_> {
    /// `x` with dropout when training.
    pub fn dropout(self, x: Tensor, p: f64) -> Tensor {
        match self {
            Mode::Train(rng) if p > 0.0 => rng.dropout(x, p),
            _ => x,
        }
    }
}

/// Rows scaled to length 1.
pub fn l2_normalize(x: &Tensor) -> Tensor {
    /// Keeps a zero vector zero instead of NaN.
    const EPSILON: f64 = 1e-12;
    let squares = x.square().sum_dim_intlist([-1i64].as_slice(), true, None::<Kind>);
    x * (squares + EPSILON).rsqrt()
}
