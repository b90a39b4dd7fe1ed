//! Carrying out what the queue decides.

use std::collections::BTreeSet;

use crate::{
    Job, JobName, Phase, State, Time,
    queue::{self, Decision, Running, Waiting},
    state::Outcome,
};

impl State {
    /// Starts, stops and grows jobs as far as workers go.
    pub(crate) fn schedule(&mut self, now: Time, out: &mut Outcome) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        let (waiting, running) = (self.waiting(now), self.running(now));
        let is_young = now.since(self.begun) < self.policy.reconnect;
        let decisions = queue::decide(&waiting, &running, self.crew.shares(), &self.policy, is_young);
        let explain = std::mem::take(&mut self.explain);
        for decision in decisions {
            match decision {
                Decision::Start { job, device, workers } => self.start(&job, device, workers, now, out),
                Decision::Stop { job, reason } => self.stop_training(&job, reason, out),
                Decision::Wait { job, reason } if explain => {
                    self.enter(&job, Phase::Pending, reason, now, out);
                }
                Decision::Wait { .. } => {}
            }
        }
        // Whoever is stopped here is known to be.
        self.unsettled = false;
    }

    fn waiting(&self, now: Time) -> Vec<Waiting> {
        let mut jobs: Vec<&Job> = self.jobs.values().filter(|job| job.waits_for(now).is_some()).collect();
        jobs.sort_by_key(|job| job.rank());
        let keepers = self.keepers();
        let waiting = jobs.into_iter().filter_map(|job| {
            let stage = job.waits_for(now)?;
            let (min, max) = job.workers(stage);
            Some(Waiting {
                job: job.name().clone(),
                priority: job.request.priority,
                min,
                max,
                kinds: job.request.device.kinds(stage),
                waited: now.since(job.since),
                is_kept: stage.has_checkpoints() && keepers.contains(job.name()),
            })
        });
        waiting.collect()
    }

    /// Jobs whose last workers are on their way back, with the state of training in their memory.
    fn keepers(&self) -> BTreeSet<&JobName> {
        if self.crew.shares().nobody_returns() {
            return BTreeSet::new();
        }
        let returning = self.crew.iter().filter(|(_, worker)| worker.returning && worker.cut_off.is_none());
        returning.filter_map(|(_, worker)| worker.last_job.as_ref()).collect()
    }

    fn running(&self, now: Time) -> Vec<Running> {
        let attempts = self.jobs.values().filter_map(|job| Some((job, job.attempt.as_ref()?)));
        let running = attempts.map(|(job, attempt)| {
            let (min, max) = job.workers(attempt.stage);
            Running {
                job: job.name().clone(),
                priority: job.request.priority,
                sequence: job.sequence,
                device: attempt.device,
                members: attempt.members.len() as u32,
                min,
                max,
                stoppable: attempt.stage.has_checkpoints()
                    && attempt.ending.is_none()
                    && attempt.adopt_by.is_none()
                    && attempt.done.is_empty()
                    && attempt.bereft.is_empty(),
                age: now.since(attempt.since),
            }
        });
        running.collect()
    }
}
