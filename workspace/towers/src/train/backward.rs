//! Backward: from the loss's gradient by vectors to that by parameters and table rows.

use tch::{Kind, Tensor};
use twinspire_job::Graphs;

use super::Trainer;
use super::exchange::CandidateVectors;
use super::forward::OwnVectors;
use super::lane::{Encoded, Lane, LaneGradient};
use crate::TowersError;
use crate::loss::Gradients;
use crate::model::LOG_SCALE;
use crate::table::Rows;

impl Trainer {
    /// Differentiates the towers lane by lane; a lane's graph is gone before the next one's turn.
    /// Graphs that were not kept are made again (gradient caching, arXiv 2101.06983).
    pub(super) fn backward_lanes(
        &mut self,
        lanes: Vec<Lane>,
        encoded: Vec<Encoded>,
        gradients: &Gradients,
        rows: &mut Rows,
    ) -> Result<(), TowersError> {
        let keep = self.spec.train.graphs == Graphs::Keep;
        let (mut query, mut candidate) = (0, 0); // where the lane's parts begin
        for (lane, encoded) in lanes.into_iter().zip(encoded) {
            let (queries, candidates) = (lane.rows(), lane.candidates());
            let gradient = LaneGradient {
                users: gradients.users.narrow(0, query, queries),
                positives: gradients.positives.narrow(0, query, queries),
                candidates: gradients.candidates.narrow(0, candidate, candidates),
            };
            (query, candidate) = (query + queries, candidate + candidates);
            if queries + candidates == 0 {
                continue;
            }
            let encoded = if keep { encoded } else { self.encode(&lane, rows, true) };
            self.differentiate(&lane.objective(&encoded, &gradient), rows)?;
        }
        Ok(())
    }

    /// Differentiates the look-up of candidates. Each worker does so for its own rows of the loss, and
    /// the sum over workers is the whole gradient.
    pub(super) fn backward_looked_up(
        &mut self,
        candidates: CandidateVectors,
        gradients: &Gradients,
        rows: &mut Rows,
    ) -> Result<(), TowersError> {
        match candidates {
            CandidateVectors::LookedUp { vectors } if vectors.size()[0] > 0 => {
                let objective = (&vectors * &gradients.candidates).sum(None::<Kind>);
                self.differentiate(&objective, rows)
            }
            _ => Ok(()),
        }
    }

    /// The gradient by a learned temperature: s = e^θ ⟨u, v⟩, so by θ it is Σ u·dU.
    pub(super) fn backward_temperature(&mut self, own: &OwnVectors, gradients: &Gradients) {
        if self.spec.loss.temperature.learned {
            let gradient = (&own.users * &gradients.users).sum(None::<Kind>);
            self.model.dense.accumulate_leaf(LOG_SCALE, &gradient);
        }
    }

    /// Differentiates an objective by all dense parameters and touched rows, and adds it up.
    fn differentiate(&mut self, objective: &Tensor, rows: &mut Rows) -> Result<(), TowersError> {
        let dense = self.model.dense.leaves.iter().map(|leaf| leaf.tensor.shallow_clone());
        let inputs: Vec<Tensor> = dense.chain(rows.0.iter().map(|t| t.rows.shallow_clone())).collect();
        let gradients = Tensor::f_run_backward(&[objective], &inputs, false, false)?;
        let (dense, by_table) = gradients.split_at(self.model.dense.leaves.len());
        tch::no_grad(|| {
            self.model.dense.accumulate(dense);
            for (touched, gradient) in rows.0.iter_mut().zip(by_table) {
                touched.accumulate(gradient);
            }
        });
        Ok(())
    }
}
