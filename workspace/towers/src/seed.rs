//! Seeds keyed by what they are for, never by who computes it (invariant 1).

use xxhash_rust::xxh3::xxh3_64;

/// What a stream of random numbers is for.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Weights = 1,
    Dropout = 2,
    RandomNegatives = 3,
    InBatchSample = 4,
}

/// Seed of one stream: a function of the job's seed, the purpose, the step and the lane.
pub(crate) fn seed_of(job_seed: u64, purpose: Purpose, step: u64, lane: u32) -> u64 {
    let mut key = [0u8; 32];
    for (slot, word) in key.chunks_exact_mut(8).zip([job_seed, purpose as u64, step, u64::from(lane)]) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    xxh3_64(&key)
}
