//! Decoded shards, kept while they fit.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::shard::Shard;
use crate::error::DatasetError;

/// Decoded shards, the least recently used dropped when they exceed a budget of bytes.
///
/// A shard that several lanes ask for at once is read once. One that is dropped here lives on
/// while a lane holds it.
pub(super) struct ShardCache {
    budget: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: HashMap<usize, Slot>,
    clock: u64,
    bytes: usize,
}

#[derive(Default)]
struct Slot {
    cell: Arc<OnceCell<Arc<Shard>>>,
    used: u64,
    /// Bytes counted; 0 until the shard is read.
    bytes: usize,
}

impl ShardCache {
    pub(super) fn new(budget: usize) -> ShardCache {
        ShardCache { budget, state: Mutex::default() }
    }

    /// The shard, by `read` unless it is here.
    pub(super) async fn get(
        &self,
        shard: usize,
        read: impl Future<Output = Result<Shard, DatasetError>>,
    ) -> Result<Arc<Shard>, DatasetError> {
        let cell = {
            let mut state = self.lock();
            state.clock += 1;
            let now = state.clock;
            let slot = state.slots.entry(shard).or_default();
            slot.used = now;
            slot.cell.clone()
        };
        let found = cell.get_or_try_init(|| async { read.await.map(Arc::new) }).await?.clone();
        self.lock().keep(shard, &cell, found.bytes(), self.budget);
        Ok(found)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let state = self.lock();
        (state.slots.values().filter(|slot| slot.bytes > 0).count(), state.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a shard that was just read, then makes room.
    fn keep(&mut self, shard: usize, cell: &Arc<OnceCell<Arc<Shard>>>, bytes: usize, budget: usize) {
        if let Some(slot) = self.slots.get_mut(&shard)
            && slot.bytes == 0
            && Arc::ptr_eq(&slot.cell, cell)
        {
            slot.bytes = bytes.max(1);
            self.bytes += slot.bytes;
        }
        while self.bytes > budget {
            let read = self.slots.iter().filter(|(_, slot)| slot.bytes > 0);
            let Some(oldest) = read.min_by_key(|(_, slot)| slot.used).map(|(&shard, _)| shard) else { break };
            if let Some(slot) = self.slots.remove(&oldest) {
                self.bytes -= slot.bytes;
            }
        }
    }
}
