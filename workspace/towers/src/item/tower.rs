use tch::{Kind, Tensor};
use twinspire_job::{IdEmbedding, ItemEncoder, ItemTowerSpec, TowersSpec};

use super::hash::HashEmbedding;
use super::{FeatureInput, FeatureWidth, ItemFeatures, ItemInputs};
use crate::TowersError;
use crate::block::{
    AttentionShape, Encoder, EncoderShape, FeedForward, LayerNorm, Linear, Mode, l2_normalize,
};
use crate::params::{Builder, Decay, EMBEDDING_STD, Init};
use crate::table::{Rows, TableId};

/// Item features -> embeddings `[items, dim]`.
pub struct ItemTower {
    id: IdEmbed,
    features: Vec<Feature>,
    head: Head,
    normalize: bool,
    dropout: f64,
}

enum IdEmbed {
    None,
    Table(TableId),
    Hash(HashEmbedding),
}

/// How one feature becomes vectors of the encoder's input.
enum Feature {
    Tokens { embedding: HashEmbedding, norm: Option<LayerNorm> },
    Vectors,
}

enum Head {
    /// The id embedding is the output.
    Id,
    Transformer {
        projections: Vec<Linear>,
        cls: Tensor,
        cls_projection: Linear,
        encoder: Encoder,
        out: FeedForward,
    },
    Mlp {
        layers: Vec<Linear>,
    },
}

impl ItemTower {
    /// Builds the tower for the features of a catalogue.
    pub fn new(
        builder: &mut Builder,
        spec: &TowersSpec,
        features: &ItemFeatures,
    ) -> Result<Self, TowersError> {
        let tower = &spec.item;
        let (dim, items) = (i64::from(spec.dim), features.items());
        let (hash_rows, hash_dim) = (i64::from(tower.hash.rows), i64::from(tower.hash.dim));
        let kinds = if tower.encoder == ItemEncoder::Id { Vec::new() } else { features.kinds() };

        let needs_hash = tower.id_embedding == IdEmbedding::Hash
            || kinds.iter().any(|(_, width)| matches!(width, FeatureWidth::Tokens { .. }));
        let shared =
            needs_hash.then(|| HashEmbedding::shared_table(builder, "item.hash.shared", hash_rows, hash_dim));

        // Token ids of all features are disjoint; items' own ids come first.
        let mut offset = items;
        let mut widths = Vec::new();
        let mut built = Vec::new();
        for (name, width) in &kinds {
            match (width, shared) {
                (FeatureWidth::Tokens { vocabulary }, Some(shared)) => {
                    let name = format!("item.{name}");
                    let embedding =
                        HashEmbedding::new(builder, &name, shared, hash_rows, *vocabulary, offset);
                    let norm =
                        tower.text_norm.then(|| LayerNorm::new(builder, &format!("{name}.norm"), hash_dim));
                    offset += vocabulary;
                    widths.push(hash_dim);
                    built.push(Feature::Tokens { embedding, norm });
                }
                (FeatureWidth::Vectors { dim, .. }, _) => {
                    widths.push(*dim);
                    built.push(Feature::Vectors);
                }
                (FeatureWidth::Tokens { .. }, None) => {}
            }
        }
        let id = match tower.id_embedding {
            IdEmbedding::None => IdEmbed::None,
            IdEmbedding::Table => {
                widths.push(dim);
                IdEmbed::Table(builder.table("item.id", items, dim, Init::Normal(EMBEDDING_STD)))
            }
            IdEmbedding::Hash => {
                let Some(shared) = shared else {
                    return Err(TowersError::Unbuildable("id_embedding: hash without a hash table".into()));
                };
                widths.push(hash_dim);
                IdEmbed::Hash(HashEmbedding::new(builder, "item.id", shared, hash_rows, items, 0))
            }
        };
        if widths.is_empty() {
            return Err(TowersError::Unbuildable(
                "the item tower has nothing to read: name catalogue features, or set `towers.item.id_embedding: table`"
                    .into(),
            ));
        }
        let head = Head::new(builder, tower, &widths, dim)?;
        Ok(ItemTower { id, features: built, head, normalize: spec.normalize, dropout: tower.dropout })
    }

