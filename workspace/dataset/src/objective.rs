//! What a user's positions are to predict: queries, sampled by the job's objective.
//!
//! Only the training part of a timeline is looked at. Let `q` be the last positive action there
//! that has an action before it; nothing after `q` is ever predicted, so histories end before it
//! and a user without such a `q` has no queries.
//!
//! | objective | history (at most M actions) | queries |
//! |---|---|---|
//! | `sasrec` | the M actions before `q` | every position whose next action is positive predicts that |
//! | `next_action` | the M actions before `q` | the last position predicts `q` |
//! | `dense_all_action` | the M actions before `q` | a sample of positions, each predicts one random positive of the window after it |
//! | `all_action` | the M actions up to a random position | that position predicts up to `max_positives` items of the window after it |
//!
//! The window after a position holds the positives whose time is strictly later, by at most
//! `window` (PinnerFormer, arXiv 2205.04507). Without time it holds all later ones.

use std::ops::Range;

use twinspire_job::{Objective, UserTowerSpec};

use crate::format::Manifest;
use crate::random::Random;
use crate::timeline::Timeline;

/// What an action is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActionValue {
    /// Whether it may be predicted.
    pub positive: bool,
    /// Weight of a query that predicts it.
    pub weight: f32,
}

/// How queries are made of timelines.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRules {
    /// The objective.
    pub objective: Objective,
    /// Actions of a history at most.
    pub max_actions: usize,
    /// Positions sampled from a user (`dense_all_action`).
    pub dense_positions: usize,
    /// Items predicted for a user (`all_action`).
    pub max_positives: usize,
    /// Length of the window in milliseconds.
    pub window_ms: i64,
    /// Whether a user's weights are divided by its number of queries.
    pub equal_users: bool,
    /// What actions are worth, by their index.
    pub actions: Vec<ActionValue>,
}

impl QueryRules {
    /// The rules of a job's user tower on a dataset.
    pub fn of(user: &UserTowerSpec, manifest: &Manifest) -> QueryRules {
        QueryRules {
            objective: user.objective,
            max_actions: user.max_actions as usize,
            dense_positions: user.dense_positions as usize,
            max_positives: user.max_positives as usize,
            window_ms: i64::try_from(user.window.0.as_millis()).unwrap_or(i64::MAX),
            equal_users: user.equal_users,
            actions: action_values(manifest),
        }
    }
}

/// What a dataset's actions are worth, by their index.
pub fn action_values(manifest: &Manifest) -> Vec<ActionValue> {
    let value =
        |action: &crate::format::ActionInfo| ActionValue { positive: action.positive, weight: action.weight };
    manifest.actions.iter().map(value).collect()
}

/// A position that predicts an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Query {
    /// Place in the history, from its first action.
    pub(crate) position: usize,
    /// Item index.
    pub(crate) item: i32,
    /// Weight in the loss.
    pub(crate) weight: f32,
}

/// Samples queries; keeps its buffers from user to user.
pub(crate) struct Sampler {
    rules: QueryRules,
    /// Indices of the training part's positives.
    positives: Vec<usize>,
    /// Positions with something in their window.
    open: Vec<Open>,
    /// Items of one window.
    items: Vec<(i32, f32)>,
}

/// A position and its window: a range of `Sampler::positives`.
#[derive(Clone, Copy)]
struct Open {
    position: usize,
    first: usize,
    end: usize,
}

impl Sampler {
    pub(crate) fn new(rules: QueryRules) -> Sampler {
        Sampler { rules, positives: Vec::new(), open: Vec::new(), items: Vec::new() }
    }

    /// Appends a user's queries to `queries` and returns its history, as a range of the timeline:
    /// empty when there is nothing to predict.
    pub(crate) fn sample(
        &mut self,
        user: &Timeline<'_>,
        random: &mut Random,
        queries: &mut Vec<Query>,
    ) -> Range<usize> {
        let before = queries.len();
        let history = match self.rules.objective {
            Objective::Sasrec => self.every_position(user, queries),
            Objective::NextAction => self.last_position(user, queries),
            Objective::DenseAllAction => self.sampled_positions(user, random, queries),
            Objective::AllAction => self.random_cut(user, random, queries),
        };
        let added = &mut queries[before..];
        if added.is_empty() {
            return 0..0;
        }
        if self.rules.equal_users {
            let share = 1.0 / added.len() as f32;
            added.iter_mut().for_each(|query| query.weight *= share);
        }
        history
    }

