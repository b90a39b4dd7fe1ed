use tch::Tensor;

use crate::params::{Builder, Decay, Init};

/// Added to the variance.
const EPSILON: f64 = 1e-6;

/// LayerNorm over the last dimension.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    width: i64,
}

impl LayerNorm {
    /// Begins as the plain normalisation.
    pub fn new(builder: &mut Builder, name: &str, width: i64) -> Self {
        LayerNorm {
            weight: builder.param(format!("{name}.weight"), &[width], Init::Constant(1.0), Decay::No),
            bias: builder.param(format!("{name}.bias"), &[width], Init::Constant(0.0), Decay::No),
            width,
        }
    }

    /// `[.., width] -> [.., width]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.layer_norm([self.width], Some(&self.weight), Some(&self.bias), EPSILON, true)
    }
}
