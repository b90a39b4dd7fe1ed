//! Every span of time that decisions go by.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time-outs of a job, all derived from its `recovery_target` (invariant 6 of the architecture).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// Between two heartbeats of a worker that has a task of the job.
    pub heartbeat: Duration,
    /// A worker not heard of for so long is lost. A dead one is noticed at once, by its
    /// connection; this is for frozen ones.
    pub lost: Duration,
    /// A worker that reports a lost peer waits so long for somebody to name the cause.
    pub blame: Duration,
    /// A worker has so long to let go of a task that was given up; a job waits so long for those who have its state.
    pub let_go: Duration,
    /// A collective operation that has not finished by then fails. Longer than any honest wait
    /// for a slower rank: a dead peer breaks the connection, a frozen one is found by `lost`.
    pub collective: Duration,
}

/// How the coordinator runs its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Between two heartbeats of an idle worker.
    pub idle_heartbeat: Duration,
    /// An idle worker not heard of for so long is gone.
    pub idle_lost: Duration,
    /// A worker whose connection broke has so long to come back before it counts as lost. A dead
    /// one is known to be dead earlier, by its peers. And a job that could begin waits so long for
    /// more workers that are on their way back to the pool, or to a coordinator that has just begun.
    pub reconnect: Duration,
    /// After a change of coordinators, workers have so long to come back to their tasks.
    pub adopt: Duration,
    /// A job that waits longer than this has free workers held for it, so that smaller jobs behind
    /// it cannot starve it.
    pub patience: Duration,
    /// A job grows no sooner than this after it began in its present size: growing costs a meeting.
    pub settle: Duration,
    /// What is taken on at most.
    pub limits: Limits,
}

/// What a pool takes on at most; `None` = as much as is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Jobs that are not over: queued, under way, paused.
    pub jobs: Option<u32>,
    /// Workers that one job may ask for. A job's record lists them all.
    pub workers_per_job: Option<u32>,
}

impl Default for Limits {
    /// As many workers as a store takes in one record.
    fn default() -> Limits {
        Limits { jobs: None, workers_per_job: Some(2000) }
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            idle_heartbeat: Duration::from_secs(2),
            idle_lost: Duration::from_secs(15),
            reconnect: Duration::from_millis(1500),
            adopt: Duration::from_secs(15),
            patience: Duration::from_secs(60),
            settle: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}
