//! A worker of the pool.

use crate::{Device, Generation, Incarnation, Job, JobName, Membership, Session, Time, readiness::Readiness};

/// A worker's process that is connected, or was a moment ago.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Which life of its name.
    pub incarnation: Incarnation,
    /// The life of its name before this one: if that process wakes up, its time is over.
    pub replaced: Option<Incarnation>,
    /// What it computes on.
    pub device: Device,
    /// Host, process, versions: for people.
    pub about: String,
    /// Its connection.
    pub session: Session,
    /// When it was last heard of.
    pub heard: Time,
    /// Since when it has been connected to this coordinator.
    pub since: Time,
    /// Its connection broke then, and it has not come back yet.
    pub cut_off: Option<(Time, String)>,
    /// It was told to end, by the system.
    pub leaving: bool,
    /// Somebody wants it to get no more tasks.
    pub drained: bool,
    /// What it is doing, as far as is known: of a job's present attempt, or of one given up that it
    /// has not let go of yet.
    pub task: Option<Membership>,
    /// Its task is ending, or was given up.
    pub returning: bool,
    /// Milliseconds it computes for a lane of the step, in its present task.
    pub pace: Option<f64>,
    /// The job for which it is known to be slow, and by how much.
    pub slow: Option<(JobName, f64)>,
    /// The training it gets ready for, or is ready for.
    pub readiness: Option<Readiness>,
    /// The training whose state it has in memory, and the generation in which it came by it.
    pub state: Option<Membership>,
    /// The task it last got to work on: what that takes it can read, and may have cached.
    pub last: Option<Membership>,
}

impl Worker {
    /// Whether it gets further tasks, now or once it is done with the one it has.
    pub fn serves(&self) -> bool {
        !self.drained && !self.leaving
    }

    /// The generation of the job's state in its memory. What is older than the job is of another one of its name.
    pub fn state_of(&self, job: &Job) -> Option<Generation> {
        let state = self.state.as_ref().filter(|state| state.job == *job.name())?;
        Some(state.generation).filter(|generation| *generation > job.born)
    }

    /// Whether it has done some of the job's work.
    pub(crate) fn has_worked_for(&self, job: &Job) -> bool {
        let last = self.last.as_ref().filter(|last| last.job == *job.name());
        last.is_some_and(|last| last.generation > job.born)
    }

    /// Whether it can be given a task now.
    pub fn is_free(&self) -> bool {
        self.serves() && self.task.is_none() && self.cut_off.is_none()
    }
}
