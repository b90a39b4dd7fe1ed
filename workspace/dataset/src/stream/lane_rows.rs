//! A lane's rows, step by step, with the next block read meanwhile.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::try_join_all;
use tokio::task::JoinHandle;

use super::background::{Outlet, Stopped, stopped};
use crate::error::DatasetError;
use crate::plan::{LanePlan, Piece, Plan};
use crate::read::{Dataset, Shard};
use crate::timeline::Timeline;

/// Plans of epochs, shared by the lanes of a thread, which are at most an epoch apart.
pub(super) struct EpochPlans {
    plan: Plan,
    recent: VecDeque<Arc<crate::plan::EpochPlan>>,
}

impl EpochPlans {
    pub(super) fn new(plan: Plan) -> EpochPlans {
        EpochPlans { plan, recent: VecDeque::new() }
    }

    fn lane(&mut self, epoch: u32, lane: u32) -> Arc<LanePlan> {
        let found = self.recent.iter().find(|known| known.epoch() == epoch).cloned();
        let epoch_plan = found.unwrap_or_else(|| {
            let made = Arc::new(self.plan.epoch(epoch));
            self.recent.push_back(made.clone());
            if self.recent.len() > 2 {
                self.recent.pop_front();
            }
            made
        });
        Arc::new(epoch_plan.lane(lane))
    }
}

/// A lane's rows, step by step.
pub(super) struct LaneRows {
    dataset: Dataset,
    lane: u32,
    /// The step after the last one wanted: nothing is read ahead for it.
    end: u64,
    lane_plan: Option<Arc<LanePlan>>,
    current: Option<Block>,
    ahead: Option<Ahead>,
}

/// Where a block is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct BlockAt {
    epoch: u32,
    block: usize,
}

/// A block that has been read.
struct Block {
    at: BlockAt,
    pieces: Vec<(Piece, Arc<Shard>)>,
    /// Where each piece starts among the block's rows.
    starts: Vec<u64>,
    order: Vec<u32>,
}

/// A block that is being read.
struct Ahead {
    at: BlockAt,
    lane_plan: Arc<LanePlan>,
    shards: JoinHandle<Result<Vec<Arc<Shard>>, DatasetError>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shards.abort();
    }
}

/// The rows of a lane-step and the shards that hold them.
#[derive(Default)]
pub(super) struct Picked {
    shards: Vec<Arc<Shard>>,
    /// Which of `shards`, and which row of it.
    rows: Vec<(u32, u32)>,
}

impl Picked {
    pub(super) fn timelines(&self) -> impl ExactSizeIterator<Item = Timeline<'_>> {
        self.rows.iter().map(|&(shard, row)| self.shards[shard as usize].timeline(row as usize))
    }
}

impl LaneRows {
    pub(super) fn new(dataset: Dataset, lane: u32, end: u64) -> LaneRows {
        LaneRows { dataset, lane, end, lane_plan: None, current: None, ahead: None }
    }

    /// The rows of a step, in the plan's order. Steps may be asked for in any order; upwards is
    /// fast.
    pub(super) fn step<T>(
        &mut self,
        step: u64,
        plans: &mut EpochPlans,
        outlet: &Outlet<T>,
    ) -> Result<Result<Picked, DatasetError>, Stopped> {
        let cursor = plans.plan.cursor(step);
        let lane_plan = match self.lane_plan.take() {
            Some(known) if known.epoch() == cursor.epoch => known,
            _ => plans.lane(cursor.epoch, self.lane),
        };
        self.lane_plan = Some(lane_plan.clone());
        let span = lane_plan.step_span(cursor.step);
        let mut picked = Picked::default();
        for block in lane_plan.blocks_of(&span) {
            let at = BlockAt { epoch: cursor.epoch, block };
            let block = match self.load(at, &lane_plan, plans, outlet)? {
                Ok(block) => block,
                Err(error) => return Ok(Err(error)),
            };
            let within = lane_plan.block_span(at.block);
            let wanted = span.start.max(within.start) - within.start..span.end.min(within.end) - within.start;
            block.pick(&wanted, &mut picked);
        }
        Ok(Ok(picked))
    }

    fn load<T>(
        &mut self,
        at: BlockAt,
        lane_plan: &Arc<LanePlan>,
        plans: &mut EpochPlans,
        outlet: &Outlet<T>,
    ) -> Result<Result<&Block, DatasetError>, Stopped> {
        if self.current.as_ref().is_none_or(|current| current.at != at) {
            self.current = None;
            let mut ahead = match self.ahead.take() {
                Some(ahead) if ahead.at == at => ahead,
                _ => self.read(at, lane_plan.clone(), outlet),
            };
            let shards = match outlet.wait(&mut ahead.shards)? {
                Ok(Ok(shards)) => shards,
                Ok(Err(error)) => return Ok(Err(error)),
                Err(error) => return Ok(Err(stopped(&format!("reading a shard broke off: {error}")))),
            };
            self.current = Some(Block::new(at, &ahead.lane_plan, shards));
            self.ahead = self.after(at, lane_plan, plans).map(|(at, plan)| self.read(at, plan, outlet));
        }
        // It was just put there.
        self.current.as_ref().map(Ok).ok_or(Stopped)
    }

    /// The block that will be wanted after this one.
    fn after(
        &self,
        at: BlockAt,
        lane_plan: &Arc<LanePlan>,
        plans: &mut EpochPlans,
    ) -> Option<(BlockAt, Arc<LanePlan>)> {
        if at.block + 1 < lane_plan.blocks() {
            return Some((BlockAt { block: at.block + 1, ..at }, lane_plan.clone()));
        }
        let epoch = at.epoch.checked_add(1).filter(|&epoch| plans.plan.first_step(epoch) < self.end)?;
        let next = plans.lane(epoch, self.lane);
        (next.blocks() > 0).then_some((BlockAt { epoch, block: 0 }, next))
    }

    fn read<T>(&self, at: BlockAt, lane_plan: Arc<LanePlan>, outlet: &Outlet<T>) -> Ahead {
        let dataset = self.dataset.clone();
        let pieces = lane_plan.clone();
        let shards = outlet.io().spawn(async move {
            let pieces = pieces.pieces(at.block).iter();
            try_join_all(pieces.map(|piece| dataset.shard(piece.shard as usize))).await
        });
        Ahead { at, lane_plan, shards }
    }
}

impl Block {
    fn new(at: BlockAt, lane_plan: &LanePlan, shards: Vec<Arc<Shard>>) -> Block {
        let pieces: Vec<_> = lane_plan.pieces(at.block).iter().copied().zip(shards).collect();
        let mut next = 0;
        let starts = pieces
            .iter()
            .map(|(piece, _)| {
                let start = next;
                next += piece.rows;
                start
            })
            .collect();
        Block { at, pieces, starts, order: lane_plan.block_order(at.block) }
    }

    /// Picks rows by their place in the block's order.
    fn pick(&self, places: &std::ops::Range<u64>, picked: &mut Picked) {
        let first = picked.shards.len() as u32;
        picked.shards.extend(self.pieces.iter().map(|(_, shard)| shard.clone()));
        picked.rows.extend(self.order[places.start as usize..places.end as usize].iter().map(|&place| {
            let piece = self.starts.partition_point(|&start| start <= u64::from(place)) - 1;
            let row = self.pieces[piece].0.offset + u64::from(place) - self.starts[piece];
            (first + piece as u32, row as u32)
        }));
    }
}
