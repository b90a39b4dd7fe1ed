//! Which lanes a rank holds.

use std::{cmp::Reverse, collections::BinaryHeap, ops::Range};

/// The lanes of one of `world` ranks: contiguous ranges, as even as can be, larger ones first. `world` is not 0.
///
/// Ranks beyond the number of lanes get an empty range (jobs that ask for so many are refused
/// before they get here).
pub(crate) fn share(lanes: u32, world: u32, rank: u32) -> Range<u32> {
    let (even, larger) = (lanes / world, lanes % world);
    let bound = |rank: u32| rank * even + rank.min(larger);
    bound(rank)..bound(rank + 1)
}

/// How many lanes each rank gets, by how many it can do in the same time: each one at least, as long as there are so
/// many, and then whoever would be done with one more the soonest. Ranks of the same speed get as many as in [`share`].
pub(crate) fn by_speed(lanes: u32, speeds: &[f64]) -> Vec<u32> {
    let mut shares = vec![0; speeds.len()];
    // Billionths of a lane's time, so that times have an order.
    let done = |share: u32, rank: usize| Reverse((f64::from(share) / speeds[rank] * 1e9) as u64);
    let mut next: BinaryHeap<(bool, Reverse<u64>, Reverse<usize>)> =
        (0..speeds.len()).map(|rank| (true, done(1, rank), Reverse(rank))).collect();
    for _ in 0..lanes {
        let Some((_, _, Reverse(rank))) = next.pop() else { break };
        shares[rank] += 1;
        next.push((false, done(shares[rank] + 1, rank), Reverse(rank)));
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deal(lanes: u32, world: u32) -> Vec<Range<u32>> {
        (0..world).map(|rank| share(lanes, world, rank)).collect()
    }

    #[test]
    fn who_is_half_as_fast_gets_half_as_much() {
        assert_eq!(by_speed(10, &[1.0, 0.5, 1.0]), [4, 2, 4]);
        assert_eq!(by_speed(6, &[1.0, 1.0, 0.01]), [3, 2, 1], "everybody has something to do");
        assert_eq!(by_speed(2, &[0.1, 1.0, 1.0]), [0, 1, 1]);
    }

    #[test]
    fn eight_lanes_on_three_workers_are_three_three_two() {
        assert_eq!(deal(8, 3), [0..3, 3..6, 6..8]);
    }

    proptest! {
        #[test]
        fn every_lane_is_held_by_exactly_one_rank(lanes in 1u32..300, world in 1u32..40) {
            let ranges = deal(lanes, world);
            prop_assert_eq!(ranges.len(), world as usize);
            let dealt: Vec<u32> = ranges.iter().cloned().flatten().collect();
            prop_assert_eq!(dealt, (0..lanes).collect::<Vec<_>>());
            let sizes: Vec<usize> = ranges.iter().map(|range| range.len()).collect();
            prop_assert!(sizes.iter().max().unwrap_or(&0) - sizes.iter().min().unwrap_or(&0) <= 1);
            let by_speed: Vec<usize> =
                by_speed(lanes, &vec![0.7; world as usize]).iter().map(|share| *share as usize).collect();
            prop_assert_eq!(by_speed, sizes, "the same speed is as good as none");
        }

        #[test]
        fn lanes_by_speed_add_up_and_no_lane_would_be_done_sooner_elsewhere(
            lanes in 1u32..200, speeds in proptest::collection::vec(0.05f64..3.0, 1..20),
        ) {
            let shares = by_speed(lanes, &speeds);
            prop_assert_eq!(shares.iter().sum::<u32>(), lanes);
            if lanes as usize >= speeds.len() {
                prop_assert!(shares.iter().all(|share| *share > 0));
            }
            let longest = (0..speeds.len()).filter(|rank| shares[*rank] > 1)
                .map(|rank| f64::from(shares[rank]) / speeds[rank]).fold(0.0, f64::max);
            for rank in 0..speeds.len() {
                prop_assert!(f64::from(shares[rank] + 1) / speeds[rank] >= longest - 1e-6);
            }
        }
    }
}
