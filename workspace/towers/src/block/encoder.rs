use tch::Tensor;

use super::{Attention, AttentionShape, FeedForward, LayerNorm, Mode};
use crate::params::Builder;

/// Sizes of a transformer encoder.
#[derive(Clone, Copy, Debug)]
pub struct EncoderShape {
    /// Width of the tokens.
    pub width: i64,
    /// Layers.
    pub layers: i64,
    /// Attention heads.
    pub heads: i64,
    /// Width of the feed-forward block.
    pub ffn: i64,
    /// Dropout of what attention and feed-forward add.
    pub dropout: f64,
    /// Dropout of attention weights.
    pub attention_dropout: f64,
}

/// Pre-norm transformer encoder.
pub struct Encoder {
    layers: Vec<Layer>,
    dropout: f64,
}

struct Layer {
    attention_norm: LayerNorm,
    attention: Attention,
    feed_forward_norm: LayerNorm,
    feed_forward: FeedForward,
}

impl Encoder {
    /// Layers named `{name}.{0..}`.
    pub fn new(builder: &mut Builder, name: &str, shape: EncoderShape) -> Self {
        let EncoderShape { width, heads, ffn, dropout, attention_dropout, .. } = shape;
        let layers = (0..shape.layers)
            .map(|i| Layer {
                attention_norm: LayerNorm::new(builder, &format!("{name}.{i}.attention_norm"), width),
                attention: Attention::new(
                    builder,
                    &format!("{name}.{i}.attention"),
                    width,
                    heads,
                    attention_dropout,
                ),
                feed_forward_norm: LayerNorm::new(builder, &format!("{name}.{i}.feed_forward_norm"), width),
                feed_forward: FeedForward::new(
                    builder,
                    &format!("{name}.{i}.feed_forward"),
                    width,
                    ffn,
                    width,
                    dropout,
                ),
            })
            .collect();
        Encoder { layers, dropout }
    }

    /// `[tokens, width] -> [tokens, width]`.
    pub fn forward(&self, x: Tensor, shape: &AttentionShape, mode: Mode) -> Tensor {
        self.layers.iter().fold(x, |x, layer| {
            let attended = layer.attention.forward(&layer.attention_norm.forward(&x), shape, mode);
            let x = x + mode.dropout(attended, self.dropout);
            let fed = layer.feed_forward.forward(&layer.feed_forward_norm.forward(&x), mode);
            x + mode.dropout(fed, self.dropout)
        })
    }
}