    /// Whether encoding is a mere table look-up, cheaper to repeat on every worker than to exchange.
    pub fn is_lookup(&self) -> bool {
        matches!((&self.head, &self.id), (Head::Id, IdEmbed::Table(_)))
    }

    /// Which rows of which tables the inputs read.
    pub fn touches(&self, inputs: &ItemInputs) -> Vec<(TableId, Tensor)> {
        let mut touched = Vec::new();
        match &self.id {
            IdEmbed::None => {}
            IdEmbed::Table(table) => touched.push((*table, inputs.items.shallow_clone())),
            IdEmbed::Hash(hash) => touched.extend(hash.touches(&inputs.items)),
        }
        for (feature, input) in self.features.iter().zip(&inputs.features) {
            if let (Feature::Tokens { embedding, .. }, FeatureInput::Tokens { ids, .. }) = (feature, input) {
                touched.extend(embedding.touches(ids));
            }
        }
        touched
    }

    /// Embeddings `[n, dim]` of the inputs' items.
    pub fn forward(&self, inputs: &ItemInputs, rows: &Rows, mode: Mode) -> Tensor {
        let out = match &self.head {
            Head::Id => self.id_vector(inputs, rows).unwrap_or_default(),
            Head::Transformer { .. } => self.transformer(inputs, rows, mode),
            Head::Mlp { layers } => {
                let pooled: Vec<Tensor> =
                    self.groups(inputs, rows).into_iter().map(|group| group.pooled()).collect();
                let x = mode.dropout(Tensor::cat(&pooled, 1), self.dropout);
                let last = layers.len() - 1;
                layers.iter().enumerate().fold(x, |x, (i, layer)| {
                    let x = layer.forward(&x);
                    if i < last { mode.dropout(x.gelu("none"), self.dropout) } else { x }
                })
            }
        };
        if self.normalize { l2_normalize(&out) } else { out }
    }

    fn id_vector(&self, inputs: &ItemInputs, rows: &Rows) -> Option<Tensor> {
        match &self.id {
            IdEmbed::None => None,
            IdEmbed::Table(table) => Some(rows.of(*table).get(&inputs.items)),
            IdEmbed::Hash(hash) => {
                // Each item is a list of one token: offsets 0, 1, 2, …
                let zero = Tensor::zeros([1], (Kind::Int64, inputs.items.device()));
                let offsets = Tensor::cat(&[zero, inputs.items.ones_like().cumsum(0, Kind::Int64)], 0);
                Some(hash.forward(rows, &inputs.items, &offsets))
            }
        }
    }

    /// One group of vectors a feature, the id last.
    fn groups(&self, inputs: &ItemInputs, rows: &Rows) -> Vec<Group> {
        let mut groups: Vec<Group> = self
            .features
            .iter()
            .zip(&inputs.features)
            .filter_map(|(feature, input)| match (feature, input) {
                (Feature::Tokens { embedding, norm }, FeatureInput::Tokens { ids, offsets, present }) => {
                    let summed = embedding.forward(rows, ids, offsets); // [n, hash dim]
                    let vector = norm.as_ref().map_or(summed.shallow_clone(), |norm| norm.forward(&summed));
                    Some(Group { vectors: vector.unsqueeze(1), present: present.shallow_clone() })
                }
                (Feature::Vectors, FeatureInput::Vectors { values, present }) => {
                    Some(Group { vectors: values.shallow_clone(), present: present.shallow_clone() })
                }
                _ => None,
            })
            .collect();
        if let Some(id) = self.id_vector(inputs, rows) {
            let present = every(inputs, Kind::Bool);
            groups.push(Group { vectors: id.unsqueeze(1), present });
        }
        groups
    }