    fn value(&self, user: &Timeline<'_>, index: usize) -> ActionValue {
        self.rules.actions[usize::from(user.actions[index])]
    }

    /// The M actions before the last positive one; empty when there is none with a history.
    fn before_last_positive(&self, user: &Timeline<'_>) -> Range<usize> {
        match (1..user.train_end).rev().find(|&index| self.value(user, index).positive) {
            Some(last) => last.saturating_sub(self.rules.max_actions)..last,
            None => 0..0,
        }
    }

    fn every_position(&self, user: &Timeline<'_>, queries: &mut Vec<Query>) -> Range<usize> {
        let history = self.before_last_positive(user);
        for index in history.clone() {
            let next = self.value(user, index + 1);
            if next.positive {
                let position = index - history.start;
                queries.push(Query { position, item: user.items[index + 1], weight: next.weight });
            }
        }
        history
    }

    fn last_position(&self, user: &Timeline<'_>, queries: &mut Vec<Query>) -> Range<usize> {
        let history = self.before_last_positive(user);
        if !history.is_empty() {
            let weight = self.value(user, history.end).weight;
            queries.push(Query { position: history.len() - 1, item: user.items[history.end], weight });
        }
        history
    }

    fn sampled_positions(
        &mut self,
        user: &Timeline<'_>,
        random: &mut Random,
        queries: &mut Vec<Query>,
    ) -> Range<usize> {
        let history = self.before_last_positive(user);
        self.find_open(user, history.clone());
        let count = self.rules.dense_positions.min(self.open.len());
        random.sample_front(&mut self.open, count);
        self.open.truncate(count);
        self.open.sort_unstable_by_key(|open| open.position);
        for open in &self.open {
            let pick = open.first + random.below((open.end - open.first) as u64) as usize;
            let index = self.positives[pick];
            let weight = self.rules.actions[usize::from(user.actions[index])].weight;
            queries.push(Query { position: open.position - history.start, item: user.items[index], weight });
        }
        history
    }

    fn random_cut(
        &mut self,
        user: &Timeline<'_>,
        random: &mut Random,
        queries: &mut Vec<Query>,
    ) -> Range<usize> {
        let before_last = self.before_last_positive(user);
        self.find_open(user, 0..before_last.end);
        if self.open.is_empty() {
            return 0..0;
        }
        let cut = self.open[random.below(self.open.len() as u64) as usize];
        let history = (cut.position + 1).saturating_sub(self.rules.max_actions)..cut.position + 1;
        self.items.clear();
        for &index in &self.positives[cut.first..cut.end] {
            let weight = self.rules.actions[usize::from(user.actions[index])].weight;
            self.items.push((user.items[index], weight));
        }
        // An item is predicted once, with the weight of the most valuable action on it.
        self.items.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        self.items.dedup_by_key(|(item, _)| *item);
        let count = self.rules.max_positives.min(self.items.len());
        random.sample_front(&mut self.items, count);
        let position = history.len() - 1;
        queries.extend(self.items[..count].iter().map(|&(item, weight)| Query { position, item, weight }));
        history
    }

    /// Finds the positions of `among` with a positive in the window after them. Both ends of the
    /// window only move forward with the position, so this is one pass.
    fn find_open(&mut self, user: &Timeline<'_>, among: Range<usize>) {
        self.positives.clear();
        self.open.clear();
        let (rules, positives) = (&self.rules, &mut self.positives);
        let is_positive = |&index: &usize| rules.actions[usize::from(user.actions[index])].positive;
        positives.extend((among.start..user.train_end).filter(is_positive));
        let timed = !user.timestamps.is_empty();
        let (mut first, mut end) = (0, if timed { 0 } else { positives.len() });
        for position in among {
            if timed {
                let now = user.timestamps[position];
                let last = now.saturating_add(rules.window_ms);
                while first < positives.len() && user.timestamps[positives[first]] <= now {
                    first += 1;
                }
                while end < positives.len() && user.timestamps[positives[end]] <= last {
                    end += 1;
                }
            } else {
                while first < positives.len() && positives[first] <= position {
                    first += 1;
                }
            }
            if first < end {
                self.open.push(Open { position, first, end });
            }
        }
    }
}

#[cfg(test)]
#[path = "objective_tests.rs"]
mod tests;
