//! The columns of a step's softmaxes.

use std::ops::Range;

use tch::Tensor;
use twinspire_job::{LogQ, NegativesMode};

use super::Trainer;
use super::candidates::Chosen;
use crate::loss::{ColumnItems, InBatchCounts, log_expected};

/// One softmax's columns.
pub(super) struct Pool {
    /// Which of the step's candidates they are.
    pub columns: Range<i64>,
    pub items: ColumnItems,
    /// `[columns, dim]`, outside autograd.
    pub vectors: Tensor,
    /// Log of the expected counts `[columns]`, under logQ.
    pub log_expected: Option<Tensor>,
    /// Columns that are in-batch negatives.
    pub in_batch: usize,
    /// Columns that are drawn uniformly.
    pub random: usize,
}

impl Trainer {
    /// The softmaxes of the loss: which part of the candidates `[candidates, dim]` each has as columns.
    pub(super) fn pools(&self, chosen: &Chosen, vectors: &Tensor) -> Vec<Pool> {
        let (sampled, all) = (chosen.sampled.len(), chosen.sampled.len() + chosen.offered.len());
        match self.spec.loss.negatives.mode {
            NegativesMode::Full => vec![self.whole_catalogue(vectors)],
            NegativesMode::InBatch => vec![self.pool(0..sampled, chosen, vectors)],
            NegativesMode::Random | NegativesMode::MixedConcat => vec![self.pool(0..all, chosen, vectors)],
            NegativesMode::MixedSum => {
                vec![self.pool(0..sampled, chosen, vectors), self.pool(sampled..all, chosen, vectors)]
            }
        }
    }

    /// All items, in order. Nothing is sampled, so nothing is corrected.
    fn whole_catalogue(&self, vectors: &Tensor) -> Pool {
        let items = self.model.features.items();
        Pool {
            columns: 0..items,
            items: ColumnItems::Identity { items: items as usize },
            vectors: vectors.shallow_clone(),
            log_expected: None,
            in_batch: 0,
            random: 0,
        }
    }

    /// A part of the listed candidates, of which sampled positives come first.
    fn pool(&self, part: Range<usize>, chosen: &Chosen, vectors: &Tensor) -> Pool {
        let in_batch = chosen.sampled.len().saturating_sub(part.start).min(part.len());
        let random = part.len() - in_batch;
        let users = chosen.sampled.iter().map(|pair| pair.1).chain(std::iter::repeat(-1));
        let users = users.skip(part.start).take(part.len()).collect();
        let items = chosen.items()[part.clone()].to_vec();
        let log_expected =
            (self.spec.loss.logq != LogQ::Off).then(|| self.log_expected(&items, in_batch, random));
        Pool {
            vectors: vectors.narrow(0, part.start as i64, part.len() as i64),
            columns: part.start as i64..part.end as i64,
            items: ColumnItems::Listed { items, users },
            log_expected,
            in_batch,
            random,
        }
    }

    /// Log of the expected counts of items among such columns `[items]`.
    pub(super) fn log_expected(&self, items: &[i64], in_batch: usize, random: usize) -> Tensor {
        let counts = match &self.sketch {
            Some(sketch) => InBatchCounts::Sketch(sketch),
            None => InBatchCounts::Exact { counts: &self.counts.0, total: self.counts.1 },
        };
        let catalogue = self.model.features.items() as usize;
        let logs: Vec<f32> = items
            .iter()
            .map(|&item| log_expected(item, &counts, in_batch, random, catalogue) as f32)
            .collect();
        Tensor::from_slice(&logs).to_device(self.model.device())
    }
}
