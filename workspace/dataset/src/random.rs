//! Random numbers that depend on nothing but their key.
//!
//! Every random decision about data is drawn from a ChaCha8 stream whose 256-bit seed *is* the
//! key: the job's seed, what the numbers are for, and where they are used (step, lane, row, …).
//! No stream is shared, so it does not matter who draws first, on which worker, or after which
//! restart (invariants 1 and 2). The drawing itself is written out here, so that an upgrade of a
//! library cannot change which rows a lane trains on in the middle of a job.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What random numbers are for. Part of the key: the numbers are stable, new uses get new ones.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Order of an epoch's shards; keyed by epoch.
    ShardOrder = 1,
    /// Order of the rows of a block; keyed by epoch, lane and block.
    BlockOrder = 2,
    /// Queries of a user; keyed by step, lane and row.
    Queries = 3,
}

/// A stream of random numbers.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// The stream of a key. `first` and `second` are whatever the purpose is keyed by.
    pub(crate) fn keyed(purpose: Purpose, seed: u64, first: u64, lane: u32, second: u64) -> Random {
        let mut key = [0u8; 32];
        key[0..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&first.to_le_bytes());
        key[16..20].copy_from_slice(&lane.to_le_bytes());
        key[20..24].copy_from_slice(&(purpose as u32).to_le_bytes());
        key[24..32].copy_from_slice(&second.to_le_bytes());
        Random(ChaCha8Rng::from_seed(key))
    }

    /// A number from 0 to `bound - 1`, all equally likely (Lemire, arXiv 1805.10941).
    /// `bound` must not be 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0);
        let mut product = u128::from(self.0.next_u64()) * u128::from(bound);
        if (product as u64) < bound {
            let reject_below = bound.wrapping_neg() % bound;
            while (product as u64) < reject_below {
                product = u128::from(self.0.next_u64()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }

    /// Puts a uniform sample of `count` elements, in random order, at the front of `all` (Fisher
    /// and Yates, stopped early).
    pub(crate) fn sample_front<T>(&mut self, all: &mut [T], count: usize) {
        let len = all.len();
        for place in 0..count.min(len) {
            let pick = place + self.below((len - place) as u64) as usize;
            all.swap(place, pick);
        }
    }

    /// All elements in random order.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        self.sample_front(all, all.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_the_same_from_version_to_version() {
        let mut random = Random::keyed(Purpose::Queries, 7, 11, 3, 42);
        let drawn: Vec<u64> = (0..6).map(|_| random.below(1000)).collect();
        assert_eq!(drawn, [14, 921, 34, 525, 984, 569]);
    }

    #[test]
    fn every_part_of_the_key_changes_the_stream() {
        let first = |purpose, seed, a, lane, b| Random::keyed(purpose, seed, a, lane, b).below(1 << 60);
        let base = first(Purpose::Queries, 1, 2, 3, 4);
        assert_ne!(base, first(Purpose::BlockOrder, 1, 2, 3, 4));
        assert_ne!(base, first(Purpose::Queries, 9, 2, 3, 4));
        assert_ne!(base, first(Purpose::Queries, 1, 9, 3, 4));
        assert_ne!(base, first(Purpose::Queries, 1, 2, 9, 4));
        assert_ne!(base, first(Purpose::Queries, 1, 2, 3, 9));
    }

    #[test]
    fn draws_are_uniform() {
        let mut random = Random::keyed(Purpose::Queries, 0, 0, 0, 0);
        let mut seen = [0u32; 7];
        for _ in 0..70_000 {
            seen[random.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (9_500..10_500).contains(&count)), "{seen:?}");
    }

    #[test]
    fn a_shuffle_keeps_every_element() {
        let mut all: Vec<u32> = (0..1000).collect();
        Random::keyed(Purpose::ShardOrder, 1, 0, 0, 0).shuffle(&mut all);
        assert_ne!(all, (0..1000).collect::<Vec<_>>());
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    }
}
