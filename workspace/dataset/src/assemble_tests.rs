#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use twinspire_job::Objective;

use super::*;
use crate::objective::ActionValue;

#[derive(Debug)]
struct Owned {
    row: u64,
    items: Vec<i32>,
    actions: Vec<u8>,
    timestamps: Vec<i64>,
    surfaces: Vec<u8>,
    durations: Vec<f32>,
    train_end: usize,
}

impl Owned {
    /// A user whose every value tells where it is from.
    fn telling(row: u64, len: usize, train_end: usize) -> Owned {
        Owned {
            row,
            items: (0..len).map(|at| (row as i32 % 1000) * 1000 + at as i32).collect(),
            actions: (0..len).map(|at| (at % 3) as u8).collect(),
            timestamps: (0..len).map(|at| row as i64 * 1_000_000 + at as i64 * 1000).collect(),
            surfaces: (0..len).map(|at| (at % 5) as u8).collect(),
            durations: (0..len).map(|at| at as f32 + 0.5).collect(),
            train_end,
        }
    }

    fn timeline(&self) -> Timeline<'_> {
        Timeline {
            row: self.row,
            items: &self.items,
            actions: &self.actions,
            timestamps: &self.timestamps,
            surfaces: &self.surfaces,
            durations: &self.durations,
            train_end: self.train_end,
            validation_end: self.train_end,
            ..Timeline::default()
        }
    }
}

fn rules(objective: Objective) -> QueryRules {
    let value = |positive, weight| ActionValue { positive, weight };
    QueryRules {
        objective,
        max_actions: 20,
        dense_positions: 6,
        max_positives: 4,
        window_ms: 5_000,
        equal_users: true,
        actions: vec![value(true, 1.0), value(true, 2.0), value(false, 1.0)],
    }
}

fn users() -> impl Strategy<Value = Vec<Owned>> {
    prop::collection::vec((0usize..50, 0.0f64..=1.0), 0..30).prop_map(|lens| {
        lens.into_iter()
            .enumerate()
            .map(|(row, (len, part))| Owned::telling(row as u64 + 5, len, (len as f64 * part) as usize))
            .collect()
    })
}

const AT: LaneStep = LaneStep { epoch: 1, step: 12, lane: 3 };

