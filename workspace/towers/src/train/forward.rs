//! Forward: from a lane's ids to vectors of its users and items.

use tch::{Kind, Tensor};
use twinspire_dataset::LaneBatch;
use twinspire_job::{Graphs, NegativesMode};

use super::Trainer;
use super::lane::{Encoded, Lane};
use crate::TowersError;
use crate::block::{DropoutRng, Mode};
use crate::item::ItemInputs;
use crate::seed::{Purpose, seed_of};
use crate::table::{Rows, TableId, Touched};

/// What this worker's lanes bring to the loss, one lane after another, outside autograd.
pub(super) struct OwnVectors {
    /// Vectors of the users `[queries, dim]`.
    pub users: Tensor,
    /// Vectors of their positives `[queries, dim]`.
    pub positives: Tensor,
    /// Weights in the loss `[queries]`.
    pub weights: Tensor,
    /// Vectors of the candidates the lanes encode beside their positives `[offered, dim]`.
    pub offered: Tensor,
}

impl Trainer {
    /// This worker's lanes on the device, each with the candidates it encodes: none when the item tower
    /// is a look-up, since every worker then looks all of them up for itself.
    pub(super) fn load_lanes(&self, batches: &[LaneBatch]) -> Vec<Lane> {
        let lookup = self.model.item.is_lookup();
        let load = |batch: &LaneBatch| {
            let candidates = if lookup { Vec::new() } else { self.offered_by(batch.lane) };
            Lane::new(&self.model, batch, &candidates)
        };
        batches.iter().map(load).collect()
    }

    /// Rows of the tables this step reads, over all workers.
    pub(super) fn touch(&self, lanes: &[Lane], looked_up: Option<&ItemInputs>) -> Result<Rows, TowersError> {
        let tables = &self.model.tables;
        // Looking the whole catalogue up reads every row: no list of ids, and no copy of the table.
        if looked_up.is_some() && self.spec.loss.negatives.mode == NegativesMode::Full {
            return Ok(Rows(tables.iter().map(Touched::all_with_grad).collect()));
        }
        let mut wanted: Vec<Vec<Tensor>> = tables.iter().map(|_| Vec::new()).collect(); // [ids] each, by table
        for inputs in lanes.iter().map(|lane| &lane.items).chain(looked_up) {
            for (TableId(table), ids) in self.model.item.touches(inputs) {
                wanted[table].push(ids);
            }
        }
        let touched = tables.iter().zip(&wanted);
        let touched = touched.map(|(table, ids)| Touched::union(table, ids, self.collective()));
        Ok(Rows(touched.collect::<Result<_, _>>()?))
    }

    /// Encodes all lanes, with their graphs when those are kept.
    pub(super) fn encode_lanes(&self, lanes: &[Lane], rows: &Rows) -> Vec<Encoded> {
        let keep = self.spec.train.graphs == Graphs::Keep;
        lanes.iter().map(|lane| self.encode(lane, rows, keep)).collect()
    }

    /// Encodes a lane; the same random numbers each time it is called for this step.
    ///
    /// Invariant 1: dropout is seeded by (seed, step, lane), whichever worker has the lane.
    pub(super) fn encode(&self, lane: &Lane, rows: &Rows, with_graph: bool) -> Encoded {
        // What draws from libtorch's own generator (attention dropout, GPUs) is keyed alike.
        let seed = seed_of(self.spec.seed, Purpose::Dropout, self.step, lane.lane);
        tch::manual_seed(seed as i64);
        let rng = DropoutRng::new(seed);
        match with_graph {
            true => lane.encode(&self.model, rows, Mode::Train(&rng)),
            false => tch::no_grad(|| lane.encode(&self.model, rows, Mode::Train(&rng))),
        }
    }

    /// What the lanes bring to the loss.
    pub(super) fn own_vectors(&self, lanes: &[Lane], encoded: &[Encoded]) -> OwnVectors {
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, self.model.device()));
        let no_vectors = zeros(&[0, i64::from(self.spec.towers.dim)]);
        let cat = |part: fn(&Encoded, &Lane) -> Tensor| {
            cat_or(&no_vectors, encoded.iter().zip(lanes).map(|(encoded, lane)| part(encoded, lane)))
        };
        OwnVectors {
            users: cat(|encoded, _| encoded.users()),
            positives: cat(Encoded::positives),
            weights: cat_or(&zeros(&[0]), lanes.iter().map(|lane| lane.weights.shallow_clone())),
            offered: cat(Encoded::candidates),
        }
    }
}

/// Rows of all parts, one part after another; `none` when there is no part, as on a worker without lanes.
fn cat_or(none: &Tensor, parts: impl Iterator<Item = Tensor>) -> Tensor {
    let parts: Vec<Tensor> = parts.collect();
    if parts.is_empty() { none.shallow_clone() } else { Tensor::cat(&parts, 0) }
}
