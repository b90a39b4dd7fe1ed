//! Events gathered by user, in memory or on disk.
//!
//! A log is in any order; training wants it by user. Sorting it whole would compare strings over
//! and over, so it is not sorted: it is *dealt*. The upper ten bits of a hash of the user's id
//! pick one of 1024 partitions; a partition numbers its users by a dictionary of its own and
//! keeps 32 bytes an action. Whenever all partitions together exceed the budget they are written
//! out, one after the other, as a *run*. A partition is later read back from all runs, which is a
//! thousandth of the log, and only then sorted, in memory, by integers.
//!
//! ```text
//!            ┌ partition 0    dictionary + events ┐
//! batches -> ├ partition 1    dictionary + events ├ -> run 0, run 1, …    (over the budget)
//!            └ …         1023 dictionary + events ┘ -> sorted partitions  (in the order of users)
//! ```
//!
//! As partitions are ranges of the hash, going through them in order is going through the users in
//! the order of their hash, whatever the number of threads, runs or files.

mod sort;
mod spill;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::PrepareError;
use crate::dictionary::{Dictionary, OVERHEAD};
use crate::event::{EVENT_BYTES, Event};
use spill::Spill;

pub(crate) use sort::{Finals, Sorted};

/// Number of partitions. A constant: it must not change what is written.
pub(crate) const PARTITIONS: usize = 1024;

/// Events of a chunk: a partition grows by whole chunks, so that memory is not copied or doubled.
const CHUNK: usize = 2048;

/// All partitions.
pub(crate) struct Shuffle {
    partitions: Vec<Mutex<State>>,
    /// Bytes held in memory.
    held: AtomicUsize,
    budget: usize,
    spilling: Mutex<Spill>,
    spilled: AtomicBool,
}

enum State {
    Filling(Held),
    Sorted(Sorted),
}

/// A partition as it fills.
#[derive(Default)]
pub(crate) struct Held {
    users: Dictionary,
    chunks: Vec<Vec<Event>>,
    waiting: Waiting,
}

/// Events whose users have not been looked up yet. A thousand dictionaries do not fit the cache,
/// one does: so a partition's users are looked up many at a time.
#[derive(Default)]
struct Waiting {
    events: Vec<(u64, Event)>,
    ids: Vec<u8>,
    /// `[events]` where their users' ids end.
    ends: Vec<usize>,
}

/// Events that wait, at most.
const WAITING: usize = 256;

impl Held {
    /// Takes an event; `id` appends its user's id. Bytes this made the partition grow by.
    fn add(&mut self, hash: u64, event: Event, id: impl FnOnce(&mut Vec<u8>)) -> usize {
        self.waiting.events.push((hash, event));
        id(&mut self.waiting.ids);
        self.waiting.ends.push(self.waiting.ids.len());
        let grown = if self.waiting.events.len() == WAITING { self.settle() } else { 0 };
        grown + EVENT_BYTES
    }

    /// Looks up the users of the events that wait. Bytes the dictionary grew by.
    fn settle(&mut self) -> usize {
        let Waiting { mut events, mut ids, mut ends } = std::mem::take(&mut self.waiting);
        let (mut grown, mut start) = (0, 0);
        for ((hash, event), end) in events.drain(..).zip(ends.drain(..)) {
            let id = &ids[std::mem::replace(&mut start, end)..end];
            let (user, new) = self.users.insert(hash, id);
            grown += if new { id.len() + OVERHEAD } else { 0 };
            self.push(Event { user, ..event });
        }
        ids.clear();
        self.waiting = Waiting { events, ids, ends };
        grown
    }

    fn push(&mut self, event: Event) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < chunk.capacity() => chunk.push(event),
            last => {
                let capacity = last.map_or(16, |chunk| (2 * chunk.capacity()).min(CHUNK));
                let mut chunk = Vec::with_capacity(capacity);
                chunk.push(event);
                self.chunks.push(chunk);
            }
        }
    }
}

