//! What one lane reads in one epoch.

use std::ops::Range;

use super::Plan;
use crate::random::{Purpose, Random};

/// A run of rows of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The shard.
    pub shard: u32,
    /// First row, counted within the shard.
    pub offset: u64,
    /// Rows.
    pub rows: u64,
    /// Row id (within the dataset) of the first row.
    pub first_row: u64,
}

/// What one lane reads in one epoch.
///
/// A *position* is a row's place in the lane, before shuffling: 0 up to [`LanePlan::rows`].
#[derive(Clone, Debug)]
pub struct LanePlan {
    seed: u64,
    epoch: u32,
    lane: u32,
    rows_per_step: u64,
    shuffle_shards: usize,
    pieces: Vec<Piece>,
    /// Position at which each block starts, and the lane's end.
    block_starts: Vec<u64>,
}

impl LanePlan {
    pub(super) fn new(plan: &Plan, epoch: u32, lane: u32, pieces: Vec<Piece>) -> LanePlan {
        let shuffle_shards = plan.settings.shuffle_shards as usize;
        let mut block_starts = vec![0];
        let mut at = 0;
        for block in pieces.chunks(shuffle_shards) {
            at += block.iter().map(|piece| piece.rows).sum::<u64>();
            block_starts.push(at);
        }
        LanePlan {
            seed: plan.settings.seed,
            epoch,
            lane,
            rows_per_step: plan.rows_per_lane_step(),
            shuffle_shards,
            pieces,
            block_starts,
        }
    }

    /// Epoch it is of.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Rows of the lane in this epoch.
    pub fn rows(&self) -> u64 {
        self.block_starts.last().copied().unwrap_or(0)
    }

    /// Blocks of the lane in this epoch.
    pub fn blocks(&self) -> usize {
        self.block_starts.len() - 1
    }

    /// The pieces that are read and shuffled together as a block.
    pub fn pieces(&self, block: usize) -> &[Piece] {
        let start = block * self.shuffle_shards;
        &self.pieces[start..(start + self.shuffle_shards).min(self.pieces.len())]
    }

    /// Positions of a block.
    pub fn block_span(&self, block: usize) -> Range<u64> {
        self.block_starts[block]..self.block_starts[block + 1]
    }

    /// The order in which a block's rows are trained: entry i is the place, among the block's rows
    /// as they are read, of the row at position `block_span.start + i`.
    pub fn block_order(&self, block: usize) -> Vec<u32> {
        let span = self.block_span(block);
        let mut order: Vec<u32> = (0..(span.end - span.start) as u32).collect();
        let epoch = u64::from(self.epoch);
        Random::keyed(Purpose::BlockOrder, self.seed, epoch, self.lane, block as u64).shuffle(&mut order);
        order
    }

    /// Positions trained in a step of the epoch: empty when the lane has run out of rows.
    pub fn step_span(&self, step_in_epoch: u64) -> Range<u64> {
        let start = step_in_epoch.saturating_mul(self.rows_per_step).min(self.rows());
        start..start.saturating_add(self.rows_per_step).min(self.rows())
    }

    /// Blocks that a span of positions touches.
    pub fn blocks_of(&self, span: &Range<u64>) -> Range<usize> {
        if span.is_empty() {
            return 0..0;
        }
        let first = self.block_starts.partition_point(|&start| start <= span.start) - 1;
        let end = self.block_starts.partition_point(|&start| start < span.end);
        first..end
    }

    /// Row ids trained in a step of the epoch, in order.
    pub fn rows_of(&self, step_in_epoch: u64) -> Vec<u64> {
        self.rows_of_span(self.step_span(step_in_epoch))
    }

    /// Row ids trained in the first steps of the epoch, in order.
    pub fn rows_of_first(&self, steps: u64) -> Vec<u64> {
        self.rows_of_span(0..steps.saturating_mul(self.rows_per_step).min(self.rows()))
    }

    fn rows_of_span(&self, span: Range<u64>) -> Vec<u64> {
        let mut rows = Vec::with_capacity((span.end - span.start) as usize);
        for block in self.blocks_of(&span) {
            let within = self.block_span(block);
            let ids: Vec<u64> = self
                .pieces(block)
                .iter()
                .flat_map(|piece| piece.first_row..piece.first_row + piece.rows)
                .collect();
            let order = self.block_order(block);
            let wanted = span.start.max(within.start)..span.end.min(within.end);
            rows.extend(wanted.map(|position| ids[order[(position - within.start) as usize] as usize]));
        }
        rows
    }
}
