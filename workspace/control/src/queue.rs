//! Who gets which workers: a pure function of counts.
//!
//! Jobs are looked at in the order of the queue: priority first, then first come, first served.
//!
//! 1. Each that can begin with its fewest workers is given those; if more are on their way back, it
//!    waits a moment for them, holding what it has. One that cannot begin, but could if
//!    - attempts that are ending anyway gave their workers back, or
//!    - jobs of lower priority did, or those of the same gave what they have beyond their fewest,
//!
//!    has them do so, and the free workers are held for it meanwhile. One that cannot even then has
//!    free workers held for it only once it has waited longer than its patience: until then,
//!    smaller jobs behind it go ahead (invariant H).
//! 2. What is left makes the jobs that begin larger.
//! 3. What is left then makes running jobs larger, one at a time, if nobody waits for workers of
//!    that kind.

use std::{
    cmp::{Ordering, Reverse},
    collections::BTreeMap,
    time::Duration,
};

use crate::{
    Device, JobName, Policy, WorkerName,
    crew::Memory,
    readiness::Newcomers,
    shares::{Counts, Shares},
};

/// A job that waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) job: JobName,
    pub(crate) priority: i32,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// Kinds of workers that will do, the preferred one first.
    pub(crate) kinds: &'static [Device],
    pub(crate) waited: Duration,
    /// Who has its state in memory, if anybody does.
    pub(crate) memory: Option<Memory>,
    /// How long they may take for that.
    pub(crate) let_go: Duration,
    /// Whom it leaves out.
    pub(crate) excluded: Excluded,
}

/// Workers that a job leaves out because they cannot do its work.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excluded {
    pub(crate) shares: Shares,
    pub(crate) names: Vec<WorkerName>,
    /// How many of them are at which job.
    pub(crate) at: BTreeMap<JobName, u32>,
}

impl Waiting {
    /// It leaves some workers out.
    pub(crate) fn is_particular(&self) -> bool {
        !self.excluded.names.is_empty()
    }

    /// Those who have its state are about to be free.
    fn waits_for_state(&self, policy: &Policy) -> bool {
        self.memory.is_some_and(|Memory { at_hand, coming_back, .. }| {
            let patience = if at_hand > 0 { policy.reconnect } else { self.let_go };
            coming_back > 0 && self.waited < patience
        })
    }
}

/// A job that runs.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) job: JobName,
    pub(crate) priority: i32,
    pub(crate) sequence: u64,
    pub(crate) device: Device,
    pub(crate) members: u32,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// It can be stopped at a step boundary, and is not being stopped already.
    pub(crate) stoppable: bool,
    pub(crate) age: Duration,
    /// Who could join at once.
    pub(crate) newcomers: Newcomers,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The job begins.
    Start { job: JobName, device: Device, workers: u32 },
    /// The job goes on waiting.
    Wait { job: JobName, reason: String },
    /// The job is stopped at a step boundary and queued again.
    Stop { job: JobName, reason: String },
    /// The same, so that it begins again with more workers.
    Grow { job: JobName, reason: String },
    /// Free workers get ready to make it larger.
    GetReady { job: JobName, workers: u32 },
}

/// Decides. `waiting` is in the order of the queue; `is_young` is a coordinator that has only just begun, and to which
/// workers are still coming.
///
/// Counts do not say who goes to which job: once one begins, nothing is decided of the next that leaves workers out,
/// nor of those behind it, until that is known.
pub(crate) fn decide(
    waiting: &[Waiting],
    running: &[Running],
    shares: &Shares,
    policy: &Policy,
    is_young: bool,
) -> Vec<Decision> {
    let mut victims: Vec<Running> = running.iter().filter(|job| job.stoppable).cloned().collect();
    victims.sort_by_key(|job| (job.priority, Reverse(job.sequence)));
    let mut desk = Desk {
        free: shares.free.clone(),
        returning: shares.returning.clone(),
        shares,
        is_young,
        victims,
        wanted: Vec::new(),
        decisions: Vec::new(),
    };
    let mut starts = Vec::new();
    for (at, job) in waiting.iter().enumerate() {
        if job.is_particular() && !starts.is_empty() {
            desk.leave_for_later(&waiting[at..]);
            break;
        }
        match desk.kind_for(job, policy) {
            Some(kind) if desk.is_worth_a_moment(job, kind, policy) => desk.gather(job, kind),
            Some(kind) => {
                desk.free.take(kind, job.min);
                starts.push((job, kind, job.min));
            }
            None => desk.queue(job, policy),
        }
    }
    let mut decisions = Vec::new();
    for (job, kind, fewest) in starts {
        let more = job.max.saturating_sub(fewest).min(desk.free_for(job, kind));
        desk.free.take(kind, more);
        decisions.push(Decision::Start { job: job.job.clone(), device: kind, workers: fewest + more });
    }
    desk.grow(policy);
    decisions.append(&mut desk.decisions);
    decisions
}

