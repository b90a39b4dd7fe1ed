//! Which worker has a part in which attempt: found by its name, among thousands.

use std::collections::BTreeMap;

use crate::{Attempt, Incarnation, JobName, Rank, WorkerName};

/// The members of all present attempts.
///
/// By name and process: when a rank is finished and its process gone, the next process of that
/// name may serve another job while the attempt is still under way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seats(BTreeMap<(WorkerName, Incarnation), Seat>);

/// A part in an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seat {
    pub(crate) job: JobName,
    pub(crate) rank: Rank,
}

impl Seats {
    /// An attempt begins.
    pub(crate) fn take(&mut self, job: &JobName, attempt: &Attempt) {
        for (rank, member) in attempt.members.iter().enumerate() {
            let seat = Seat { job: job.clone(), rank: Rank(rank as u32) };
            self.0.insert((member.worker.clone(), member.incarnation), seat);
        }
    }

    /// An attempt is over.
    pub(crate) fn leave(&mut self, attempt: &Attempt) {
        for member in &attempt.members {
            self.0.remove(&(member.worker.clone(), member.incarnation));
        }
    }

    /// That of a worker's process.
    pub(crate) fn of(&self, worker: &WorkerName, process: Incarnation) -> Option<&Seat> {
        self.0.get(&(worker.clone(), process))
    }

    /// Those of all processes of a name.
    pub(crate) fn of_name(&self, worker: &WorkerName) -> impl Iterator<Item = (Incarnation, &Seat)> {
        let lives = (worker.clone(), Incarnation(0))..=(worker.clone(), Incarnation(u64::MAX));
        self.0.range(lives).map(|((_, process), seat)| (*process, seat))
    }
}
