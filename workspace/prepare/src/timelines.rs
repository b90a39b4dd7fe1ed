//! Sorted partitions -> timelines: minimums applied, split, counted.
//!
//! The log's partitions are walked up to three times: to count items when some may be too rare,
//! to count what the training part holds of each item (which decides the items' indices), and to
//! write. Every walk applies the same rules to the same order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use twinspire_dataset::format::{ActionCounts, LengthQuantiles};

use crate::PrepareError;
use crate::event::Event;
use crate::progress::Meter;
use crate::shuffle::{Finals, PARTITIONS, Shuffle, Sorted};
use crate::split::{Cut, Split};

/// What decides which actions stay and where they go.
pub(crate) struct Rules {
    pub(crate) split: Split,
    /// By action, in the manifest's order.
    pub(crate) positive: Vec<bool>,
    pub(crate) min_user_actions: u32,
    /// Items to keep, by code; `None`: all.
    pub(crate) common: Option<Vec<bool>>,
}

/// Good rows that were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) repeated: u64,
    pub(crate) rare_items: u64,
    pub(crate) short_users: u64,
    pub(crate) after_test: u64,
}

impl Rules {
    /// Calls `each(user, events, cut)` for the timelines of a partition; `events` are those kept.
    pub(crate) fn walk(&self, sorted: &Sorted, mut each: impl FnMut(&[u8], &[Event], Cut)) -> Dropped {
        let mut dropped = Dropped { repeated: sorted.repeats(), ..Dropped::default() };
        let mut kept = Vec::new();
        for (user, events) in sorted.users() {
            let events = match &self.common {
                None => events,
                Some(common) => {
                    kept.clear();
                    kept.extend(events.iter().filter(|event| common[event.item as usize]));
                    dropped.rare_items += (events.len() - kept.len()) as u64;
                    kept.as_slice()
                }
            };
            if events.is_empty() {
                continue;
            }
            if events.len() < self.min_user_actions as usize {
                dropped.short_users += events.len() as u64;
                continue;
            }
            let cut = self.split.cut(events, &self.positive);
            dropped.after_test += (events.len() - cut.len) as u64;
            each(user, &events[..cut.len], cut);
        }
        dropped
    }
}

/// Which items have at least `least` rows, by code.
pub(crate) fn common_items(
    shuffle: &Shuffle,
    finals: &Finals,
    least: u32,
    threads: usize,
) -> Result<Vec<bool>, PrepareError> {
    let counts = counters(finals.items.codes());
    each_partition(threads, |partition| {
        let sorted = shuffle.take(partition, finals)?;
        for event in sorted.events() {
            counts[event.item as usize].fetch_add(1, Relaxed);
        }
        shuffle.put_back(partition, sorted);
        Ok(())
    })?;
    Ok(counts.into_iter().map(|count| count.into_inner() >= least).collect())
}

/// What the timelines hold, all together.
#[derive(Default)]
pub(crate) struct Census {
    /// Rows of each item, by code: all, in the training part, positive ones of the training part.
    pub(crate) rows: Vec<u32>,
    pub(crate) train: Vec<u32>,
    pub(crate) positives: Vec<u32>,
    pub(crate) totals: Totals,
}

/// Sums over users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) users: u64,
    pub(crate) counts: ActionCounts,
    /// By action.
    pub(crate) actions: Vec<u64>,
    /// Users by their number of actions.
    lengths: BTreeMap<u64, u64>,
    pub(crate) time_span: Option<(i64, i64)>,
    pub(crate) dropped: Dropped,
    /// Users with a held-out action that is older than one before it in their timeline.
    pub(crate) backwards: u64,
}

impl Totals {
    fn add(&mut self, events: &[Event], cut: Cut) {
        self.users += 1;
        self.counts.total += events.len() as u64;
        self.counts.train += cut.train_end as u64;
        self.counts.validation += (cut.validation_end - cut.train_end) as u64;
        self.counts.test += (cut.len - cut.validation_end) as u64;
        *self.lengths.entry(events.len() as u64).or_default() += 1;
        // Only parts given by files can overlap in time.
        self.backwards += u64::from(events.windows(2).any(|pair| pair[0].time > pair[1].time));
        for event in events {
            let span = self.time_span.get_or_insert((event.time, event.time));
            *span = (span.0.min(event.time), span.1.max(event.time));
            let action = event.action as usize;
            if action >= self.actions.len() {
                self.actions.resize(action + 1, 0);
            }
            self.actions[action] += 1;
        }
    }

