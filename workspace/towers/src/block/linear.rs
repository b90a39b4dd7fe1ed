use tch::Tensor;

use crate::params::{Builder, Decay, Init};

/// `x W^T + b`: `[.., in] -> [.., out]`.
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Xavier-uniform weights, zero bias.
    pub fn new(builder: &mut Builder, name: &str, input: i64, output: i64) -> Self {
        Linear {
            weight: builder.param(
                format!("{name}.weight"),
                &[output, input],
                Init::XavierUniform,
                Decay::Yes,
            ),
            bias: builder.param(format!("{name}.bias"), &[output], Init::Constant(0.0), Decay::No),
        }
    }

    /// `[.., in] -> [.., out]`.
    pub fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }
}
