//! The columns of a step's softmaxes.

use std::ops::Range;

use tch::Tensor;
use twinspire_job::{LogQ, NegativesMode};

use super::Trainer;
use crate::loss::{ColumnItems, InBatchCounts, log_expected};

/// One softmax's columns.
pub(super) struct Pool {
    pub items: ColumnItems,
    /// `[columns, dim]`, outside autograd.
    pub vectors: Tensor,
    /// Log of the expected counts `[columns]`, under logQ.
    pub expected: Option<Tensor>,
    pub in_batch: usize,
    pub random: usize,
}

/// Candidates' items in lane order.
pub(super) struct Listed {
    /// `(item, user)` of sampled positives.
    pub sampled: Vec<(i64, i64)>,
    /// Items lanes offer.
    pub offered: Vec<i64>,
}

impl Listed {
    /// All of them, sampled ones first.
    pub(super) fn items(&self) -> Vec<i64> {
        self.sampled.iter().map(|pair| pair.0).chain(self.offered.iter().copied()).collect()
    }
}

impl Trainer {
    /// The softmaxes of the loss: which part of the candidates each has as its columns.
    pub(super) fn pools(&self, listed: &Listed, vectors: &Tensor) -> Vec<(Range<i64>, Pool)> {
        let (sampled, offered) = (listed.sampled.len(), listed.offered.len());
        let pool = |columns: Range<usize>| {
            let in_batch = sampled.saturating_sub(columns.start).min(columns.len());
            let random = columns.len() - in_batch;
            let all = listed.items();
            let items = all[columns.clone()].to_vec();
            let expected =
                (self.spec.loss.logq != LogQ::Off).then(|| self.expected(&items, in_batch, random));
            let users = listed.sampled.iter().map(|pair| pair.1).chain(std::iter::repeat(-1));
            let users = users.skip(columns.start).take(columns.len()).collect();
            let range = columns.start as i64..columns.end as i64;
            let vectors = vectors.narrow(0, range.start, range.end - range.start);
            (range, Pool { items: ColumnItems::Listed { items, users }, vectors, expected, in_batch, random })
        };
        match self.spec.loss.negatives.mode {
            NegativesMode::Full => {
                let items = self.model.features.items();
                let identity = ColumnItems::Identity { items: items as usize };
                let pool = Pool {
                    items: identity,
                    vectors: vectors.shallow_clone(),
                    expected: None,
                    in_batch: 0,
                    random: 0,
                };
                vec![(0..items, pool)]
            }
            NegativesMode::InBatch => vec![pool(0..sampled)],
            NegativesMode::Random => vec![pool(0..offered)],
            NegativesMode::MixedConcat => vec![pool(0..sampled + offered)],
            NegativesMode::MixedSum => vec![pool(0..sampled), pool(sampled..sampled + offered)],
        }
    }

    /// Log of the expected counts of items among the columns `[items]`.
    pub(super) fn expected(&self, items: &[i64], in_batch: usize, random: usize) -> Tensor {
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

/// Whether positives of other rows are negatives.
pub(super) fn uses_in_batch(mode: NegativesMode) -> bool {
    matches!(mode, NegativesMode::InBatch | NegativesMode::MixedConcat | NegativesMode::MixedSum)
}
