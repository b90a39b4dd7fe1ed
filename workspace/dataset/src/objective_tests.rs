#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::random::Purpose;

const CLICK: u8 = 0;
const SAVE: u8 = 1;
const HIDE: u8 = 2;

fn rules(objective: Objective) -> QueryRules {
    let value = |positive, weight| ActionValue { positive, weight };
    QueryRules {
        objective,
        max_actions: 4,
        dense_positions: 3,
        max_positives: 2,
        window_ms: 100,
        equal_users: false,
        actions: vec![value(true, 1.0), value(true, 3.0), value(false, 1.0)],
    }
}

struct Made {
    history: Range<usize>,
    queries: Vec<Query>,
}

impl Made {
    fn pairs(&self) -> Vec<(usize, i32)> {
        self.queries.iter().map(|query| (query.position, query.item)).collect()
    }
}

fn make(rules: &QueryRules, user: &Timeline<'_>, seed: u64) -> Made {
    let mut queries = Vec::new();
    let mut random = Random::keyed(Purpose::Queries, seed, 0, 0, user.row);
    let history = Sampler::new(rules.clone()).sample(user, &mut random, &mut queries);
    Made { history, queries }
}

/// A user whose actions are all trained on.
fn user<'a>(items: &'a [i32], actions: &'a [u8], timestamps: &'a [i64]) -> Timeline<'a> {
    let len = items.len();
    Timeline { items, actions, timestamps, train_end: len, validation_end: len, ..Timeline::default() }
}

#[test]
fn sasrec_predicts_the_next_action_from_every_position() {
    let made = make(&rules(Objective::Sasrec), &user(&[10, 11, 12, 13], &[CLICK; 4], &[]), 0);
    assert_eq!(made.history, 0..3);
    assert_eq!(made.pairs(), [(0, 11), (1, 12), (2, 13)]);
}

#[test]
fn sasrec_keeps_the_newest_actions() {
    let made = make(&rules(Objective::Sasrec), &user(&[10, 11, 12, 13, 14, 15], &[CLICK; 6], &[]), 0);
    assert_eq!(made.history, 1..5);
    assert_eq!(made.pairs(), [(0, 12), (1, 13), (2, 14), (3, 15)]);
}

#[test]
fn actions_that_are_not_positive_are_read_but_not_predicted() {
    let actions = [CLICK, HIDE, SAVE, HIDE];
    let made = make(&rules(Objective::Sasrec), &user(&[10, 11, 12, 13], &actions, &[]), 0);
    assert_eq!(made.history, 0..2);
    assert_eq!(made.queries, [Query { position: 1, item: 12, weight: 3.0 }]);
}

#[test]
fn held_out_actions_are_neither_read_nor_predicted() {
    let timeline = Timeline { train_end: 3, ..user(&[10, 11, 12, 13, 14], &[CLICK; 5], &[1, 2, 3, 4, 5]) };
    for objective in
        [Objective::Sasrec, Objective::NextAction, Objective::AllAction, Objective::DenseAllAction]
    {
        for seed in 0..50 {
            let made = make(&rules(objective), &timeline, seed);
            assert!(made.history.end <= 2);
            assert!(made.queries.iter().all(|query| query.item <= 12), "{objective:?}");
        }
    }
}

#[test]
fn next_action_predicts_the_last_positive_from_the_last_position() {
    let actions = [CLICK, CLICK, SAVE, HIDE];
    let made = make(&rules(Objective::NextAction), &user(&[10, 11, 12, 13], &actions, &[]), 0);
    assert_eq!(made.history, 0..2);
    assert_eq!(made.queries, [Query { position: 1, item: 12, weight: 3.0 }]);
}

#[test]
fn users_with_nothing_to_predict_have_no_history() {
    let short = user(&[10], &[CLICK], &[1]);
    let hidden = user(&[10, 11], &[CLICK, HIDE], &[1, 2]);
    let at_once = user(&[10, 11], &[CLICK, CLICK], &[5, 5]);
    for objective in
        [Objective::Sasrec, Objective::NextAction, Objective::AllAction, Objective::DenseAllAction]
    {
        for timeline in [&short, &hidden] {
            let made = make(&rules(objective), timeline, 0);
            assert!(made.history.is_empty() && made.queries.is_empty(), "{objective:?}");
        }
    }
    for objective in [Objective::AllAction, Objective::DenseAllAction] {
        assert!(make(&rules(objective), &at_once, 0).queries.is_empty(), "{objective:?}");
    }
}

#[test]
fn without_time_the_window_is_everything_later() {
    let rules = QueryRules { dense_positions: 10, ..rules(Objective::DenseAllAction) };
    let timeline = user(&[10, 11, 12, 13], &[CLICK; 4], &[]);
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        seen.extend(make(&rules, &timeline, seed).pairs());
    }
    assert_eq!(Vec::from_iter(seen), [(0, 11), (0, 12), (0, 13), (1, 12), (1, 13), (2, 13)]);
}

