//! A worker of the pool.

use crate::{Device, Incarnation, JobName, Membership, Session, Time};

/// A worker's process that is connected, or was a moment ago.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Which life of its name.
    pub incarnation: Incarnation,
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
    /// What it is doing, as far as is known: of a job's present attempt, or of one given up that it
    /// has not let go of yet.
    pub task: Option<Membership>,
    /// The job it last had a task of, which may find its files cached.
    pub last_job: Option<JobName>,
}
