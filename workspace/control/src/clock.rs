//! What time does.

use std::time::Duration;

use crate::{JobName, Rank, State, Time, WorkerName, state::Outcome};

/// Longer than this between two ticks, and it was the coordinator that slept.
const NAP: Duration = Duration::from_secs(1);

/// Between two tellings of what jobs wait for: each is recorded, and there may be many.
const EXPLAIN: Duration = Duration::from_secs(3);

impl State {
    pub(crate) fn tick(&mut self, now: Time, out: &mut Outcome) {
        let asleep = self.ticked.replace(now).map_or(Duration::ZERO, |before| now.since(before));
        if asleep > NAP {
            self.overslept(asleep, now);
        }
        for (worker, why) in self.silent(now) {
            self.gone(&worker, &why, now, out);
        }
        let with_attempt = self.jobs.values().filter(|job| job.attempt.is_some());
        for job in with_attempt.map(|job| job.name().clone()).collect::<Vec<_>>() {
            self.blame(&job, now, out);
            self.adopt(&job, now, out);
            self.look_for_stragglers(&job, now, out);
        }
        self.forget_the_gone(now, out);
        // Pauses end, patience runs out, sizes settle.
        self.unsettled = true;
        if now.since(self.explained) >= EXPLAIN {
            self.explained = now;
            self.explain = true;
        }
    }

    /// A coordinator that was frozen, or waited for its store, has heard nobody meanwhile: that is
    /// nobody else's silence.
    fn overslept(&mut self, asleep: Duration, now: Time) {
        self.crew.shift(|since| (since + asleep).min(now));
        for attempt in self.jobs.values_mut().filter_map(|job| job.attempt.as_mut()) {
            attempt.bereft_since = attempt.bereft_since.map(|since| (since + asleep).min(now));
            attempt.adopt_by = attempt.adopt_by.map(|by| by + asleep);
        }
    }

    /// Workers that have not been heard of for too long.
    fn silent(&self, now: Time) -> Vec<(WorkerName, String)> {
        self.crew
            .iter()
            .filter_map(|(name, worker)| {
                if let Some((since, why)) = &worker.cut_off {
                    return (now.since(*since) >= self.policy.reconnect).then(|| (name.clone(), why.clone()));
                }
                let job = worker.task.as_ref().and_then(|task| self.jobs.get(&task.job));
                let lost = job.map_or(self.policy.idle_lost, |job| job.request.timeouts.lost);
                let why = format!("it has been silent for {} s", lost.as_secs_f64());
                (now.since(worker.heard) > lost).then(|| (name.clone(), why))
            })
            .collect()
    }

    /// After a change of coordinators: members that have not come back in time are lost.
    fn adopt(&mut self, name: &JobName, now: Time, out: &mut Outcome) {
        let Some(attempt) = self.jobs.get(name).and_then(|job| job.attempt.as_ref()) else { return };
        let Some(by) = attempt.adopt_by else { return };
        let missing = attempt.members.iter().enumerate().find(|(rank, member)| {
            let is_back = self.crew.get(&member.worker).is_some_and(|worker| member.is(worker));
            !is_back && !attempt.done.contains_key(&Rank(*rank as u32))
        });
        let missing = missing.map(|(_, member)| member.worker.clone());
        if missing.is_none() || now >= by {
            if let Some(attempt) = self.jobs.get_mut(name).and_then(|job| job.attempt.as_mut()) {
                attempt.adopt_by = None;
            }
            if let Some(worker) = missing {
                self.lost(name, &worker, "it did not come back to this coordinator", now, out);
            }
        }
    }
}