/// The work in progress of one decision.
struct Desk<'a> {
    free: Counts,
    returning: Counts,
    shares: &'a Shares,
    is_young: bool,
    /// Who may be stopped: the least important first, and of those the latest.
    victims: Vec<Running>,
    /// Kinds that somebody waits for: nobody grows on those.
    wanted: Vec<Device>,
    decisions: Vec<Decision>,
}

impl Desk<'_> {
    /// These are decided on once those before them have begun. Nobody gets what they could begin with, though others
    /// may take just those whom they do not leave out; and nobody grows.
    fn leave_for_later(&mut self, jobs: &[Waiting]) {
        for job in jobs {
            for kind in job.kinds.iter().copied() {
                if self.free.of(kind) >= job.min {
                    self.free.take(kind, job.min + job.excluded.shares.free.of(kind));
                }
            }
        }
        self.victims.clear();
    }

    /// Free workers that a job can use.
    fn free_for(&self, job: &Waiting, kind: Device) -> u32 {
        self.free.of(kind).saturating_sub(job.excluded.shares.free.of(kind))
    }

    fn returning_for(&self, job: &Waiting, kind: Device) -> u32 {
        self.returning.of(kind).saturating_sub(job.excluded.shares.returning.of(kind))
    }

    fn all_for(&self, job: &Waiting, kind: Device) -> u32 {
        self.shares.all.of(kind).saturating_sub(job.excluded.shares.all.of(kind))
    }

    /// The kind of those who have its state before any other.
    fn kind_for(&self, job: &Waiting, policy: &Policy) -> Option<Device> {
        let of_state = job.memory.map(|memory| memory.device).filter(|kind| job.kinds.contains(kind));
        if let Some(kind) = of_state
            && (self.free_for(job, kind) >= job.min
                || (job.waits_for_state(policy) && self.all_for(job, kind) >= job.min))
        {
            return Some(kind);
        }
        job.kinds.iter().copied().find(|kind| self.free_for(job, *kind) >= job.min)
    }

    /// Growing later costs a meeting, and beginning without those who have the state costs all since the checkpoint:
    /// nobody begins small, or without them, while they are on their way, if that is so for a moment only.
    fn is_worth_a_moment(&self, job: &Waiting, kind: Device, policy: &Policy) -> bool {
        let come_back = job.waited < policy.reconnect && self.returning_for(job, kind) > 0;
        ((self.is_young || come_back) && self.free_for(job, kind) < job.max) || job.waits_for_state(policy)
    }

    fn gather(&mut self, job: &Waiting, kind: Device) {
        let more = job.max.saturating_sub(self.free_for(job, kind)).min(self.returning_for(job, kind));
        self.free.take(kind, job.max);
        self.returning.take(kind, more);
        self.wanted.push(kind);
        self.wait(job, "waiting a moment for more workers on their way".into());
    }

    /// A job that cannot begin: what is done so that it can, and what it is told.
    fn queue(&mut self, job: &Waiting, policy: &Policy) {
        let enough = |kind: &Device| self.all_for(job, *kind) >= job.min;
        let kinds: Vec<Device> = job.kinds.iter().copied().filter(enough).collect();
        if kinds.is_empty() {
            let there: u32 = job.kinds.iter().map(|kind| self.all_for(job, *kind)).max().unwrap_or(0);
            let beside = beside(&job.excluded.names);
            let reason = format!("needs {}; the pool has {there}{beside}", workers_of(job.min, job.kinds));
            return self.wait(job, reason);
        }
        self.wanted.extend(&kinds);
        let missing = |desk: &Self, kind: Device| job.min - desk.free_for(job, kind);
        for kind in kinds.iter().copied() {
            let missing = missing(self, kind);
            if self.returning_for(job, kind) >= missing {
                self.returning.take(kind, missing);
                self.free.set(kind, 0);
                return self.wait(job, format!("waiting for {} to finish a step", workers(missing)));
            }
        }
        for kind in kinds.iter().copied() {
            if let Some(reason) = self.reclaim(job, kind, missing(self, kind)) {
                self.free.set(kind, 0);
                return self.wait(job, reason);
            }
        }
        let fewest = kinds.iter().map(|kind| missing(self, *kind)).min().unwrap_or(0);
        if job.waited <= policy.patience {
            // Smaller jobs behind it may go ahead.
            return self.wait(job, format!("waiting for {}", more_workers(fewest)));
        }
        for kind in kinds {
            self.free.set(kind, 0);
        }
        self.wait(job, format!("waiting for {}; free ones are held for it", more_workers(fewest)));
    }

    /// Has running jobs give back what is `missing` beside workers that return anyway, if together
    /// they can: the least important ones, and of those the latest.
    fn reclaim(&mut self, job: &Waiting, kind: Device, missing: u32) -> Option<String> {
        let missing = missing - self.returning_for(job, kind);
        let gives = |victim: &Running| {
            let given = match victim.priority.cmp(&job.priority) {
                _ if victim.device != kind => 0,
                Ordering::Less => victim.members,
                Ordering::Equal => victim.members.saturating_sub(victim.min),
                Ordering::Greater => 0,
            };
            given.saturating_sub(job.excluded.at.get(&victim.job).copied().unwrap_or(0))
        };
        let (mut chosen, mut sum) = (Vec::new(), 0);
        for (at, victim) in self.victims.iter().enumerate() {
            let given = gives(victim);
            if given > 0 && sum < missing {
                chosen.push(at);
                sum += given;
            }
        }
        if sum < missing {
            return None;
        }
        self.returning.set(kind, sum - missing);
        let mut names = Vec::new();
        for at in chosen.into_iter().rev() {
            let victim = self.victims.remove(at);
            let reason = if victim.priority < job.priority {
                format!("preempted by {} (priority {} over {})", job.job, job.priority, victim.priority)
            } else {
                format!("making room for {}", job.job)
            };
            names.push(victim.job.to_string());
            self.decisions.push(Decision::Stop { job: victim.job, reason });
        }
        let write = if names.len() == 1 { "which writes a checkpoint" } else { "which write checkpoints" };
        Some(format!("waiting for workers of {}, {write} first", names.join(" and ")))
    }

    /// Running jobs get what nobody waits for, once that is ready; what takes longer than the rest joins later.
    /// Whoever is stopping now may be growing already: so nobody else does until it is back.
    fn grow(&mut self, policy: &Policy) {
        let mut waited_for = std::mem::take(&mut self.wanted);
        for job in std::mem::take(&mut self.victims).into_iter().rev() {
            let kind = job.device;
            let Newcomers { ready, waited, unfit } = job.newcomers;
            let fit = self.free.of(kind).saturating_sub(unfit);
            let wanted = job.max.saturating_sub(job.members).min(fit);
            let is_quiet = self.shares.returning.of(kind) == 0 && !waited_for.contains(&kind);
            if wanted == 0 || !is_quiet {
                continue;
            }
            waited_for.push(kind);
            let more = wanted.min(ready);
            let have_waited = more == wanted || (more > 0 && waited >= policy.settle);
            if have_waited && job.age >= policy.settle {
                let reason = format!("growing from {} to {}", job.members, workers(job.members + more));
                self.decisions.push(Decision::Grow { job: job.job, reason });
            } else {
                self.decisions.push(Decision::GetReady { job: job.job, workers: wanted });
            }
        }
    }

    fn wait(&mut self, job: &Waiting, reason: String) {
        self.decisions.push(Decision::Wait { job: job.job.clone(), reason });
    }
}

/// Those who are left out, in words.
fn beside(excluded: &[WorkerName]) -> String {
    match excluded {
        [] => String::new(),
        [one] => format!(" beside {one}, which cannot do its work"),
        [one, more @ ..] => format!(" beside {one} and {} more that cannot do its work", more.len()),
    }
}

fn workers(count: u32) -> String {
    if count == 1 { "1 worker".into() } else { format!("{count} workers") }
}

fn more_workers(count: u32) -> String {
    if count == 1 { "1 more worker".into() } else { format!("{count} more workers") }
}

fn workers_of(count: u32, kinds: &[Device]) -> String {
    match kinds {
        [Device::Cuda] => format!("{} with a CUDA device", workers(count)),
        _ => workers(count),
    }
}