    fn merge(&mut self, other: Totals) {
        self.users += other.users;
        self.backwards += other.backwards;
        self.counts.total += other.counts.total;
        self.counts.train += other.counts.train;
        self.counts.validation += other.counts.validation;
        self.counts.test += other.counts.test;
        self.actions.resize(self.actions.len().max(other.actions.len()), 0);
        other.actions.iter().zip(&mut self.actions).for_each(|(more, sum)| *sum += more);
        other
            .lengths
            .into_iter()
            .for_each(|(length, users)| *self.lengths.entry(length).or_default() += users);
        self.time_span = match (self.time_span, other.time_span) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        self.dropped.repeated += other.dropped.repeated;
        self.dropped.rare_items += other.dropped.rare_items;
        self.dropped.short_users += other.dropped.short_users;
        self.dropped.after_test += other.dropped.after_test;
    }

    /// How many actions users have.
    pub(crate) fn lengths(&self) -> LengthQuantiles {
        let at = |quantile: f64| {
            let rank = ((quantile * self.users as f64).ceil() as u64).max(1);
            let mut below = 0;
            let found = self.lengths.iter().find(|(_, users)| {
                below += **users;
                below >= rank
            });
            found.map_or(0, |(length, _)| *length)
        };
        LengthQuantiles {
            mean: self.counts.total as f64 / self.users.max(1) as f64,
            min: at(0.0),
            p25: at(0.25),
            p50: at(0.5),
            p75: at(0.75),
            p90: at(0.9),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

/// Counts what the timelines hold.
pub(crate) fn census(
    shuffle: &Shuffle,
    finals: &Finals,
    rules: &Rules,
    threads: usize,
    meter: &Meter,
) -> Result<Census, PrepareError> {
    let codes = finals.items.codes();
    let (rows, train, positives) = (counters(codes), counters(codes), counters(codes));
    let all = Mutex::new(Totals::default());
    each_partition(threads, |partition| {
        let sorted = shuffle.take(partition, finals)?;
        let mut totals = Totals::default();
        let dropped = rules.walk(&sorted, |_, events, cut| {
            totals.add(events, cut);
            for (index, event) in events.iter().enumerate() {
                let item = event.item as usize;
                rows[item].fetch_add(1, Relaxed);
                if index < cut.train_end {
                    train[item].fetch_add(1, Relaxed);
                    if rules.positive[event.action as usize] {
                        positives[item].fetch_add(1, Relaxed);
                    }
                }
            }
        });
        totals.dropped = dropped;
        meter.add(totals.counts.total, 0);
        all.lock().unwrap_or_else(PoisonError::into_inner).merge(totals);
        shuffle.put_back(partition, sorted);
        Ok(())
    })?;
    let plain = |counts: Vec<AtomicU32>| counts.into_iter().map(AtomicU32::into_inner).collect();
    Ok(Census {
        rows: plain(rows),
        train: plain(train),
        positives: plain(positives),
        totals: all.into_inner().unwrap_or_else(PoisonError::into_inner),
    })
}

fn counters(count: usize) -> Vec<AtomicU32> {
    (0..count).map(|_| AtomicU32::new(0)).collect()
}

/// Does something with every partition, on so many threads; stops at the first error.
fn each_partition(
    threads: usize,
    work: impl Fn(usize) -> Result<(), PrepareError> + Sync,
) -> Result<(), PrepareError> {
    let next = AtomicUsize::new(0);
    let run = || -> Result<(), PrepareError> {
        loop {
            let partition = next.fetch_add(1, Relaxed);
            if partition >= PARTITIONS {
                return Ok(());
            }
            work(partition).inspect_err(|_| next.store(PARTITIONS, Relaxed))?;
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(run)).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(PrepareError::stopped("a thread panicked")))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_lengths_that_so_many_users_do_not_exceed() {
        let mut totals = Totals { users: 100, ..Totals::default() };
        totals.lengths = (1..=100).map(|length| (length, 1)).collect();
        totals.counts.total = 5050;
        let lengths = totals.lengths();
        assert_eq!((lengths.min, lengths.p25, lengths.p50, lengths.p90, lengths.max), (1, 25, 50, 90, 100));
        assert!((lengths.mean - 50.5).abs() < 1e-9);
    }
}
