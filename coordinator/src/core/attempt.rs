//! One try at one stage, by one set of workers.

use std::{collections::BTreeMap, time::Duration};

use super::{Failure, Generation, Rank, Stage, TaskResult, WorkerId};

/// A task leased to workers: their ranks, and what they have said about it so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// What they do.
    pub stage: Stage,
    /// Their membership's number.
    pub generation: Generation,
    /// The workers, by rank.
    pub members: Vec<WorkerId>,
    /// Ranks that finished.
    pub done: BTreeMap<Rank, TaskResult>,
    /// Checkpoint parts written, by step and rank; a step leaves when it is complete.
    pub parts: BTreeMap<u64, BTreeMap<Rank, String>>,
    /// Ranks that lost a peer, and what they said: witnesses, not culprits.
    pub bereft: BTreeMap<Rank, Failure>,
    /// When the first of them said so.
    pub bereft_since: Option<Duration>,
}

impl Attempt {
    pub(crate) fn new(stage: Stage, generation: Generation, members: Vec<WorkerId>) -> Attempt {
        Attempt {
            stage,
            generation,
            members,
            done: BTreeMap::new(),
            parts: BTreeMap::new(),
            bereft: BTreeMap::new(),
            bereft_since: None,
        }
    }

    /// The worker's rank, if it takes part.
    pub fn rank_of(&self, worker: WorkerId) -> Option<Rank> {
        self.members.iter().position(|member| *member == worker).map(|rank| Rank(rank as u32))
    }

    /// Takes note that a rank wrote its part of a step; when that was the last one, all parts by
    /// rank.
    pub(crate) fn part_written(&mut self, step: u64, rank: Rank, part: String) -> Option<Vec<String>> {
        let parts = self.parts.entry(step).or_default();
        parts.insert(rank, part);
        if parts.len() < self.members.len() {
            return None;
        }
        self.parts.remove(&step).map(|parts| parts.into_values().collect())
    }

    /// Whether all ranks finished.
    pub(crate) fn is_done(&self) -> bool {
        self.done.len() == self.members.len()
    }
}
