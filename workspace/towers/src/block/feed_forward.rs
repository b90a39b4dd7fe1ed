use tch::Tensor;

use super::{Linear, Mode};
use crate::params::Builder;

/// Linear, GELU, dropout, linear.
pub struct FeedForward {
    up: Linear,
    down: Linear,
    dropout: f64,
}

impl FeedForward {
    /// `width -> hidden -> output`.
    pub fn new(
        builder: &mut Builder,
        name: &str,
        width: i64,
        hidden: i64,
        output: i64,
        dropout: f64,
    ) -> Self {
        FeedForward {
            up: Linear::new(builder, &format!("{name}.up"), width, hidden),
            down: Linear::new(builder, &format!("{name}.down"), hidden, output),
            dropout,
        }
    }

    /// `[.., width] -> [.., output]`.
    pub fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let hidden = self.up.forward(x).gelu("none");
        self.down.forward(&mode.dropout(hidden, self.dropout))
    }
}
