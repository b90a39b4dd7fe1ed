//! The loss of this worker's rows against the step's pools of candidates.

use tch::Device;
use twinspire_dataset::LaneBatch;

use super::Trainer;
use super::candidates::Chosen;
use super::exchange::CandidateVectors;
use super::forward::OwnVectors;
use super::pools::Pool;
use crate::loss::{Candidates, Gradients, Masks, Queries, Tiles, softmax};

/// Ids of the loss's rows, from all lanes of this worker.
struct RowIds<'a> {
    /// Item of each row's positive `[queries]`.
    positives: Vec<i64>,
    /// User of each row `[queries]`.
    users: Vec<i64>,
    /// All positives of the row's user, by row.
    of_user: Vec<&'a [i64]>,
}

impl<'a> RowIds<'a> {
    fn of(batches: &'a [LaneBatch]) -> Self {
        RowIds {
            positives: batches.iter().flat_map(|b| b.queries.positive.iter().copied()).collect(),
            users: batches.iter().flat_map(|b| b.queries.user.iter().copied()).collect(),
            of_user: batches.iter().flat_map(positives_of_users).collect(),
        }
    }
}

/// The user's positives of every row of a lane.
fn positives_of_users(batch: &LaneBatch) -> impl Iterator<Item = &[i64]> {
    let queries = &batch.queries;
    queries.user_slot.iter().map(|&slot| {
        let bound = |slot: i64| queries.user_positives_offsets[slot as usize] as usize;
        &queries.user_positives[bound(slot)..bound(slot + 1)]
    })
}

impl Trainer {
    /// Loss and gradients of this worker's rows, summed over the pools.
    ///
    /// Invariant 1: they are sums over rows; the division by the global batch's weight comes when all
    /// workers' are added up.
    pub(super) fn loss(
        &self,
        batches: &[LaneBatch],
        own: &OwnVectors,
        chosen: &Chosen,
        candidates: &CandidateVectors,
    ) -> Gradients {
        let ids = RowIds::of(batches);
        let vectors = candidates.detached(); // [candidates, dim]
        let mut total = Gradients {
            losses: own.weights.zeros_like(),
            users: own.users.zeros_like(),
            positives: own.positives.zeros_like(),
            candidates: vectors.zeros_like(),
        };
        for pool in self.pools(chosen, &vectors) {
            if pool.items.is_empty() || ids.positives.is_empty() {
                continue;
            }
            let part = self.loss_over(&pool, &ids, own);
            total.losses += part.losses;
            total.users += part.users;
            total.positives += part.positives;
            let columns = pool.columns.end - pool.columns.start;
            let _ = total.candidates.narrow(0, pool.columns.start, columns).g_add_(&part.candidates);
        }
        total
    }

    /// Loss and gradients of this worker's rows against one pool's columns.
    fn loss_over(&self, pool: &Pool, ids: &RowIds, own: &OwnVectors) -> Gradients {
        let loss = &self.spec.loss;
        let of_user = loss.mask_user_positives.then_some(ids.of_user.as_slice());
        let masks = Masks::new(&pool.items, &ids.positives, &ids.users, of_user);
        let of_positives =
            pool.log_expected.as_ref().map(|_| self.log_expected(&ids.positives, pool.in_batch, pool.random));
        let queries = Queries {
            users: &own.users,
            positives: &own.positives,
            weights: &own.weights,
            log_expected: of_positives.as_ref(),
        };
        let candidates = Candidates { vectors: &pool.vectors, log_expected: pool.log_expected.as_ref() };
        let tiles = self.tiles(pool.items.len());
        softmax(&queries, &candidates, self.scale(), loss.positive_correction, &masks, tiles)
    }

    /// Tiles of the loss; on a CPU no larger than its caches like.
    fn tiles(&self, columns: usize) -> Tiles {
        /// 12 MB of f32: measured best between 3 MB and 50 MB on caches of 2 MB a core.
        const CPU_TILE: usize = 3 << 20;
        let (rows, width) = (self.spec.loss.tile_rows as usize, self.spec.loss.tile_columns as usize);
        let width = width.max(1);
        match self.model.device() {
            Device::Cpu => {
                Tiles { rows: rows.min(CPU_TILE / columns.min(width).max(1)).max(1), columns: width }
            }
            _ => Tiles { rows, columns: width },
        }
    }
}
