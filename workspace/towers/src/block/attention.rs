use tch::Tensor;

use super::{Linear, Mode};
use crate::params::{Builder, Decay, Init};

/// How tokens attend to each other.
pub enum AttentionShape<'a> {
    /// The tokens are buckets laid end to end, each a grid `[users, len]`; a token sees itself and the
    /// ones before it in its row. Padding stands at the end of rows, so nothing real sees it.
    Causal(&'a [(i64, i64)]),
    /// The tokens are one grid `[items, tokens]`; a token sees all that `present` `[items, tokens]`
    /// marks.
    Masked {
        /// Columns of the grid.
        tokens: i64,
        /// Which tokens may be looked at.
        present: &'a Tensor,
    },
}

/// Multi-head self-attention.
///
/// Queries and values have a bias, keys have none: it would add the same to all logits of a query,
/// which the softmax takes out again. Its gradient would be nothing but rounding, and Adam scales
/// any gradient up to whole steps: a parameter that differs from one worker count to the next.
pub struct Attention {
    /// `[3 width, width]`: queries, keys, values.
    weight: Tensor,
    /// `[2, width]`: queries, values.
    bias: Tensor,
    out: Linear,
    heads: i64,
    width: i64,
    dropout: f64,
}

impl Attention {
    /// `width` is a multiple of `heads`.
    pub fn new(builder: &mut Builder, name: &str, width: i64, heads: i64, dropout: f64) -> Self {
        Attention {
            weight: builder.param(
                format!("{name}.qkv.weight"),
                &[3 * width, width],
                Init::XavierUniform,
                Decay::Yes,
            ),
            bias: builder.param(format!("{name}.qkv.bias"), &[2, width], Init::Constant(0.0), Decay::No),
            out: Linear::new(builder, &format!("{name}.out"), width, width),
            heads,
            width,
            dropout,
        }
    }

    /// `[tokens, width] -> [tokens, width]`.
    pub fn forward(&self, x: &Tensor, shape: &AttentionShape, mode: Mode) -> Tensor {
        let (queries, values) = (self.bias.get(0), self.bias.get(1));
        let bias = Tensor::cat(&[&queries, &queries.zeros_like(), &values], 0); // [3 width]
        let qkv = x.linear(&self.weight, Some(&bias)); // [tokens, 3 width]
        let dropout = if matches!(mode, Mode::Train(_)) { self.dropout } else { 0.0 };
        let mixed = match shape {
            AttentionShape::Causal([(_, len)]) => self.mix(&qkv, *len, None, dropout),
            AttentionShape::Causal(buckets) => {
                // One split, whose gradient is one concatenation: narrowing bucket by bucket would
                // make a gradient of the whole size for each.
                let sizes: Vec<i64> = buckets.iter().map(|(users, len)| users * len).collect();
                let parts: Vec<Tensor> = qkv
                    .split_with_sizes(sizes.as_slice(), 0)
                    .iter()
                    .zip(*buckets)
                    .map(|(part, &(_, len))| self.mix(part, len, None, dropout))
                    .collect();
                Tensor::cat(&parts, 0)
            }
            AttentionShape::Masked { tokens, present } => {
                let mask = present.view([-1, 1, 1, *tokens]);
                self.mix(&qkv, *tokens, Some(&mask), dropout)
            }
        };
        self.out.forward(&mixed)
    }

    /// Attention inside one grid: `[rows * len, 3 width] -> [rows * len, width]`.
    fn mix(&self, qkv: &Tensor, len: i64, mask: Option<&Tensor>, dropout: f64) -> Tensor {
        let split = qkv
            .view([-1, len, 3, self.heads, self.width / self.heads])
            .permute([2, 0, 3, 1, 4]) // [3, rows, heads, len, width / heads]
            .unbind(0);
        Tensor::scaled_dot_product_attention(
            &split[0],
            &split[1],
            &split[2],
            mask,
            dropout,
            mask.is_none(),
            None,
            false,
        )
        .transpose(1, 2) // [rows, len, heads, width / heads]
        .reshape([-1, self.width])
    }
}
