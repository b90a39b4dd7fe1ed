//! Vectors of all workers' candidates, and the way their gradients go back.
//!
//! A tower that computes encodes each candidate once, in its lane, and workers exchange vectors. One
//! that only looks up exchanges nothing: every worker looks all candidates up for itself.

use tch::{Kind, Tensor};
use twinspire_job::NegativesMode;

use super::Trainer;
use super::candidates::Chosen;
use super::forward::OwnVectors;
use crate::TowersError;
use crate::block::Mode;
use crate::item::ItemInputs;
use crate::loss::Gradients;
use crate::table::Rows;

/// Vectors of a step's candidates, in the order they were chosen in.
pub(super) enum CandidateVectors {
    /// Looked up by this worker.
    LookedUp {
        /// `[candidates, dim]`, with their graph.
        vectors: Tensor,
    },
    /// Encoded in lanes and gathered from all workers.
    Exchanged {
        /// `[candidates, dim]`: every worker's sampled positives, then what every worker's lanes offer.
        vectors: Tensor,
        /// This worker's rows that are sampled `[own sampled]`.
        own_sampled: Tensor,
        /// What each worker gave, by rank.
        shares: Vec<Share>,
    },
}

/// How many vectors a worker gave.
pub(super) struct Share {
    sampled: i64,
    offered: i64,
}

impl CandidateVectors {
    /// `[candidates, dim]`, outside autograd.
    pub(super) fn detached(&self) -> Tensor {
        match self {
            CandidateVectors::LookedUp { vectors } => vectors.detach(),
            CandidateVectors::Exchanged { vectors, .. } => vectors.shallow_clone(),
        }
    }
}

impl Trainer {
    /// The candidates as inputs of a look-up tower; `None` when lanes encode them.
    pub(super) fn looked_up(&self, chosen: &Chosen) -> Option<ItemInputs> {
        if !self.model.item.is_lookup() {
            return None;
        }
        let device = self.model.device();
        let items = match self.spec.loss.negatives.mode {
            NegativesMode::Full => Tensor::arange(self.model.features.items(), (Kind::Int64, device)),
            _ => Tensor::from_slice(&chosen.items()).to_device(device),
        };
        Some(ItemInputs { items, features: Vec::new() })
    }

    /// Looks the candidates up.
    pub(super) fn look_up(&self, inputs: &ItemInputs, rows: &Rows) -> CandidateVectors {
        CandidateVectors::LookedUp { vectors: self.model.item.forward(inputs, rows, Mode::Eval) }
    }

    /// Gathers the candidates' vectors from the workers that encoded them.
    ///
    /// Invariant 1: ranks hold contiguous lanes, in order, so rank order is lane order.
    pub(super) fn exchange(
        &self,
        own: &OwnVectors,
        chosen: &Chosen,
    ) -> Result<CandidateVectors, TowersError> {
        let gather = |mine: &Tensor| match self.collective.size() {
            1 => Ok(vec![mine.shallow_clone()]),
            _ => self.collective.all_gather(mine),
        };
        let own_sampled = Tensor::from_slice(&chosen.own_sampled).to_device(self.model.device());
        let sampled = gather(&own.positives.index_select(0, &own_sampled))?; // [sampled, dim] by rank
        let offered = gather(&own.offered)?; // [offered, dim] by rank
        let share = |(sampled, offered): (&Tensor, &Tensor)| Share {
            sampled: sampled.size()[0],
            offered: offered.size()[0],
        };
        let shares = sampled.iter().zip(&offered).map(share).collect();
        let parts: Vec<Tensor> = sampled.into_iter().chain(offered).collect();
        Ok(CandidateVectors::Exchanged { vectors: Tensor::cat(&parts, 0), own_sampled, shares })
    }

    /// Returns exchanged candidates' gradients, summed over workers, to whoever encoded them: those of
    /// sampled positives are added to `positives`, and `candidates` `[candidates, dim]` becomes that of
    /// what this worker's lanes offered `[offered, dim]`. Gradients of looked-up candidates stay.
    pub(super) fn send_back(
        &self,
        mut gradients: Gradients,
        candidates: &CandidateVectors,
    ) -> Result<Gradients, TowersError> {
        let CandidateVectors::Exchanged { own_sampled, shares, .. } = candidates else {
            return Ok(gradients);
        };
        let to_owners = |start: i64, counts: Vec<i64>| {
            let part = gradients.candidates.narrow(0, start, counts.iter().sum());
            match self.collective.size() {
                1 => Ok(part),
                _ => self.collective.reduce_scatter_sum(&part.split_with_sizes(counts.as_slice(), 0)),
            }
        };
        let all_sampled = shares.iter().map(|share| share.sampled).sum();
        let sampled = to_owners(0, shares.iter().map(|share| share.sampled).collect())?; // [own sampled, dim]
        let offered = to_owners(all_sampled, shares.iter().map(|share| share.offered).collect())?;
        let _ = gradients.positives.index_add_(0, own_sampled, &sampled);
        Ok(Gradients { candidates: offered, ..gradients })
    }
}
