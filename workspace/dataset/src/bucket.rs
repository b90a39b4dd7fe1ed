//! Cutting users of different lengths into few dense grids with little padding.
//!
//! Users are sorted by length; a bucket is a run of them, as long as its longest. What a bucketing
//! costs is the cells of its grids plus `overhead` cells a bucket: the launch of a bucket's tensor
//! operations takes about as long as that many tokens. The cheapest cut into at most `max` buckets
//! is found exactly by dynamic programming over the distinct lengths. Since the cost of a run obeys
//! the quadrangle inequality, the best last cut moves only forward with the length, and each
//! layer of the program is solved by divide and conquer: O(max · d · log d) for d distinct lengths.

use crate::batch::Bucket;

/// How users are cut into buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketRules {
    /// Buckets at most; at least 1.
    pub max: usize,
    /// What a bucket costs besides its cells, in cells.
    pub overhead: u64,
}

impl Default for BucketRules {
    /// At most 8; a bucket more must save 64 cells. Forward and backward through two layers of
    /// width 64 take some 30 µs a token on a core, and launching their two hundred or so
    /// operations once more about 2 ms. Wider and deeper towers make cells dearer, GPUs launches.
    fn default() -> Self {
        BucketRules { max: 8, overhead: 64 }
    }
}

/// The cheapest buckets for users of these lengths, which must be sorted upwards and at least 1.
/// No users, no buckets.
pub fn buckets(lengths: &[usize], rules: BucketRules) -> Vec<Bucket> {
    debug_assert!(lengths.is_sorted() && lengths.first().is_none_or(|&length| length > 0));
    let steps = Steps::of(lengths);
    let distinct = steps.lens.len();
    if distinct == 0 {
        return Vec::new();
    }
    // layers[k][j]: least cost of the first j distinct lengths in k + 1 buckets, and where the
    // last of these buckets starts.
    let first: Vec<Cut> =
        (0..=distinct).map(|end| Cut { cost: steps.cost(0, end, rules.overhead), start: 0 }).collect();
    let mut layers = vec![first];
    while layers.len() < rules.max.min(distinct) {
        let previous = &layers[layers.len() - 1];
        let buckets = layers.len() + 1;
        let mut next = vec![Cut { cost: u64::MAX, start: 0 }; distinct + 1];
        solve(&steps, rules.overhead, previous, &mut next, (buckets, distinct), (buckets - 1, distinct - 1));
        // The least cost is convex in the number of buckets: once another one does not pay, no
        // further one will.
        if next[distinct].cost >= previous[distinct].cost {
            break;
        }
        layers.push(next);
    }
    let mut cut = Vec::with_capacity(layers.len());
    let mut end = distinct;
    for layer in layers.iter().rev() {
        let start = layer[end].start;
        cut.push(Bucket { users: steps.users(start, end), len: steps.lens[end - 1] });
        end = start;
    }
    cut.reverse();
    cut
}

#[derive(Clone, Copy)]
struct Cut {
    cost: u64,
    start: usize,
}

/// The distinct lengths and how many users have at most each.
struct Steps {
    lens: Vec<usize>,
    up_to: Vec<usize>,
}

impl Steps {
    fn of(lengths: &[usize]) -> Steps {
        let mut steps = Steps { lens: Vec::new(), up_to: vec![0] };
        for run in lengths.chunk_by(|a, b| a == b) {
            steps.lens.push(run[0]);
            steps.up_to.push(steps.up_to[steps.up_to.len() - 1] + run.len());
        }
        steps
    }

    fn users(&self, start: usize, end: usize) -> usize {
        self.up_to[end] - self.up_to[start]
    }

    /// Cost of one bucket of the distinct lengths `start..end`.
    fn cost(&self, start: usize, end: usize, overhead: u64) -> u64 {
        match end {
            0 => 0,
            _ => (self.users(start, end) * self.lens[end - 1]) as u64 + overhead,
        }
    }
}

