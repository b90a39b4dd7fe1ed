use tch::Tensor;
use twinspire_job::TowersSpec;

use super::{ActionInputs, TimeEncoding};
use crate::block::{
    AttentionShape, Encoder, EncoderShape, FeedForward, LayerNorm, Linear, Mode, l2_normalize,
};
use crate::params::{Builder, Decay, EMBEDDING_STD, Init};

/// log(1 + seconds) is divided by this, so that it is about 1: log of an hour is 8.
const LOG_DURATION_SCALE: f64 = 8.0;

/// What the dataset offers the user tower.
#[derive(Clone, Copy, Debug)]
pub struct UserColumns {
    /// Action types.
    pub actions: i64,
    /// Surfaces; 0 = none.
    pub surfaces: i64,
    /// Whether actions have times.
    pub times: bool,
    /// Whether actions have durations.
    pub durations: bool,
    /// Width of an action's item vector.
    pub item_vector: i64,
}

/// Actions -> user embeddings `[queries, dim]`.
pub struct UserTower {
    action: Option<Tensor>,
    surface: Option<Tensor>,
    duration: bool,
    absolute: Option<TimeEncoding>,
    since_latest: Option<TimeEncoding>,
    gap: Option<TimeEncoding>,
    /// Absent where the tokens are already as wide as the transformer (SASRec).
    input: Option<Linear>,
    positions: Option<Tensor>,
    encoder: Encoder,
    norm: LayerNorm,
    head: Head,
    dropout: f64,
    normalize: bool,
}

enum Head {
    None,
    Linear(Linear),
    TwoLayers(FeedForward),
}

impl UserTower {
    /// Builds the tower for what the dataset has.
    pub fn new(builder: &mut Builder, spec: &TowersSpec, columns: UserColumns) -> Self {
        let user = &spec.user;
        let (d_model, dim) = (i64::from(user.d_model), i64::from(spec.dim));
        let mut width = columns.item_vector;

        let (action_dim, surface_dim) = (i64::from(user.action_dim), i64::from(user.surface_dim));
        let mut embedding = |name: &str, rows: i64, dim: i64| {
            let used = dim > 0 && rows > 0;
            width += if used { dim } else { 0 };
            used.then(|| builder.param(name, &[rows, dim], Init::Normal(1.0), Decay::No))
        };
        let action = embedding("user.action", columns.actions, action_dim);
        let surface = embedding("user.surface", columns.surfaces, surface_dim);
        let duration = user.duration && columns.durations;
        width += i64::from(duration);

        let mut time = |wanted: bool, make: fn(&mut Builder, &str) -> TimeEncoding, name: &str| {
            let encoding = (wanted && columns.times).then(|| make(builder, name));
            width += encoding.as_ref().map_or(0, TimeEncoding::width);
            encoding
        };
        let absolute = time(user.time.absolute, TimeEncoding::absolute, "user.time.absolute");
        let since_latest = time(user.time.since_latest, TimeEncoding::relative, "user.time.since_latest");
        let gap = time(user.time.gap, TimeEncoding::relative, "user.time.gap");

        let only_item = width == columns.item_vector && width == d_model;
        let input = (!only_item).then(|| Linear::new(builder, "user.input", width, d_model));
        let positions = user.positions.then(|| {
            builder.param(
                "user.positions",
                &[i64::from(user.max_actions), d_model],
                Init::Normal(EMBEDDING_STD),
                Decay::No,
            )
        });
        let shape = EncoderShape {
            width: d_model,
            layers: i64::from(user.layers),
            heads: i64::from(user.heads),
            ffn: if user.ffn == 0 { 4 * d_model } else { i64::from(user.ffn) },
            dropout: user.dropout,
            attention_dropout: user.attention_dropout,
        };
        UserTower {
            action,
            surface,
            duration,
            absolute,
            since_latest,
            gap,
            input,
            positions,
            encoder: Encoder::new(builder, "user.encoder", shape),
            norm: LayerNorm::new(builder, "user.norm", d_model),
            head: match (user.head, d_model == dim) {
                (true, _) => {
                    Head::TwoLayers(FeedForward::new(builder, "user.head", d_model, d_model, dim, 0.0))
                }
                (false, true) => Head::None,
                (false, false) => Head::Linear(Linear::new(builder, "user.head", d_model, dim)),
            },
            dropout: user.dropout,
            normalize: spec.normalize,
        }
    }

    /// Embeddings `[queries, dim]` after the tokens `queries` `[queries]`, given each token's item
    /// vector `[tokens, item vector]`.
    pub fn forward(
        &self,
        inputs: &ActionInputs,
        item_vectors: &Tensor,
        queries: &Tensor,
        mode: Mode,
    ) -> Tensor {
        let x = self.tokens(inputs, item_vectors); // [tokens, d_model]
        let x = mode.dropout(x, self.dropout);
        let x = self.encoder.forward(x, &AttentionShape::Causal(&inputs.buckets), mode);
        // Only asked-for tokens go through the head.
        let x = Tensor::embedding(&x, queries, -1, false, false); // [queries, d_model]
        let x = self.norm.forward(&x);
        let out = match &self.head {
            Head::None => x,
            Head::Linear(linear) => linear.forward(&x),
            Head::TwoLayers(layers) => layers.forward(&x, mode),
        };
        if self.normalize { l2_normalize(&out) } else { out }
    }

    /// What each action looks like to the encoder: `[tokens, d_model]`.
    fn tokens(&self, inputs: &ActionInputs, item_vectors: &Tensor) -> Tensor {
        let look_up = |table: &Tensor, ids: &Tensor| Tensor::embedding(table, ids, -1, false, false);
        // Embeddings have numbers of about 1 / sqrt(width); beside features of about 1 they would drown.
        // (SASRec scales by the same number.)
        let width = item_vectors.size()[1] as f64;
        let mut parts = vec![item_vectors * width.sqrt()];
        parts.extend(self.action.as_ref().map(|table| look_up(table, &inputs.actions)));
        if let (Some(table), Some(surfaces)) = (&self.surface, &inputs.surfaces) {
            parts.push(look_up(table, surfaces));
        }
        if let (true, Some(durations)) = (self.duration, &inputs.durations) {
            parts.push((durations.clamp_min(0.0).log1p() / LOG_DURATION_SCALE).unsqueeze(1));
        }
        if let Some(times) = &inputs.times {
            let encode = |encoding: &Option<TimeEncoding>, time: &Tensor| {
                encoding.as_ref().map(|encoding| encoding.forward(time))
            };
            parts.extend(encode(&self.absolute, &times.absolute));
            parts.extend(encode(&self.since_latest, &times.since_latest));
            parts.extend(encode(&self.gap, &times.gap));
        }
        let x = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, 1) };
        let x = self.input.as_ref().map_or_else(|| x.shallow_clone(), |input| input.forward(&x));
        match &self.positions {
            Some(positions) => x + look_up(positions, &inputs.from_newest),
            None => x,
        }
    }
}
