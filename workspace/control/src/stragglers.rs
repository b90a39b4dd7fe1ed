//! Workers that are slower than the others: everybody waits for them, every step.
//!
//! ```text
//! own time for a lane, every worker ─► times the median ─► for long enough? ─► known to be slow ─► fewer lanes,
//!                                                                                                  or drained
//! ```
//! Counted is what a worker computes itself, not what it waits for: a collective makes all of them equally late.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Attempt, JobName, Member, Notice, Rank, Stage, State, Time, crew::Crew, lanes, leasing::Then,
    state::Outcome,
};

/// What is done about workers that are persistently slower than the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stragglers {
    /// It is said, and nothing else is done.
    Keep,
    /// They get fewer lanes.
    #[default]
    FewerLanes,
    /// They get no more tasks, of this job and of others, as long as it has enough workers without them.
    Drain,
}

/// Who takes so many times as long as the median is slow.
const SLOW: f64 = 1.5;

/// Who was slow and takes less than this keeps pace again.
const WELL: f64 = 1.2;

/// What is so for less long may pass: a machine has other work for a moment.
const PERSISTS: Duration = Duration::from_secs(15);

/// Lanes are dealt anew if steps get so much shorter: that costs a meeting.
const WORTH: f64 = 0.9;

impl State {
    /// Finds members that have become slow, or keep pace again, and does what the job wants done about it.
    pub(crate) fn look_for_stragglers(&mut self, name: &JobName, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get(name) else { return };
        let Some(attempt) = job.attempt.as_ref().filter(|attempt| is_steady(attempt)) else { return };
        let Some(paces) = self.crew.paces(&attempt.members) else { return };
        let median = median(&paces);
        let factors: Vec<f64> = paces.iter().map(|pace| pace / median).collect();
        let is_odd = |(rank, factor): (usize, &f64)| {
            let known = self.crew.slowness(name, &attempt.members[rank]).is_some();
            (if known { *factor < WELL } else { *factor > SLOW }).then_some(Rank(rank as u32))
        };
        let odd: Vec<Rank> = factors.iter().enumerate().filter_map(is_odd).collect();
        if odd.is_empty() && attempt.odd.is_empty() {
            return;
        }
        let members = attempt.members.clone();
        let Some(attempt) = self.jobs.get_mut(name).and_then(|job| job.attempt.as_mut()) else { return };
        attempt.odd.retain(|rank, _| odd.contains(rank));
        for rank in &odd {
            attempt.odd.entry(*rank).or_insert(now);
        }
        let lasting = attempt.odd.extract_if(.., |_, since| now.since(*since) >= PERSISTS);
        let lasting: Vec<Rank> = lasting.map(|(rank, _)| rank).collect();
        for rank in &lasting {
            let (member, factor) = (&members[rank.0 as usize], factors[rank.0 as usize]);
            let factor = (factor > SLOW).then_some(factor);
            self.crew
                .change(&member.worker, |worker| worker.slow = factor.map(|factor| (name.clone(), factor)));
            out.tell(name, Notice::Pace { worker: member.worker.clone(), factor });
        }
        if !lasting.is_empty() {
            self.relieve(name, &members, &paces, out);
        }
    }

    fn relieve(&mut self, name: &JobName, members: &[Member], paces: &[f64], out: &mut Outcome) {
        let Some(job) = self.jobs.get(name) else { return };
        let Some(attempt) = &job.attempt else { return };
        match job.request.stragglers {
            Stragglers::Keep => {}
            Stragglers::FewerLanes => {
                let lanes = job.request.lanes;
                let ranks = 0..members.len() as u32;
                let now = ranks.map(|rank| attempt.lanes_of(Rank(rank), lanes).len() as u32);
                let then = lanes::by_speed(lanes, &self.crew.speeds(name, members));
                if longest(then.into_iter(), paces) <= WORTH * longest(now, paces) {
                    let reason = "lanes are dealt by how fast workers are".into();
                    self.stop_training(name, reason, Then::GoOn, out);
                }
            }
            Stragglers::Drain => {
                let (fewest, _) = job.workers(Stage::Train);
                let mut left = members.len() as u32;
                for member in members {
                    let is_slow = self.crew.slowness(name, member).is_some();
                    if is_slow && left > fewest && self.pool.drained.insert(member.worker.clone()) {
                        left -= 1;
                        self.crew.change(&member.worker, |worker| worker.drained = true);
                        out.pool_changed = true;
                        let reason = format!("{} is slow, and drained", member.worker);
                        self.stop_training(name, reason, Then::GoOn, out);
                    }
                }
            }
        }
    }
}

impl Crew {
    /// What members compute for a lane, by rank, if that is known of all.
    fn paces(&self, members: &[Member]) -> Option<Vec<f64>> {
        let pace = |member: &Member| self.get(&member.worker).filter(|worker| member.is(worker))?.pace;
        members.iter().map(|member| pace(member).filter(|pace| *pace > 0.0)).collect()
    }

    /// How slow a member is known to be.
    fn slowness(&self, job: &JobName, member: &Member) -> Option<f64> {
        let (of, factor) = self.get(&member.worker).filter(|worker| member.is(worker))?.slow.as_ref()?;
        (of == job).then_some(*factor)
    }

    /// How fast members are known to be, by rank: 1, or less for those that are slow.
    fn speeds(&self, job: &JobName, members: &[Member]) -> Vec<f64> {
        members.iter().map(|member| self.slowness(job, member).map_or(1.0, |factor| 1.0 / factor)).collect()
    }

    /// Lanes by rank, fewer for those that are slow; empty when nobody is.
    pub(crate) fn shares_of(&self, job: &JobName, members: &[Member], lanes: u32) -> Vec<u32> {
        let speeds = self.speeds(job, members);
        if speeds.iter().all(|speed| *speed == 1.0) { Vec::new() } else { lanes::by_speed(lanes, &speeds) }
    }
}

/// Whether it trains, and is going to.
fn is_steady(attempt: &Attempt) -> bool {
    attempt.stage == Stage::Train
        && attempt.members.len() > 1
        && attempt.ending.is_none()
        && attempt.done.is_empty()
        && attempt.bereft.is_empty()
}

/// The lower one, of an even number: of two workers the slower one is the slow one.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

/// What the rank that takes longest takes.
fn longest(shares: impl Iterator<Item = u32>, paces: &[f64]) -> f64 {
    shares.zip(paces).map(|(share, pace)| f64::from(share) * pace).fold(0.0, f64::max)
}
