//! Which rows are trained on when and by which lane: pure functions of the seed.
//!
//! ```text
//! epoch 0      shards in a permutation of (seed, epoch)
//!              ┌──────┬──────────┬─────┬────────┬──────┬─────────┐   N rows
//!              │  4   │    1     │  5  │   0    │  2   │    3    │
//!              └──────┴──────────┴─────┴────────┴──────┴─────────┘
//! lanes        ├───────── 0 ─────────┼───────── 1 ──────────┤         contiguous, ±1 row
//! pieces       ├──────┼──────────┼───┼─┼────────┼───        │         of shards
//! blocks       ├── shuffled ─────┼───┤ ├── shuffled ──…               `shuffle_shards` pieces
//! steps        ├──┼──┼──┼──┼──┼──┼──┼┤                                global_batch / lanes rows
//! ```
//!
//! - **Invariant 1**: lanes do not depend on the worker count, so neither do batches.
//! - **Invariant 2**: every row is in exactly one lane-step of an epoch: lanes partition the
//!   epoch's sequence, blocks partition a lane, a block's order is a permutation, and steps
//!   partition that. A lane that is a row short contributes fewer rows to its last step (rows of
//!   weight 0, as far as the loss is concerned); none is repeated or dropped.
//!
//! Where training stands is a function of one number, the step: [`Cursor::at`].

mod lane;

use std::ops::Range;
use std::sync::Arc;

use twinspire_job::JobSpec;

pub use lane::{LanePlan, Piece};

use crate::error::DatasetError;
use crate::format::Manifest;
use crate::random::{Purpose, Random};

/// What a plan depends on, besides the dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanSettings {
    /// Seed of the job.
    pub seed: u64,
    /// Lanes of the job.
    pub lanes: u32,
    /// Rows of a step, over all lanes.
    pub global_batch: u32,
    /// Pieces of shards that are shuffled together.
    pub shuffle_shards: u32,
}

impl PlanSettings {
    /// The settings of a job.
    pub fn of(job: &JobSpec) -> PlanSettings {
        PlanSettings {
            seed: job.seed,
            lanes: job.lanes,
            global_batch: job.train.global_batch,
            shuffle_shards: job.train.shuffle_shards,
        }
    }
}

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Epoch, from 0.
    pub epoch: u32,
    /// Step within it, from 0.
    pub step: u64,
}

impl Cursor {
    /// Where a step of the job is. `steps_per_epoch` must not be 0 ([`Plan::new`] sees to it).
    pub fn at(step: u64, steps_per_epoch: u64) -> Cursor {
        Cursor { epoch: (step / steps_per_epoch) as u32, step: step % steps_per_epoch }
    }
}

/// The plan of all epochs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    settings: PlanSettings,
    shard_rows: Arc<[u64]>,
    first_rows: Arc<[u64]>,
    rows: u64,
}

impl Plan {
    /// The plan of a job on a dataset.
    pub fn new(manifest: &Manifest, settings: PlanSettings) -> Result<Plan, DatasetError> {
        Plan::of_shards(&manifest.shard_rows(), settings)
    }

    /// A plan from nothing but the rows of each shard.
    pub fn of_shards(shard_rows: &[u64], settings: PlanSettings) -> Result<Plan, DatasetError> {
        let refuse = |why: String| Err(DatasetError::NoPlan { why });
        if settings.lanes == 0 {
            return refuse("`lanes` is 0; it must be at least 1".into());
        }
        if settings.global_batch == 0 || !settings.global_batch.is_multiple_of(settings.lanes) {
            return refuse(format!(
                "`train.global_batch` is {}; it must be a multiple of `lanes` ({})",
                settings.global_batch, settings.lanes
            ));
        }
        if settings.shuffle_shards == 0 {
            return refuse("`train.shuffle_shards` is 0; it must be at least 1".into());
        }
        let mut first_rows = Vec::with_capacity(shard_rows.len());
        let mut rows = 0;
        for count in shard_rows {
            first_rows.push(rows);
            rows += count;
        }
        if rows == 0 {
            return refuse("the dataset has no users; see its rejected and dropped rows".into());
        }
        Ok(Plan { settings, shard_rows: shard_rows.into(), first_rows: first_rows.into(), rows })
    }

