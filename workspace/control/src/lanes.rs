//! Which lanes a rank holds.

use std::ops::Range;

/// Deals `lanes` to `world` ranks: contiguous ranges, as even as can be, larger ones first.
///
/// Ranks beyond the number of lanes get an empty range (jobs that ask for so many are refused
/// before they get here).
pub fn deal(lanes: u32, world: u32) -> Vec<Range<u32>> {
    (0..world).map(|rank| share(lanes, world, rank)).collect()
}

/// The lanes of one rank; `world` is not 0.
pub fn share(lanes: u32, world: u32, rank: u32) -> Range<u32> {
    let (even, larger) = (lanes / world, lanes % world);
    let bound = |rank: u32| rank * even + rank.min(larger);
    bound(rank)..bound(rank + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::deal;

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
        }
    }
}
