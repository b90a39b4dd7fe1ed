use tch::{Kind, Tensor};
use twinspire_collective::Collective;
use twinspire_dataset::LaneBatch;
use twinspire_dataset::audit::RowDigest;

use super::{CONTROL_BITS, Told};
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
    /// Step of the newest checkpoint that rank 0 knows to be committed.
    pub committed: u64,
    /// Which rows each lane of the job trained, nothing where other workers hold it, until they are added.
    pub trained: Vec<RowDigest>,
    /// Loss of each lane of the job, 0 where other workers hold it, until they are added.
    by_lane: Vec<f64>,
}

impl Sums {
    /// This worker's, from the losses and weights of its rows `[queries]`.
    pub(super) fn of(
        batches: &[LaneBatch],
        losses: &Tensor,
        weights: &Tensor,
        told: Told,
        lanes: u32,
    ) -> Self {
        let mut by_lane = vec![0.0; lanes as usize];
        let mut trained = vec![RowDigest::default(); lanes as usize];
        let mut start = 0;
        for batch in batches {
            trained[batch.lane as usize] = RowDigest::of(batch.rows.iter().copied());
            let rows = batch.queries.len() as i64;
            by_lane[batch.lane as usize] = losses.narrow(0, start, rows).sum(Kind::Double).double_value(&[]);
            start += rows;
        }
        Sums {
            weight: weights.sum(Kind::Double).double_value(&[]),
            queries: start as u64,
            rows: batches.iter().map(|batch| batch.rows.len() as u64).sum(),
            control: told.control,
            committed: told.committed,
            trained,
            by_lane,
        }
    }

    /// All workers'.
    pub(super) fn reduce(self, collective: &dyn Collective) -> Result<Self, TowersError> {
        if collective.size() == 1 {
            return Ok(self);
        }
        let mut words = vec![self.weight, self.queries as f64, self.rows as f64, self.committed as f64];
        words.extend((0..CONTROL_BITS).map(|bit| (self.control >> bit & 1) as f64));
        words.extend(&self.by_lane);
        words.extend(self.trained.iter().flat_map(|digest| in_doubles(*digest)));
        let mut tensor = Tensor::from_slice(&words);
        collective.all_reduce_sum(&mut tensor)?;
        tensor.copy_data(&mut words, tensor.numel());
        let (scalars, words) = words.split_at(4);
        let (control, words) = words.split_at(CONTROL_BITS);
        let (by_lane, trained) = words.split_at(self.by_lane.len());
        Ok(Sums {
            weight: scalars[0],
            queries: scalars[1] as u64,
            rows: scalars[2] as u64,
            committed: scalars[3] as u64,
            control: (0..CONTROL_BITS).filter(|bit| control[*bit] > 0.0).map(|bit| 1 << bit).sum(),
            by_lane: by_lane.to_vec(),
            trained: trained.chunks_exact(DIGEST_DOUBLES).map(from_doubles).collect(),
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

/// Doubles that a digest travels as. A lane is one worker's, so adding up changes nothing, as long as every part is an
/// integer that a double holds exactly.
const DIGEST_DOUBLES: usize = 3;

fn in_doubles(digest: RowDigest) -> [f64; DIGEST_DOUBLES] {
    [digest.count as f64, (digest.sum >> 32) as f64, f64::from(digest.sum as u32)]
}

fn from_doubles(doubles: &[f64]) -> RowDigest {
    RowDigest { count: doubles[0] as u64, sum: (doubles[1] as u64) << 32 | doubles[2] as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_travel_exactly() {
        for rows in [vec![], vec![0], vec![u64::MAX, 7, 1 << 40]] {
            let digest = RowDigest::of(rows);
            assert_eq!(from_doubles(&in_doubles(digest)), digest);
        }
        let widest = RowDigest { count: 1 << 40, sum: u64::MAX };
        assert_eq!(from_doubles(&in_doubles(widest)), widest);
    }
}