impl Shuffle {
    /// Partitions that hold up to `budget` bytes; what is more is spilled to files in `dir`.
    pub(crate) fn new(budget: usize, dir: &Path) -> Shuffle {
        Shuffle {
            partitions: (0..PARTITIONS).map(|_| Mutex::new(State::Filling(Held::default()))).collect(),
            held: AtomicUsize::new(0),
            budget,
            spilling: Mutex::new(Spill::new(dir)),
            spilled: AtomicBool::new(false),
        }
    }

    /// Deals out rows `(hash of the user, index, event)`; `user(index, id)` appends the user's id.
    pub(crate) fn add(
        &self,
        mut rows: Vec<(u64, u32, Event)>,
        mut user: impl FnMut(u32, &mut Vec<u8>),
    ) -> Result<(), PrepareError> {
        rows.sort_unstable_by_key(|(hash, index, _)| (partition_of(*hash), *index));
        let mut added = 0;
        for rows in rows.chunk_by(|a, b| partition_of(a.0) == partition_of(b.0)) {
            let mut state = self.lock(partition_of(rows[0].0));
            // Nothing is sorted before all rows are in.
            let State::Filling(held) = &mut *state else { continue };
            for (hash, index, event) in rows {
                added += held.add(*hash, *event, |id| user(*index, id));
            }
        }
        if self.held.fetch_add(added, Ordering::Relaxed) + added > self.budget {
            self.spill()?;
        }
        Ok(())
    }

    /// Writes all partitions out, unless another thread has just done so.
    fn spill(&self) -> Result<(), PrepareError> {
        let mut spill = self.spilling.lock().unwrap_or_else(PoisonError::into_inner);
        if self.held.load(Ordering::Relaxed) <= self.budget {
            return Ok(());
        }
        self.write_run(&mut spill)
    }

    fn write_run(&self, spill: &mut Spill) -> Result<(), PrepareError> {
        self.spilled.store(true, Ordering::Relaxed);
        let mut run = spill.begin()?;
        for partition in 0..PARTITIONS {
            let mut held = match &mut *self.lock(partition) {
                State::Filling(held) => std::mem::take(held),
                State::Sorted(_) => Held::default(),
            };
            held.settle();
            let freed = run.write(&held.users, held.chunks.iter().flatten())?;
            self.held.fetch_sub(freed.min(self.held.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
        spill.end(run)
    }

    /// All rows are in: when some are on disk, the rest goes there too.
    pub(crate) fn finish(&self) -> Result<(), PrepareError> {
        if !self.has_spilled() {
            return Ok(());
        }
        let mut spill = self.spilling.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_run(&mut spill)
    }

    /// Whether anything went to disk.
    pub(crate) fn has_spilled(&self) -> bool {
        self.spilled.load(Ordering::Relaxed)
    }

    /// A partition in its final order. It is taken out: [`put_back`](Shuffle::put_back) it to have
    /// it again (a spilled one is read again and need not be).
    pub(crate) fn take(&self, partition: usize, finals: &Finals) -> Result<Sorted, PrepareError> {
        let state = std::mem::replace(&mut *self.lock(partition), State::Filling(Held::default()));
        let mut held = match state {
            State::Sorted(sorted) => return Ok(sorted),
            State::Filling(held) => held,
        };
        held.settle();
        if !self.has_spilled() {
            let events: Vec<Event> = {
                let mut events = Vec::with_capacity(held.chunks.iter().map(Vec::len).sum());
                held.chunks.into_iter().for_each(|chunk| events.extend_from_slice(&chunk));
                events
            };
            return Ok(Sorted::new(held.users, events, finals));
        }
        let runs = self.spilling.lock().unwrap_or_else(PoisonError::into_inner).runs();
        let (users, events) = spill::read(&runs, partition)?;
        Ok(Sorted::new(users, events, finals))
    }

    /// Keeps a sorted partition for the next time, when there is memory for it.
    pub(crate) fn put_back(&self, partition: usize, sorted: Sorted) {
        if !self.has_spilled() {
            *self.lock(partition) = State::Sorted(sorted);
        }
    }

    fn lock(&self, partition: usize) -> MutexGuard<'_, State> {
        self.partitions[partition].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn partition_of(hash: u64) -> usize {
    (hash >> (64 - PARTITIONS.trailing_zeros())) as usize
}