/// Fills `next[ends.0..=ends.1]`, knowing that the best starts lie in `starts`.
fn solve(
    steps: &Steps,
    overhead: u64,
    previous: &[Cut],
    next: &mut [Cut],
    ends: (usize, usize),
    starts: (usize, usize),
) {
    if ends.0 > ends.1 {
        return;
    }
    let end = ends.0.midpoint(ends.1);
    let candidates = starts.0..=starts.1.min(end - 1);
    let costs = previous[candidates.clone()].iter().zip(candidates).map(|(before, start)| Cut {
        cost: before.cost.saturating_add(steps.cost(start, end, overhead)),
        start,
    });
    // There is at least one: `starts.0` is below every end.
    let Some(best) = costs.min_by_key(|cut| cut.cost) else { return };
    next[end] = best;
    solve(steps, overhead, previous, next, (ends.0, end - 1), (starts.0, best.start));
    solve(steps, overhead, previous, next, (end + 1, ends.1), (best.start, starts.1));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;
    use crate::random::{Purpose, Random};

    fn cost(buckets: &[Bucket], overhead: u64) -> u64 {
        buckets.iter().map(|bucket| (bucket.users * bucket.len) as u64 + overhead).sum()
    }

    /// Every way to cut, tried.
    fn cheapest(lengths: &[usize], max: usize, overhead: u64) -> u64 {
        if lengths.is_empty() {
            return 0;
        }
        if max == 0 {
            return u64::MAX;
        }
        (0..lengths.len())
            .map(|start| {
                let last = ((lengths.len() - start) * lengths[lengths.len() - 1]) as u64 + overhead;
                cheapest(&lengths[..start], max - 1, overhead).saturating_add(last)
            })
            .min()
            .unwrap()
    }

    proptest! {
        #[test]
        fn no_cut_is_cheaper(
            mut lengths in prop::collection::vec(1usize..30, 0..12),
            max in 1usize..5,
            overhead in 0u64..40,
        ) {
            lengths.sort_unstable();
            let found = buckets(&lengths, BucketRules { max, overhead });
            prop_assert!(found.len() <= max);
            prop_assert_eq!(cost(&found, overhead), cheapest(&lengths, max, overhead));
        }

        #[test]
        fn every_user_fits_into_exactly_one_bucket(
            mut lengths in prop::collection::vec(1usize..500, 0..300),
            max in 1usize..10,
            overhead in 0u64..300,
        ) {
            lengths.sort_unstable();
            let found = buckets(&lengths, BucketRules { max, overhead });
            let mut rest = &lengths[..];
            for bucket in &found {
                let (mine, others) = rest.split_at(bucket.users);
                prop_assert_eq!(mine.last(), Some(&bucket.len));
                rest = others;
            }
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn no_users_make_no_buckets() {
        assert_eq!(buckets(&[], BucketRules::default()), []);
    }

    #[test]
    fn users_of_one_length_make_one_bucket() {
        assert_eq!(buckets(&[7; 40], BucketRules::default()), [Bucket { users: 40, len: 7 }]);
    }

    /// Lengths of histories in Amazon Beauty (mean 5.7, at most 50): quantiles in steps of 1/20,
    /// with the last of them refined.
    const BEAUTY: [usize; 24] =
        [2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 6, 7, 9, 11, 18, 18, 23, 29, 50];

    #[test]
    fn little_is_padding_on_short_histories_with_a_long_tail() {
        let mut random = Random::keyed(Purpose::Queries, 1, 0, 0, 0);
        for (users, most_padding) in [(64, 0.40), (256, 0.20), (1024, 0.10)] {
            let mut lengths: Vec<usize> = (0..users)
                .map(|_| match random.below(20) as usize {
                    19 => BEAUTY[19 + random.below(5) as usize],
                    quantile => BEAUTY[quantile],
                })
                .collect();
            lengths.sort_unstable();
            let held: usize = lengths.iter().sum();
            let found = buckets(&lengths, BucketRules::default());
            let grid: usize = found.iter().map(|bucket| bucket.users * bucket.len).sum();
            let one_grid = users * lengths[users - 1];
            println!(
                "{users} users: {held} actions, {} buckets, {grid} cells, unbucketed {one_grid}",
                found.len()
            );
            assert!((grid - held) as f64 <= most_padding * held as f64, "{users}: {grid} for {held}");
            assert!(grid * 4 < one_grid, "{users}: {grid} of {one_grid}");
        }
    }
}