#[test]
fn an_item_saved_and_clicked_is_predicted_once_as_saved() {
    let timeline = user(&[10, 11, 11, 11], &[CLICK, CLICK, SAVE, CLICK], &[1, 2, 3, 4]);
    let saved = (0..100).any(|seed| {
        let made = make(&rules(Objective::AllAction), &timeline, seed);
        assert_eq!(made.queries.len(), 1);
        made.queries[0].weight == 3.0
    });
    assert!(saved);
}

#[test]
fn the_same_key_samples_the_same_queries() {
    let items: Vec<i32> = (0..50).collect();
    let times: Vec<i64> = (0..50).map(|at| at * 10).collect();
    let timeline = user(&items, &[CLICK; 50], &times);
    let rules = rules(Objective::DenseAllAction);
    assert_eq!(make(&rules, &timeline, 3).queries, make(&rules, &timeline, 3).queries);
    assert_ne!(make(&rules, &timeline, 3).queries, make(&rules, &timeline, 4).queries);
}

fn timelines() -> impl Strategy<Value = (Vec<i32>, Vec<u8>, Vec<i64>, usize)> {
    (0usize..40).prop_flat_map(|len| {
        (
            prop::collection::vec(0i32..15, len),
            prop::collection::vec(0u8..3, len),
            prop::collection::vec(0i64..300, len).prop_map(|mut times| {
                times.sort_unstable();
                times
            }),
            0..=len,
        )
    })
}

proptest! {
    #[test]
    fn queries_keep_the_objectives_promises(
        (items, actions, times, train_end) in timelines(),
        timed: bool,
        objective in prop::sample::select(vec![
            Objective::Sasrec, Objective::NextAction, Objective::AllAction, Objective::DenseAllAction,
        ]),
        seed in 0u64..1000,
    ) {
        let rules = rules(objective);
        let timestamps: &[i64] = if timed { &times } else { &[] };
        let timeline = Timeline { train_end, ..user(&items, &actions, timestamps) };
        let made = make(&rules, &timeline, seed);
        prop_assert_eq!(made.history.is_empty(), made.queries.is_empty());
        prop_assert!(made.history.len() <= rules.max_actions);
        prop_assert!(made.history.end <= train_end);
        let windowed = matches!(objective, Objective::AllAction | Objective::DenseAllAction);
        for query in &made.queries {
            prop_assert!(query.position < made.history.len());
            let index = made.history.start + query.position;
            // Some positive action on that item lies where the objective says.
            let found = (index + 1..train_end).any(|later| {
                items[later] == query.item
                    && rules.actions[usize::from(actions[later])].positive
                    && rules.actions[usize::from(actions[later])].weight == query.weight
                    && if windowed && timed {
                        times[later] > times[index] && times[later] <= times[index] + rules.window_ms
                    } else {
                        windowed || later == index + 1
                    }
            });
            prop_assert!(found, "{query:?} from {index}");
        }
        let positions: BTreeSet<usize> = made.queries.iter().map(|query| query.position).collect();
        match objective {
            Objective::NextAction => prop_assert!(made.queries.len() <= 1),
            Objective::Sasrec => prop_assert_eq!(positions.len(), made.queries.len()),
            Objective::DenseAllAction => {
                prop_assert_eq!(positions.len(), made.queries.len());
                prop_assert!(positions.len() <= rules.dense_positions);
            }
            Objective::AllAction => {
                let distinct: BTreeSet<i32> = made.queries.iter().map(|query| query.item).collect();
                prop_assert_eq!(distinct.len(), made.queries.len());
                prop_assert!(made.queries.len() <= rules.max_positives);
                prop_assert!(positions.iter().all(|&position| position + 1 == made.history.len()));
            }
        }
    }

    #[test]
    fn equal_users_weigh_the_mean_of_their_actions(
        (items, actions, times, train_end) in timelines(),
        seed in 0u64..1000,
    ) {
        let timeline = Timeline { train_end, ..user(&items, &actions, &times) };
        let plain = make(&rules(Objective::DenseAllAction), &timeline, seed).queries;
        let equal = QueryRules { equal_users: true, ..rules(Objective::DenseAllAction) };
        let equal = make(&equal, &timeline, seed).queries;
        prop_assert_eq!(plain.len(), equal.len());
        if !plain.is_empty() {
            let mean = plain.iter().map(|query| query.weight).sum::<f32>() / plain.len() as f32;
            let sum: f32 = equal.iter().map(|query| query.weight).sum();
            prop_assert!((mean - sum).abs() < 1e-5);
        }
    }
}