    fn transformer(&self, inputs: &ItemInputs, rows: &Rows, mode: Mode) -> Tensor {
        let Head::Transformer { projections, cls, cls_projection, encoder, out } = &self.head else {
            return Tensor::new();
        };
        let cls = every(inputs, cls.kind()).unsqueeze(2) * cls_projection.forward(cls); // [n, 1, d_model]
        let mut tokens = vec![cls];
        let mut present = vec![every(inputs, Kind::Bool)]; // CLS is never masked
        for (group, projection) in self.groups(inputs, rows).into_iter().zip(projections) {
            tokens.push(projection.forward(&group.vectors)); // [n, group, d_model]
            present.push(group.present);
        }
        let x = Tensor::cat(&tokens, 1); // [n, tokens, d_model]
        let present = Tensor::cat(&present, 1); // [n, tokens]
        let (count, width) = (x.size()[1], x.size()[2]);
        let shape = AttentionShape::Masked { tokens: count, present: &present };
        let encoded = encoder.forward(x.reshape([-1, width]), &shape, mode);
        let cls_out = encoded.view([-1, count, width]).select(1, 0); // [n, d_model]
        out.forward(&cls_out, mode)
    }
}

/// A one for each item `[n, 1]`.
fn every(inputs: &ItemInputs, kind: Kind) -> Tensor {
    inputs.items.ones_like().to_kind(kind).unsqueeze(1)
}

/// Vectors of one feature `[n, count, width]`, of which `present` `[n, count]` are there.
struct Group {
    vectors: Tensor,
    present: Tensor,
}

impl Group {
    /// Mean of the present vectors, zero where there are none: `[n, width]`.
    fn pooled(self) -> Tensor {
        let weight = self.present.to_kind(self.vectors.kind()).unsqueeze(-1); // [n, count, 1]
        let sum = (&self.vectors * &weight).sum_dim_intlist([1i64].as_slice(), false, None::<Kind>);
        let count = weight.sum_dim_intlist([1i64].as_slice(), false, None::<Kind>).clamp_min(1.0);
        sum / count
    }
}

impl Head {
    fn new(
        builder: &mut Builder,
        spec: &ItemTowerSpec,
        widths: &[i64],
        dim: i64,
    ) -> Result<Self, TowersError> {
        let d_model = i64::from(spec.d_model);
        match spec.encoder {
            ItemEncoder::Id if widths == [dim] => Ok(Head::Id),
            ItemEncoder::Id => Err(TowersError::Unbuildable(
                "encoder: id needs an id embedding as wide as towers.dim: set `towers.item.id_embedding: table`, or `towers.item.hash.dim` to towers.dim".into(),
            )),
            ItemEncoder::Transformer => {
                let projections = widths
                    .iter()
                    .enumerate()
                    .map(|(i, &width)| Linear::new(builder, &format!("item.projection.{i}"), width, d_model))
                    .collect();
                let cls = builder.param("item.cls", &[1, d_model], Init::Normal(EMBEDDING_STD), Decay::No);
                let cls_projection = Linear::new(builder, "item.cls_projection", d_model, d_model);
                let shape = EncoderShape {
                    width: d_model,
                    layers: i64::from(spec.layers),
                    heads: i64::from(spec.heads),
                    ffn: i64::from(spec.ffn),
                    dropout: spec.dropout,
                    attention_dropout: 0.0,
                };
                let encoder = Encoder::new(builder, "item.encoder", shape);
                let out = FeedForward::new(builder, "item.head", d_model, d_model, dim, 0.0);
                Ok(Head::Transformer { projections, cls, cls_projection, encoder, out })
            }
            ItemEncoder::Mlp => {
                let mut sizes = vec![widths.iter().sum::<i64>()];
                sizes.extend(spec.mlp.iter().map(|&width| i64::from(width)));
                sizes.push(dim);
                let layers = sizes
                    .windows(2)
                    .enumerate()
                    .map(|(i, pair)| Linear::new(builder, &format!("item.mlp.{i}"), pair[0], pair[1]))
                    .collect();
                Ok(Head::Mlp { layers })
            }
        }
    }
}
