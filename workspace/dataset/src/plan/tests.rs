#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn plan(shards: &[u64], lanes: u32, per_lane: u32, shuffle_shards: u32) -> Plan {
    let settings = PlanSettings { seed: 7, lanes, global_batch: lanes * per_lane, shuffle_shards };
    Plan::of_shards(shards, settings).unwrap()
}

proptest! {
    /// Invariant 2.
    #[test]
    fn every_row_is_trained_exactly_once_an_epoch(
        shards in prop::collection::vec(0u64..40, 1..30),
        lanes in 1u32..12,
        per_lane in 1u32..9,
        shuffle_shards in 1u32..5,
        epoch in 0u32..4,
    ) {
        prop_assume!(shards.iter().sum::<u64>() > 0);
        let plan = plan(&shards, lanes, per_lane, shuffle_shards);
        let epoch_plan = plan.epoch(epoch);
        let mut trained = Vec::new();
        for lane in 0..lanes {
            let lane_plan = epoch_plan.lane(lane);
            prop_assert_eq!(lane_plan.rows(), { let span = plan.lane_span(lane); span.end - span.start });
            for step in 0..plan.steps_per_epoch() {
                let rows = lane_plan.rows_of(step);
                prop_assert!(rows.len() as u64 <= plan.rows_per_lane_step());
                trained.extend(rows);
            }
            prop_assert!(lane_plan.rows_of(plan.steps_per_epoch()).is_empty());
        }
        trained.sort_unstable();
        prop_assert_eq!(trained, (0..plan.rows()).collect::<Vec<_>>());
    }

    #[test]
    fn lanes_differ_by_at_most_one_row(rows in 1u64..10_000, lanes in 1u32..100) {
        let plan = plan(&[rows], lanes, 1, 1);
        let sizes: BTreeSet<u64> = (0..lanes)
            .map(|lane| plan.lane_span(lane))
            .map(|span| span.end - span.start)
            .collect();
        prop_assert!(sizes.last().unwrap() - sizes.first().unwrap() <= 1);
        prop_assert_eq!(*sizes.last().unwrap(), rows.div_ceil(u64::from(lanes)));
    }

    #[test]
    fn all_steps_but_the_last_are_full(rows in 1u64..2_000, lanes in 1u32..9, per_lane in 1u32..9) {
        let plan = plan(&[rows], lanes, per_lane, 1);
        let epoch = plan.epoch(0);
        for lane in 0..lanes {
            let lane_plan = epoch.lane(lane);
            for step in 0..plan.steps_per_epoch().saturating_sub(2) {
                let span = lane_plan.step_span(step);
                prop_assert_eq!(span.end - span.start, u64::from(per_lane));
            }
        }
    }

    /// Where a step is follows from the step alone, whatever happened before it.
    #[test]
    fn the_cursor_counts_every_step_of_every_epoch(steps_per_epoch in 1u64..50, step in 0u64..10_000) {
        let cursor = Cursor::at(step, steps_per_epoch);
        prop_assert!(cursor.step < steps_per_epoch);
        prop_assert_eq!(u64::from(cursor.epoch) * steps_per_epoch + cursor.step, step);
    }

    #[test]
    fn a_lane_touches_only_the_shards_of_its_span(
        shards in prop::collection::vec(0u64..40, 1..30),
        lanes in 1u32..12,
    ) {
        prop_assume!(shards.iter().sum::<u64>() > 0);
        let plan = plan(&shards, lanes, 1, 2);
        for lane in 0..lanes {
            let lane_plan = plan.epoch(1).lane(lane);
            for block in 0..lane_plan.blocks() {
                for piece in lane_plan.pieces(block) {
                    prop_assert!(piece.rows > 0);
                    prop_assert!(piece.offset + piece.rows <= shards[piece.shard as usize]);
                }
            }
        }
    }
}

#[test]
fn epochs_and_seeds_order_shards_differently() {
    let shards = [10; 20];
    let first = plan(&shards, 4, 2, 2);
    assert_ne!(first.epoch(0).order(), first.epoch(1).order());
    let other = Plan::of_shards(&shards, PlanSettings { seed: 8, ..first.settings() }).unwrap();
    assert_ne!(first.epoch(0).order(), other.epoch(0).order());
}

#[test]
fn rows_are_shuffled_inside_blocks_only() {
    let plan = plan(&[100; 8], 1, 50, 2);
    let lane = plan.epoch(0).lane(0);
    let rows = lane.rows_of_first(plan.steps_per_epoch());
    for block in 0..lane.blocks() {
        let span = lane.block_span(block);
        let held: BTreeSet<u64> = lane
            .pieces(block)
            .iter()
            .flat_map(|piece| piece.first_row..piece.first_row + piece.rows)
            .collect();
        let trained = &rows[span.start as usize..span.end as usize];
        assert_eq!(trained.iter().copied().collect::<BTreeSet<_>>(), held);
        assert!(!trained.is_sorted());
    }
}

/// Resumed jobs rely on it: a change of these numbers is a change of the format.
#[test]
fn the_plan_stays_the_same_from_version_to_version() {
    let plan = plan(&[5, 3, 4, 0, 6, 2], 2, 3, 2);
    assert_eq!(plan.epoch(0).order(), [4, 3, 0, 5, 2, 1]);
    let rows = [(0, 0), (1, 3), (1, 4)].map(|(lane, step)| plan.rows_of(lane, step));
    assert_eq!(rows, [vec![12, 1, 3], vec![5], vec![2, 15, 17]]);
}

#[test]
fn impossible_settings_are_refused_with_the_field() {
    let refused = |shards: &[u64], lanes, global_batch, shuffle_shards| {
        let settings = PlanSettings { seed: 0, lanes, global_batch, shuffle_shards };
        Plan::of_shards(shards, settings).unwrap_err().to_string()
    };
    assert!(refused(&[1], 0, 1, 1).contains("`lanes`"));
    assert!(refused(&[1], 2, 3, 1).contains("`train.global_batch`"));
    assert!(refused(&[1], 2, 0, 1).contains("`train.global_batch`"));
    assert!(refused(&[1], 2, 2, 0).contains("`train.shuffle_shards`"));
    assert!(refused(&[0, 0], 2, 2, 1).contains("no users"));
}
