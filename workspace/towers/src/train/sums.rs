use tch::{Kind, Tensor};
use twinspire_collective::Collective;
use twinspire_dataset::LaneBatch;

use super::CONTROL_BITS;
use crate::TowersError;

/// What workers add up besides gradients, in one all-reduce.
pub(super) struct Sums {
    /// Weight of the global batch.
    pub weight: f64,
    /// Rows of the loss.
    pub queries: u64,
    /// Dataset rows.
    pub rows: u64,
    /// Control words, or-ed.
    pub control: u64,
    /// Loss of each lane of the job, 0 where other workers hold it, until they are added.
    by_lane: Vec<f64>,
}

impl Sums {
    /// This worker's, from the losses and weights of its rows `[queries]`.
    pub(super) fn of(
        batches: &[LaneBatch],
        losses: &Tensor,
        weights: &Tensor,
        control: u64,
        lanes: u32,
    ) -> Self {
        let mut by_lane = vec![0.0; lanes as usize];
        let mut start = 0;
        for batch in batches {
            let rows = batch.queries.len() as i64;
            by_lane[batch.lane as usize] = losses.narrow(0, start, rows).sum(Kind::Double).double_value(&[]);
            start += rows;
        }
        Sums {
            weight: weights.sum(Kind::Double).double_value(&[]),
            queries: start as u64,
            rows: batches.iter().map(|batch| batch.rows.len() as u64).sum(),
            control,
            by_lane,
        }
    }

    /// All workers'.
    pub(super) fn reduce(self, collective: &dyn Collective) -> Result<Self, TowersError> {
        if collective.size() == 1 {
            return Ok(self);
        }
        let mut words = vec![self.weight, self.queries as f64, self.rows as f64];
        words.extend((0..CONTROL_BITS).map(|bit| (self.control >> bit & 1) as f64));
        words.extend(&self.by_lane);
        let mut tensor = Tensor::from_slice(&words);
        collective.all_reduce_sum(&mut tensor)?;
        tensor.copy_data(&mut words, tensor.numel());
        let control = (0..CONTROL_BITS).filter(|bit| words[3 + bit] > 0.0).map(|bit| 1 << bit).sum();
        Ok(Sums {
            weight: words[0],
            queries: words[1] as u64,
            rows: words[2] as u64,
            control,
            by_lane: words[3 + CONTROL_BITS..].to_vec(),
        })
    }

    /// Mean loss by weight.
    pub(super) fn loss(&self) -> f64 {
        self.by_lane.iter().sum::<f64>() / self.weight.max(f64::MIN_POSITIVE)
    }

    /// The first lane whose loss is no number.
    pub(super) fn not_finite(&self) -> Option<(u32, f64)> {
        let lanes = self.by_lane.iter().enumerate();
        lanes.map(|(lane, &loss)| (lane as u32, loss)).find(|(_, loss)| !loss.is_finite())
    }
}
