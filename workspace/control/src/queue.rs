//! Who gets which workers: a pure function of counts.
//!
//! Jobs are looked at in the order of the queue: priority first, then first come, first served.
//!
//! 1. Each that can begin with its fewest workers is given those. One that cannot, but could if
//!    - attempts that are ending anyway gave their workers back, or
//!    - jobs of lower priority did, or those of the same gave what they have beyond their fewest,
//!
//!    has them do so, and the free workers are held for it meanwhile. One that cannot even then has
//!    free workers held for it only once it has waited longer than its patience: until then,
//!    smaller jobs behind it go ahead (invariant H).
//! 2. What is left makes the jobs that begin larger.
//! 3. What is left then makes running jobs larger, if nobody waits for workers of that kind.

use std::{collections::BTreeMap, time::Duration};

use crate::{Device, JobName};

/// Numbers of workers, by kind.
pub(crate) type Counts = BTreeMap<Device, u32>;

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
}

/// What there is to share out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    /// Workers with nothing to do.
    pub(crate) free: Counts,
    /// Workers of attempts that are ending.
    pub(crate) returning: Counts,
    /// All workers that may be given tasks.
    pub(crate) all: Counts,
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
}

/// Decides. `waiting` and `running` are in the order of the queue.
pub(crate) fn decide(
    waiting: &[Waiting],
    running: &[Running],
    shares: &Shares,
    patience: Duration,
    settle: Duration,
) -> Vec<Decision> {
    let mut desk = Desk {
        free: shares.free.clone(),
        returning: shares.returning.clone(),
        all: &shares.all,
        victims: running.iter().filter(|job| job.stoppable).cloned().collect(),
        wanted: Vec::new(),
        decisions: Vec::new(),
    };
    let mut starts = Vec::new();
    for job in waiting {
        match desk.kind_for(job) {
            Some(device) => {
                take(&mut desk.free, device, job.min);
                starts.push((job, device, job.min));
            }
            None => desk.queue(job, patience),
        }
    }
    for (job, device, workers) in &mut starts {
        let more = (job.max - *workers).min(count(&desk.free, *device));
        take(&mut desk.free, *device, more);
        *workers += more;
    }
    let starts = starts.into_iter().map(|(job, device, workers)| Decision::Start {
        job: job.job.clone(),
        device,
        workers,
    });
    let mut decisions: Vec<Decision> = starts.collect();
    desk.grow(settle);
    decisions.append(&mut desk.decisions);
    decisions
}

/// The work in progress of one decision.
struct Desk<'a> {
    free: Counts,
    returning: Counts,
    all: &'a Counts,
    victims: Vec<Running>,
    /// Kinds that somebody waits for: nobody grows on those.
    wanted: Vec<Device>,
    decisions: Vec<Decision>,
}

impl Desk<'_> {
    fn kind_for(&self, job: &Waiting) -> Option<Device> {
        job.kinds.iter().copied().find(|kind| count(&self.free, *kind) >= job.min)
    }

    /// A job that cannot begin: what is done so that it can, and what it is told.
    fn queue(&mut self, job: &Waiting, patience: Duration) {
        self.wanted.extend(job.kinds);
        let enough = |kind: &Device| count(self.all, *kind) >= job.min;
        let Some(kind) = job.kinds.iter().copied().find(enough) else {
            let there: u32 = job.kinds.iter().map(|kind| count(self.all, *kind)).max().unwrap_or(0);
            let reason = format!("needs {}; the pool has {there}", workers_of(job.min, job.kinds));
            return self.wait(job, reason);
        };
        let missing = job.min - count(&self.free, kind);
        let returning = count(&self.returning, kind);
        let reason = if returning >= missing {
            take(&mut self.returning, kind, missing);
            format!("waiting for {} to finish a step", workers(missing))
        } else if let Some(reason) = self.reclaim(job, kind, missing - returning) {
            self.returning.insert(kind, 0);
            reason
        } else if job.waited > patience {
            format!("waiting for {} more; free ones are held for it", workers(missing))
        } else {
            // Smaller jobs behind it may go ahead.
            return self.wait(job, format!("waiting for {} more", workers(missing)));
        };
        self.free.insert(kind, 0);
        self.wait(job, reason);
    }

    /// Has running jobs give `missing` workers back, if together they can: the least important
    /// ones, and of those the latest.
    fn reclaim(&mut self, job: &Waiting, kind: Device, missing: u32) -> Option<String> {
        let gives = |victim: &Running| match victim.priority.cmp(&job.priority) {
            _ if victim.device != kind => 0,
            std::cmp::Ordering::Less => victim.members,
            std::cmp::Ordering::Equal => victim.members.saturating_sub(victim.min),
            std::cmp::Ordering::Greater => 0,
        };
        let mut order: Vec<usize> = (0..self.victims.len()).collect();
        order.sort_by_key(|&at| (self.victims[at].priority, std::cmp::Reverse(self.victims[at].sequence)));
        let (mut chosen, mut sum) = (Vec::new(), 0);
        for at in order {
            let given = gives(&self.victims[at]);
            if given > 0 && sum < missing {
                chosen.push(at);
                sum += given;
            }
        }
        if sum < missing {
            return None;
        }
        chosen.sort_unstable();
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
        Some(format!("waiting for workers of {}, which writes a checkpoint first", names.join(" and ")))
    }

    /// Running jobs get what nobody waits for.
    fn grow(&mut self, settle: Duration) {
        let mut running = std::mem::take(&mut self.victims);
        running.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.sequence));
        for job in running {
            let more = job.max.saturating_sub(job.members).min(count(&self.free, job.device));
            if more == 0 || job.age < settle || self.wanted.contains(&job.device) {
                continue;
            }
            take(&mut self.free, job.device, more);
            let reason = format!("growing from {} to {}", job.members, workers(job.members + more));
            self.decisions.push(Decision::Stop { job: job.job, reason });
        }
    }

    fn wait(&mut self, job: &Waiting, reason: String) {
        self.decisions.push(Decision::Wait { job: job.job.clone(), reason });
    }
}

pub(crate) fn count(counts: &Counts, kind: Device) -> u32 {
    counts.get(&kind).copied().unwrap_or(0)
}

fn take(counts: &mut Counts, kind: Device, workers: u32) {
    let left = count(counts, kind).saturating_sub(workers);
    counts.insert(kind, left);
}

fn workers(count: u32) -> String {
    if count == 1 { "1 worker".into() } else { format!("{count} workers") }
}

fn workers_of(count: u32, kinds: &[Device]) -> String {
    match kinds {
        [Device::Cuda] => format!("{} with a CUDA device", workers(count)),
        _ => workers(count),
    }
}
