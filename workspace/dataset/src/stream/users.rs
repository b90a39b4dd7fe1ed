//! All users of a range of rows, for evaluation and export.

use std::ops::Range;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::background::{Io, Outlet, Producer, Stopped, stopped};
use crate::assemble::{Histories, distinct_items};
use crate::batch::Tokens;
use crate::bucket::BucketRules;
use crate::error::DatasetError;
use crate::objective::action_values;
use crate::read::{Dataset, Shard};
use crate::timeline::{HeldOut, HistoryEnd, Timeline};

/// What is wanted of the users.
#[derive(Clone, Debug, PartialEq)]
pub struct UserReaderSettings {
    /// Where histories end.
    pub history_end: HistoryEnd,
    /// The held-out part whose positives are the targets. With it, users without targets are left
    /// out; without it, there are no targets.
    pub held_out: Option<HeldOut>,
    /// Actions of a history at most: the newest.
    pub max_actions: usize,
    /// Users of a batch at most.
    pub batch_users: usize,
    /// Whether user ids are wanted.
    pub user_ids: bool,
    /// How users are cut into buckets.
    pub buckets: BucketRules,
}

impl UserReaderSettings {
    /// What evaluation wants: users with targets in a part, and what was known before it.
    pub fn evaluate(part: HeldOut, max_actions: usize, batch_users: usize) -> UserReaderSettings {
        UserReaderSettings {
            history_end: part.history_end(),
            held_out: Some(part),
            max_actions,
            batch_users,
            user_ids: false,
            buckets: BucketRules::default(),
        }
    }

    /// What export wants: every user with an id and all of its history.
    pub fn export(max_actions: usize, batch_users: usize) -> UserReaderSettings {
        UserReaderSettings {
            history_end: HistoryEnd::All,
            held_out: None,
            max_actions,
            batch_users,
            user_ids: true,
            buckets: BucketRules::default(),
        }
    }
}

/// Some users, laid out for the towers. Everything but `without_history` is by slot of the grid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserBatch {
    /// Row ids.
    pub rows: Vec<u64>,
    /// User ids; empty unless they were asked for.
    pub user_ids: Vec<String>,
    /// Histories.
    pub tokens: Tokens,
    /// `[users + 1]` where each user's targets start.
    pub targets_offsets: Vec<i64>,
    /// Distinct items of the held-out part's positives, sorted.
    pub targets: Vec<i64>,
    /// `[users + 1]` where each user's seen items start.
    pub seen_offsets: Vec<i64>,
    /// Distinct items of all actions before the history's end, whatever their kind and however
    /// old, sorted.
    pub seen: Vec<i64>,
    /// Rows that were wanted but have no action before the history's end: there is nothing to
    /// encode.
    pub without_history: Vec<u64>,
}

/// A worker's share of the first `users` rows: contiguous, and the shares of all ranks are those
/// rows exactly, whatever their number.
pub fn rows_of_rank(users: u64, rank: usize, size: usize) -> Range<u64> {
    let cut = |rank: usize| (u128::from(users) * rank as u128 / size.max(1) as u128) as u64;
    cut(rank)..cut(rank + 1)
}

/// All users of a range of rows, batch by batch, read ahead in the background.
pub struct UserReader {
    producer: Producer<UserBatch>,
    /// After the producer, which is stopped first.
    _io: Io,
}

impl UserReader {
    /// Starts reading `rows` (see [`rows_of_rank`]); those past the dataset's end are ignored.
    pub fn start(
        dataset: &Dataset,
        rows: Range<u64>,
        settings: UserReaderSettings,
    ) -> Result<UserReader, DatasetError> {
        let rows = rows.start..rows.end.min(dataset.manifest().users);
        let work = Work {
            is_positive: action_values(dataset.manifest()).iter().map(|action| action.positive).collect(),
            dataset: dataset.clone(),
            rows,
            settings,
        };
        let io = Io::start()?;
        let producer = Producer::start(&io, 4, move |outlet| work.run(outlet))?;
        Ok(UserReader { producer, _io: io })
    }

