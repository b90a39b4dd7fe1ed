//! Which items are the columns of a step's loss.
//!
//! Invariant 1: they are drawn by (seed, step, lane) and stand in lane order, so that every worker count
//! has the same columns.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};
use twinspire_collective::{Collective, CollectiveError};
use twinspire_dataset::LaneBatch;
use twinspire_job::{Negatives, NegativesMode};

use super::Trainer;
use crate::TowersError;
use crate::item::host;
use crate::seed::{Purpose, seed_of};

/// A step's candidates, in lane order: the same lists on every worker. The whole catalogue, as
/// negatives, is not listed.
#[derive(Default)]
pub(super) struct Chosen {
    /// `(item, user)` of the positives that are in-batch negatives.
    pub sampled: Vec<(i64, i64)>,
    /// Which of this worker's rows those among `sampled` are.
    pub own_sampled: Vec<i64>,
    /// Items lanes offer.
    pub offered: Vec<i64>,
}

impl Chosen {
    /// All items, sampled ones first.
    pub(super) fn items(&self) -> Vec<i64> {
        self.sampled.iter().map(|pair| pair.0).chain(self.offered.iter().copied()).collect()
    }
}

impl Trainer {
    /// Chooses the step's candidates; counts positives for logQ.
    pub(super) fn choose_candidates(&mut self, batches: &[LaneBatch]) -> Result<Chosen, TowersError> {
        let negatives = self.spec.loss.negatives;
        let mut chosen = Chosen::default();
        if uses_in_batch(negatives.mode) {
            let positives = GlobalPositives::gather(batches, self.model.device(), self.collective())?;
            if let Some(sketch) = &mut self.sketch {
                sketch.add(positives.items.iter().copied());
                self.counted.clone_from(&positives.items);
            }
            let sampled = positives.sample(negatives.max_in_batch, self.spec.seed, self.step);
            let own = positives.of_rank(self.collective.rank());
            let in_own = sampled.iter().filter(|at| own.contains(at));
            chosen.own_sampled = in_own.map(|at| (at - own.start) as i64).collect();
            chosen.sampled = sampled.iter().map(|&at| (positives.items[at], positives.users[at])).collect();
        }
        if negatives.mode != NegativesMode::Full {
            chosen.offered = (0..self.spec.lanes).flat_map(|lane| self.offered_by(lane)).collect();
        }
        Ok(chosen)
    }

    /// Items a lane offers as negatives in this step.
    pub(super) fn offered_by(&self, lane: u32) -> Vec<i64> {
        let (negatives, items) = (self.spec.loss.negatives, self.model.features.items());
        offered(negatives, items, lane, self.spec.lanes, self.spec.seed, self.step)
    }
}

/// Whether positives of other rows are negatives.
pub(super) fn uses_in_batch(mode: NegativesMode) -> bool {
    matches!(mode, NegativesMode::InBatch | NegativesMode::MixedConcat | NegativesMode::MixedSum)
}

/// Positives of the global batch, in lane order.
struct GlobalPositives {
    /// Items.
    items: Vec<i64>,
    /// Users (dataset rows).
    users: Vec<i64>,
    /// How many each worker has, by rank.
    by_rank: Vec<usize>,
}

impl GlobalPositives {
    /// Gathers `(item, user)` of every lane of every worker.
    fn gather(
        batches: &[LaneBatch],
        device: Device,
        collective: &dyn Collective,
    ) -> Result<Self, CollectiveError> {
        let pairs: Vec<i64> = batches
            .iter()
            .flat_map(|batch| batch.queries.positive.iter().zip(&batch.queries.user))
            .flat_map(|(&item, &user)| [item, user])
            .collect();
        let mine = Tensor::from_slice(&pairs).view([-1, 2]).to_device(device); // [own queries, 2]
        let parts = if collective.size() == 1 { vec![mine] } else { collective.all_gather(&mine)? };
        let by_rank = parts.iter().map(|part| part.size()[0] as usize).collect();
        let all = host(&Tensor::cat(&parts, 0)); // [queries of all workers, 2]
        let column = |at: usize| all.chunks_exact(2).map(|pair| pair[at]).collect();
        Ok(GlobalPositives { items: column(0), users: column(1), by_rank })
    }

    /// Global numbers of the positives used as in-batch negatives: all, or `limit` of them drawn by
    /// (seed, step), in order.
    fn sample(&self, limit: u32, seed: u64, step: u64) -> Vec<usize> {
        let total = self.items.len();
        let limit = limit as usize;
        if limit == 0 || limit >= total {
            return (0..total).collect();
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed_of(seed, Purpose::InBatchSample, step, 0));
        let mut chosen = rand::seq::index::sample(&mut rng, total, limit).into_vec();
        chosen.sort_unstable();
        chosen
    }

    /// Global numbers of a worker's own positives.
    fn of_rank(&self, rank: usize) -> Range<usize> {
        let start = self.by_rank[..rank].iter().sum();
        start..start + self.by_rank[rank]
    }
}

/// Items a lane offers as negatives of its own accord: its share of the uniform random ones, or of
/// the whole catalogue.
fn offered(negatives: Negatives, items: i64, lane: u32, lanes: u32, seed: u64, step: u64) -> Vec<i64> {
    let share = |total: i64| {
        let bound = |lane: u32| total * i64::from(lane) / i64::from(lanes);
        bound(lane)..bound(lane + 1)
    };
    match negatives.mode {
        NegativesMode::InBatch => Vec::new(),
        NegativesMode::Full => share(items).collect(),
        NegativesMode::Random | NegativesMode::MixedSum | NegativesMode::MixedConcat => {
            let mut rng = ChaCha8Rng::seed_from_u64(seed_of(seed, Purpose::RandomNegatives, step, lane));
            share(i64::from(negatives.random)).map(|_| rng.random_range(0..items)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lanes_offer_the_whole_catalogue_once(items in 1i64..500, lanes in 1u32..17) {
            let full = Negatives { mode: NegativesMode::Full, max_in_batch: 0, random: 0 };
            let all: Vec<i64> = (0..lanes).flat_map(|lane| offered(full, items, lane, lanes, 1, 1)).collect();
            prop_assert_eq!(all, (0..items).collect::<Vec<_>>());
        }

        #[test]
        fn lanes_together_draw_the_random_negatives_asked_for(random in 0u32..1000, lanes in 1u32..17, step in 0u64..9) {
            let mode = Negatives { mode: NegativesMode::Random, max_in_batch: 0, random };
            let drawn: Vec<i64> = (0..lanes).flat_map(|lane| offered(mode, 77, lane, lanes, 5, step)).collect();
            prop_assert_eq!(drawn.len(), random as usize);
            prop_assert!(drawn.iter().all(|id| (0..77).contains(id)));
        }

        #[test]
        fn a_sample_of_positives_is_in_order_without_repeats(total in 0usize..300, limit in 0u32..400, step in 0u64..9) {
            let positives = GlobalPositives { items: vec![0; total], users: vec![0; total], by_rank: vec![total] };
            let chosen = positives.sample(limit, 3, step);
            prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
            let expected = if limit == 0 { total } else { total.min(limit as usize) };
            prop_assert_eq!(chosen.len(), expected);
        }
    }
}