proptest! {
    #[test]
    fn every_user_is_in_the_batch_and_every_action_in_its_place(
        users in users(),
        objective in prop::sample::select(vec![
            Objective::Sasrec, Objective::NextAction, Objective::AllAction, Objective::DenseAllAction,
        ]),
    ) {
        let by_row: BTreeMap<u64, &Owned> = users.iter().map(|user| (user.row, user)).collect();
        let mut assembler = Assembler::new(7, rules(objective), BucketRules { max: 4, overhead: 8 });
        let batch = assembler.assemble(AT, users.iter().map(Owned::timeline));
        prop_assert_eq!(batch.rows.len(), users.len());
        prop_assert_eq!(batch.rows.iter().collect::<BTreeSet<_>>(), by_row.keys().collect::<BTreeSet<_>>());

        let tokens = &batch.tokens;
        let grid: usize = tokens.buckets.iter().map(|bucket| bucket.users * bucket.len).sum();
        for column in [tokens.items.len(), tokens.actions.len()] {
            prop_assert_eq!(column, grid);
        }
        prop_assert_eq!(tokens.buckets.iter().map(|bucket| bucket.users).sum::<usize>(), tokens.users());
        prop_assert!(tokens.lengths.is_sorted());

        // Cells of each user hold a run of its training part; all others are zero.
        let mut used = vec![false; grid];
        for (slot, first) in tokens.first_tokens().into_iter().enumerate() {
            let user = by_row[&batch.rows[slot]];
            let first = first as usize;
            let start = user.items.iter().position(|&item| i64::from(item) == tokens.items[first]).unwrap();
            for place in 0..tokens.lengths[slot] as usize {
                let (cell, at) = (first + place, start + place);
                prop_assert!(at < user.train_end);
                prop_assert_eq!(tokens.items[cell], i64::from(user.items[at]));
                prop_assert_eq!(tokens.actions[cell], i64::from(user.actions[at]));
                prop_assert_eq!(tokens.surfaces[cell], i64::from(user.surfaces[at]));
                prop_assert_eq!(tokens.times[cell], user.timestamps[at]);
                prop_assert_eq!(tokens.durations[cell], user.durations[at]);
                used[cell] = true;
            }
        }
        for cell in (0..grid).filter(|&cell| !used[cell]) {
            prop_assert_eq!((tokens.items[cell], tokens.actions[cell], tokens.times[cell]), (0, 0, 0));
        }

        // Queries sit on a real action of their user and predict something later.
        let queries = &batch.queries;
        let firsts = tokens.first_tokens();
        let mut sums = vec![0.0; tokens.users()];
        for query in 0..queries.len() {
            let slot = queries.user_slot[query] as usize;
            prop_assert_eq!(queries.user[query], batch.rows[slot] as i64);
            let place = queries.token[query] - firsts[slot];
            prop_assert!(place >= 0 && place < i64::from(tokens.lengths[slot]));
            prop_assert!(queries.positive[query] > tokens.items[queries.token[query] as usize]);
            let own = queries.user_positives_offsets[slot] as usize..queries.user_positives_offsets[slot + 1] as usize;
            prop_assert!(queries.user_positives[own].binary_search(&queries.positive[query]).is_ok());
            sums[slot] += queries.weight[query];
        }
        prop_assert!(sums.iter().all(|sum| (0.99..=2.01).contains(sum)), "{sums:?}");
        prop_assert_eq!(queries.user_positives_offsets.len(), tokens.users() + 1);
    }

    #[test]
    fn histories_hold_the_newest_actions_before_their_end(users in users(), max_actions in 1usize..30) {
        let timelines: Vec<Timeline<'_>> = users.iter().map(Owned::timeline).collect();
        for end in [HistoryEnd::Train, HistoryEnd::Validation, HistoryEnd::All] {
            let made = Tokens::histories(&timelines, end, max_actions, BucketRules::default());
            let with_history = timelines.iter().filter(|user| user.end(end) > 0).count();
            prop_assert_eq!(made.order.len(), with_history);
            for (slot, last) in made.tokens.last_tokens().into_iter().enumerate() {
                let user = &timelines[made.order[slot]];
                prop_assert_eq!(made.tokens.lengths[slot] as usize, user.end(end).min(max_actions));
                prop_assert_eq!(made.tokens.items[last as usize], i64::from(user.items[user.end(end) - 1]));
            }
        }
    }
}

#[test]
fn a_batch_without_users_is_empty() {
    let batch =
        Assembler::new(7, rules(Objective::Sasrec), BucketRules::default()).assemble(AT, std::iter::empty());
    let empty = Queries { user_positives_offsets: vec![0], ..Queries::default() };
    assert_eq!(batch, LaneBatch { epoch: 1, step: 12, lane: 3, queries: empty, ..LaneBatch::default() });
}

#[test]
fn columns_the_dataset_lacks_are_empty() {
    let bare = Owned { timestamps: vec![], surfaces: vec![], durations: vec![], ..Owned::telling(1, 9, 9) };
    let batch = Assembler::new(7, rules(Objective::Sasrec), BucketRules::default())
        .assemble(AT, std::iter::once(bare.timeline()));
    assert_eq!(batch.tokens.items.len(), 7);
    assert!(
        batch.tokens.times.is_empty()
            && batch.tokens.surfaces.is_empty()
            && batch.tokens.durations.is_empty()
    );
}

/// The towers need some hundred thousand tokens a second a core at most; ten times that, measured
/// on whatever machine runs the tests, leaves them no reason to wait.
#[test]
fn assembly_makes_a_million_tokens_a_second_and_more() {
    for (name, len) in [("short histories", 9), ("long histories", 165)] {
        let users: Vec<Owned> = (0..256).map(|row| Owned::telling(row, len, len)).collect();
        let rules = QueryRules { max_actions: 200, dense_positions: 32, ..rules(Objective::DenseAllAction) };
        let mut assembler = Assembler::new(7, rules, BucketRules::default());
        let (start, mut tokens, mut step) = (Instant::now(), 0, 0);
        while start.elapsed() < Duration::from_millis(200) {
            let batch = assembler.assemble(LaneStep { step, ..AT }, users.iter().map(Owned::timeline));
            tokens += batch.tokens.actions_held();
            step += 1;
        }
        let rate = tokens as f64 / start.elapsed().as_secs_f64();
        println!("{name}: {rate:.2e} tokens/s");
        assert!(rate > 1e6, "{name}: {rate:.2e} tokens/s");
    }
}
