//! One try at one stage, by one set of workers.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use serde::{Deserialize, Serialize};

use crate::{Device, Failure, Generation, Member, Rank, Stage, TaskResult, Time, WorkerName, lanes};

/// A task leased to workers: their ranks, and what they have said about it so far.
///
/// What workers said is not recorded: they say it again to the next coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// What they do.
    pub stage: Stage,
    /// Their membership's number.
    pub generation: Generation,
    /// What they compute on.
    pub device: Device,
    /// The workers, by rank.
    pub members: Vec<Member>,
    /// Lanes of each rank; empty when they are dealt evenly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<u32>,
    /// Why it is to end before it is done.
    pub ending: Option<Ending>,
    /// When it began.
    pub since: Time,
    /// Where rank 0 listens.
    #[serde(skip)]
    pub rendezvous: Option<(String, u32)>,
    /// Ranks that finished.
    #[serde(skip)]
    pub done: BTreeMap<Rank, TaskResult>,
    /// Checkpoint parts written, by step and rank, of steps that are not visible yet.
    #[serde(skip)]
    pub parts: BTreeMap<u64, BTreeMap<Rank, String>>,
    /// Ranks that lost a peer, and what they said: witnesses, not culprits.
    #[serde(skip)]
    pub bereft: BTreeMap<Rank, Failure>,
    /// When the first of them said so.
    #[serde(skip)]
    pub bereft_since: Option<Time>,
    /// Ranks whose task failed: there is nothing for them to let go of.
    #[serde(skip)]
    pub let_go: BTreeSet<Rank>,
    /// Ranks that are slow and were not thought to be, or the other way round, and since when.
    #[serde(skip)]
    pub odd: BTreeMap<Rank, Time>,
    /// Until when members may come back, after a change of coordinators.
    #[serde(skip)]
    pub adopt_by: Option<Time>,
}

/// Why an attempt is to end before it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// In words: "preempted by ranker (priority 10)".
    pub reason: String,
    /// Whether a checkpoint is written first: else its workers go on from what they have in memory.
    #[serde(default = "with_checkpoint")]
    pub checkpoint: bool,
}

/// What records from before there was a choice mean.
fn with_checkpoint() -> bool {
    true
}

impl Attempt {
    pub(crate) fn new(
        stage: Stage,
        generation: Generation,
        device: Device,
        members: Vec<Member>,
        since: Time,
    ) -> Attempt {
        Attempt {
            stage,
            generation,
            device,
            members,
            shares: Vec::new(),
            ending: None,
            since,
            rendezvous: None,
            done: BTreeMap::new(),
            parts: BTreeMap::new(),
            bereft: BTreeMap::new(),
            let_go: BTreeSet::new(),
            bereft_since: None,
            odd: BTreeMap::new(),
            adopt_by: None,
        }
    }

    /// The lanes of a rank, of all that the job has.
    pub fn lanes_of(&self, rank: Rank, lanes: u32) -> Range<u32> {
        match self.shares.get(rank.0 as usize) {
            Some(share) => {
                let first: u32 = self.shares[..rank.0 as usize].iter().sum();
                first..first + share
            }
            None => lanes::share(lanes, self.members.len() as u32, rank.0),
        }
    }

    /// The worker's rank, if it takes part.
    pub fn rank_of(&self, worker: &WorkerName) -> Option<Rank> {
        self.members.iter().position(|member| member.worker == *worker).map(|rank| Rank(rank as u32))
    }

    /// Takes note that a rank wrote its part of a step; when that was the last one, all parts by
    /// rank. Invariant C.
    pub(crate) fn part_written(&mut self, step: u64, rank: Rank, part: String) -> Option<Vec<String>> {
        let parts = self.parts.entry(step).or_default();
        let is_new = parts.insert(rank, part).is_none();
        (is_new && parts.len() == self.members.len()).then(|| parts.values().cloned().collect())
    }

    /// Steps all of whose parts are written, though they are not known to be visible yet.
    pub(crate) fn complete(&self) -> impl Iterator<Item = (u64, Vec<String>)> {
        let complete = self.parts.iter().filter(|(_, parts)| parts.len() == self.members.len());
        complete.map(|(step, parts)| (*step, parts.values().cloned().collect()))
    }

    /// The checkpoint of a step is visible: parts of it and of earlier ones are of no more use.
    pub(crate) fn committed(&mut self, step: u64) {
        self.parts.retain(|later, _| *later > step);
    }

    /// Whether all ranks finished.
    pub(crate) fn is_done(&self) -> bool {
        self.done.len() == self.members.len()
    }
}