    /// What it was made from.
    pub fn settings(&self) -> PlanSettings {
        self.settings
    }

    /// Rows of an epoch.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows a lane gives to a step, but for its last one of an epoch.
    pub fn rows_per_lane_step(&self) -> u64 {
        u64::from(self.settings.global_batch / self.settings.lanes)
    }

    /// Steps of an epoch, the same in every epoch: as many as the longest lane needs.
    pub fn steps_per_epoch(&self) -> u64 {
        self.rows.div_ceil(u64::from(self.settings.lanes)).div_ceil(self.rows_per_lane_step())
    }

    /// Where a step of the job is.
    pub fn cursor(&self, step: u64) -> Cursor {
        Cursor::at(step, self.steps_per_epoch())
    }

    /// First step of an epoch.
    pub fn first_step(&self, epoch: u32) -> u64 {
        u64::from(epoch) * self.steps_per_epoch()
    }

    /// Steps until all of `epochs` are trained.
    pub fn steps_of_epochs(&self, epochs: u32) -> u64 {
        self.first_step(epochs)
    }

    /// A lane's range of an epoch's sequence of rows. Lanes differ by at most one row.
    pub fn lane_span(&self, lane: u32) -> Range<u64> {
        let lanes = u128::from(self.settings.lanes);
        let cut = |lane: u32| (u128::from(lane) * u128::from(self.rows) / lanes) as u64;
        cut(lane)..cut(lane + 1)
    }

    /// An epoch's order of shards.
    pub fn epoch(&self, epoch: u32) -> EpochPlan {
        let mut order: Vec<u32> = (0..self.shard_rows.len() as u32).collect();
        Random::keyed(Purpose::ShardOrder, self.settings.seed, u64::from(epoch), 0, 0).shuffle(&mut order);
        let mut starts = Vec::with_capacity(order.len());
        let mut next = 0;
        for &shard in &order {
            starts.push(next);
            next += self.shard_rows[shard as usize];
        }
        EpochPlan { plan: self.clone(), epoch, order, starts }
    }

    /// Row ids that a lane trains in a step, in order. For checks and audits: it plans the whole
    /// epoch first; readers keep the [`LanePlan`].
    pub fn rows_of(&self, lane: u32, step: u64) -> Vec<u64> {
        let cursor = self.cursor(step);
        self.epoch(cursor.epoch).lane(lane).rows_of(cursor.step)
    }
}

/// The order of an epoch's shards.
#[derive(Clone, Debug)]
pub struct EpochPlan {
    plan: Plan,
    epoch: u32,
    /// Shards in this epoch's order.
    order: Vec<u32>,
    /// Where each of them starts in the epoch's sequence of rows.
    starts: Vec<u64>,
}

impl EpochPlan {
    /// Which epoch it is of.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Shards in this epoch's order.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// What a lane reads in this epoch.
    pub fn lane(&self, lane: u32) -> LanePlan {
        let span = self.plan.lane_span(lane);
        let mut pieces = Vec::new();
        let mut at = span.start;
        let mut place = self.starts.partition_point(|&start| start <= at).saturating_sub(1);
        while at < span.end {
            let shard = self.order[place];
            let (start, rows) = (self.starts[place], self.plan.shard_rows[shard as usize]);
            let end = (start + rows).min(span.end);
            if end > at {
                let offset = at - start;
                pieces.push(Piece {
                    shard,
                    offset,
                    rows: end - at,
                    first_row: self.plan.first_rows[shard as usize] + offset,
                });
                at = end;
            }
            place += 1;
        }
        LanePlan::new(&self.plan, self.epoch, lane, pieces)
    }
}

#[cfg(test)]
mod tests;