    /// The next batch; `None` after the last. Waits for it; not for use inside async code. Batches
    /// may hold fewer users than asked for, or only `without_history`.
    #[allow(clippy::should_implement_trait, reason = "an error comes before the end")]
    pub fn next(&mut self) -> Result<Option<UserBatch>, DatasetError> {
        self.producer.next().transpose()
    }
}

struct Work {
    dataset: Dataset,
    rows: Range<u64>,
    settings: UserReaderSettings,
    is_positive: Vec<bool>,
}

type Reading = JoinHandle<Result<Arc<Shard>, DatasetError>>;

impl Work {
    fn run(&self, outlet: &Outlet<UserBatch>) -> Result<(), Stopped> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let shards = self.dataset.shard_of(self.rows.start)..self.dataset.shard_of(self.rows.end - 1) + 1;
        let mut ahead = Some(self.read(shards.start, outlet));
        for number in shards.clone() {
            let reading = ahead.take().unwrap_or_else(|| self.read(number, outlet));
            ahead = (number + 1 < shards.end).then(|| self.read(number + 1, outlet));
            let shard = match outlet.wait(reading)? {
                Ok(Ok(shard)) => shard,
                Ok(Err(error)) => return outlet.send(Err(error)),
                Err(error) => {
                    return outlet.send(Err(stopped(&format!("reading a shard broke off: {error}"))));
                }
            };
            self.batches(&shard, outlet)?;
        }
        Ok(())
    }

    fn read(&self, number: usize, outlet: &Outlet<UserBatch>) -> Reading {
        let (dataset, user_ids) = (self.dataset.clone(), self.settings.user_ids);
        outlet.io().spawn(async move {
            match user_ids {
                true => dataset.shard_with_user_ids(number).await,
                false => dataset.shard(number).await,
            }
        })
    }

    fn batches(&self, shard: &Shard, outlet: &Outlet<UserBatch>) -> Result<(), Stopped> {
        let first = shard.first_row();
        let mut wanted: Vec<Timeline<'_>> = Vec::with_capacity(self.settings.batch_users);
        for row in self.rows.start.max(first)..self.rows.end.min(first + shard.rows() as u64) {
            let user = shard.timeline((row - first) as usize);
            if self.settings.held_out.is_none_or(|part| self.has_targets(&user, part)) {
                wanted.push(user);
            }
            if wanted.len() >= self.settings.batch_users.max(1) {
                outlet.send(Ok(self.batch(&wanted)))?;
                wanted.clear();
            }
        }
        match wanted.is_empty() {
            true => Ok(()),
            false => outlet.send(Ok(self.batch(&wanted))),
        }
    }

    fn has_targets(&self, user: &Timeline<'_>, part: HeldOut) -> bool {
        user.actions[user.held_out(part)].iter().any(|&action| self.is_positive[usize::from(action)])
    }

    fn batch(&self, users: &[Timeline<'_>]) -> UserBatch {
        let settings = &self.settings;
        let Histories { tokens, order } =
            Tokens::histories(users, settings.history_end, settings.max_actions, settings.buckets);
        let mut batch = UserBatch { targets_offsets: vec![0], seen_offsets: vec![0], ..UserBatch::default() };
        let mut items = Vec::new();
        for user in order.iter().map(|&at| &users[at]) {
            batch.rows.push(user.row);
            if settings.user_ids {
                batch.user_ids.push(user.user_id.to_owned());
            }
            if let Some(part) = settings.held_out {
                let positive = |action: u8| self.is_positive[usize::from(action)];
                distinct_items(user, user.held_out(part), positive, &mut items);
                batch.targets.extend_from_slice(&items);
            }
            batch.targets_offsets.push(batch.targets.len() as i64);
            distinct_items(user, 0..user.end(settings.history_end), |_| true, &mut items);
            batch.seen.extend_from_slice(&items);
            batch.seen_offsets.push(batch.seen.len() as i64);
        }
        let nothing_known = users.iter().filter(|user| user.end(settings.history_end) == 0);
        batch.without_history = nothing_known.map(|user| user.row).collect();
        batch.tokens = tokens;
        batch
    }
}
