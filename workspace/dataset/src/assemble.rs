//! Timelines -> the dense grids that towers read.

use std::ops::Range;

use crate::batch::{LaneBatch, Queries, Tokens};
use crate::bucket::{BucketRules, buckets};
use crate::objective::{Query, QueryRules, Sampler};
use crate::random::{Purpose, Random};
use crate::timeline::{HistoryEnd, Timeline};

/// Where a lane's batch is in the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneStep {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Step of the whole job, from 0.
    pub step: u64,
    /// Lane.
    pub lane: u32,
}

/// Makes lanes' batches of timelines; keeps its buffers from batch to batch.
pub struct Assembler {
    seed: u64,
    bucket_rules: BucketRules,
    is_positive: Vec<bool>,
    sampler: Sampler,
    queries: Vec<Query>,
}

/// A user's part in a batch.
struct Part<'a> {
    user: Timeline<'a>,
    /// Its history, as a range of the timeline.
    history: Range<usize>,
    /// Its queries, as a range of `Assembler::queries`.
    queries: Range<usize>,
}

impl Assembler {
    /// An assembler of a job. `seed` is the job's.
    pub fn new(seed: u64, rules: QueryRules, bucket_rules: BucketRules) -> Assembler {
        let is_positive = rules.actions.iter().map(|action| action.positive).collect();
        Assembler { seed, bucket_rules, is_positive, sampler: Sampler::new(rules), queries: Vec::new() }
    }

    /// The batch of a lane-step from its users. A function of the seed, `at` and the users alone.
    pub fn assemble<'a>(&mut self, at: LaneStep, users: impl Iterator<Item = Timeline<'a>>) -> LaneBatch {
        self.queries.clear();
        let mut parts = Vec::with_capacity(users.size_hint().0);
        let mut without_queries = Vec::new();
        for user in users {
            let mut random = Random::keyed(Purpose::Queries, self.seed, at.step, at.lane, user.row);
            let start = self.queries.len();
            let history = self.sampler.sample(&user, &mut random, &mut self.queries);
            if history.is_empty() {
                without_queries.push(user.row);
            } else {
                parts.push(Part { user, history, queries: start..self.queries.len() });
            }
        }
        // Stable, so that users of one length stay in the order of the plan.
        parts.sort_by_key(|part| part.history.len());
        let tokens = lay_out(parts.iter().map(|part| (&part.user, part.history.clone())), self.bucket_rules);
        let queries = self.lay_out_queries(&parts, &tokens);
        let rows = parts.iter().map(|part| part.user.row).chain(without_queries).collect();
        LaneBatch { epoch: at.epoch, step: at.step, lane: at.lane, rows, tokens, queries }
    }

    fn lay_out_queries(&self, parts: &[Part<'_>], tokens: &Tokens) -> Queries {
        let count = self.queries.len();
        let mut queries = Queries {
            token: Vec::with_capacity(count),
            user: Vec::with_capacity(count),
            user_slot: Vec::with_capacity(count),
            positive: Vec::with_capacity(count),
            weight: Vec::with_capacity(count),
            user_positives_offsets: Vec::with_capacity(parts.len() + 1),
            user_positives: Vec::new(),
        };
        queries.user_positives_offsets.push(0);
        let mut positives = Vec::new();
        for (slot, (part, first_token)) in parts.iter().zip(tokens.first_tokens()).enumerate() {
            for query in &self.queries[part.queries.clone()] {
                queries.token.push(first_token + query.position as i64);
                queries.user.push(part.user.row as i64);
                queries.user_slot.push(slot as i64);
                queries.positive.push(i64::from(query.item));
                queries.weight.push(query.weight);
            }
            let train = 0..part.user.train_end;
            distinct_items(&part.user, train, |action| self.is_positive[usize::from(action)], &mut positives);
            queries.user_positives.extend_from_slice(&positives);
            queries.user_positives_offsets.push(queries.user_positives.len() as i64);
        }
        queries
    }
}

/// Histories laid out for the towers, and whose they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histories {
    /// The grid.
    pub tokens: Tokens,
    /// `[users of the grid]` by slot: the user's place among the timelines given. Users without a
    /// single action before the end are not in the grid.
    pub order: Vec<usize>,
}

impl Tokens {
    /// The newest `max_actions` actions before `end` of each of these users.
    pub fn histories(
        users: &[Timeline<'_>],
        end: HistoryEnd,
        max_actions: usize,
        rules: BucketRules,
    ) -> Histories {
        let history = |user: &Timeline<'_>| {
            let end = user.end(end);
            end.saturating_sub(max_actions)..end
        };
        let mut order: Vec<usize> = (0..users.len()).filter(|&at| !history(&users[at]).is_empty()).collect();
        order.sort_by_key(|&at| history(&users[at]).len());
        let tokens = lay_out(order.iter().map(|&at| (&users[at], history(&users[at]))), rules);
        Histories { tokens, order }
    }
}

/// Lays out histories that are sorted by length and not empty.
fn lay_out<'u, 'a: 'u>(
    histories: impl ExactSizeIterator<Item = (&'u Timeline<'a>, Range<usize>)> + Clone,
    rules: BucketRules,
) -> Tokens {
    let lengths: Vec<usize> = histories.clone().map(|(_, history)| history.len()).collect();
    let buckets = buckets(&lengths, rules);
    let grid: usize = buckets.iter().map(|bucket| bucket.users * bucket.len).sum();
    let (mut times, mut surfaces, mut durations) = (false, false, false);
    if let Some((user, _)) = histories.clone().next() {
        times = !user.timestamps.is_empty();
        surfaces = !user.surfaces.is_empty();
        durations = !user.durations.is_empty();
    }
    let mut tokens = Tokens {
        lengths: lengths.iter().map(|&length| length as i32).collect(),
        items: vec![0; grid],
        actions: vec![0; grid],
        surfaces: vec![0; if surfaces { grid } else { 0 }],
        times: vec![0; if times { grid } else { 0 }],
        durations: vec![0.0; if durations { grid } else { 0 }],
        buckets,
    };
    let firsts = tokens.first_tokens();
    for ((user, history), first) in histories.zip(firsts) {
        let cells = first as usize..first as usize + history.len();
        widen(&mut tokens.items[cells.clone()], &user.items[history.clone()]);
        widen(&mut tokens.actions[cells.clone()], &user.actions[history.clone()]);
        if surfaces {
            widen(&mut tokens.surfaces[cells.clone()], &user.surfaces[history.clone()]);
        }
        if times {
            tokens.times[cells.clone()].copy_from_slice(&user.timestamps[history.clone()]);
        }
        if durations {
            tokens.durations[cells].copy_from_slice(&user.durations[history]);
        }
    }
    tokens
}

fn widen<T: Copy + Into<i64>>(into: &mut [i64], from: &[T]) {
    for (wide, narrow) in into.iter_mut().zip(from) {
        *wide = (*narrow).into();
    }
}

/// Puts into `items` the distinct items of a range of actions whose kind is wanted, sorted.
pub(crate) fn distinct_items(
    user: &Timeline<'_>,
    range: Range<usize>,
    wanted: impl Fn(u8) -> bool,
    items: &mut Vec<i64>,
) {
    items.clear();
    let actions = user.items[range.clone()].iter().zip(&user.actions[range]);
    items.extend(actions.filter(|(_, action)| wanted(**action)).map(|(item, _)| i64::from(*item)));
    items.sort_unstable();
    items.dedup();
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
