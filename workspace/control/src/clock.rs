//! What time does.

use crate::{JobName, State, Time, WorkerName, state::Outcome};

impl State {
    pub(crate) fn tick(&mut self, now: Time, out: &mut Outcome) {
        for (worker, why) in self.silent(now) {
            self.gone(&worker, &why, now, out);
        }
        let jobs: Vec<JobName> =
            self.jobs.values().filter(|job| job.attempt.is_some()).map(|job| job.name().clone()).collect();
        for job in jobs {
            self.blame(&job, now, out);
            self.adopt(&job, now, out);
        }
        // Pauses end, patience runs out, sizes settle.
        self.unsettled = true;
    }

    /// Workers that have not been heard of for too long.
    fn silent(&self, now: Time) -> Vec<(WorkerName, String)> {
        self.workers
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
        let missing = attempt.members.iter().find(|member| {
            let worker = self.workers.get(&member.worker);
            worker.is_none_or(|worker| worker.incarnation != member.incarnation)
        });
        let missing = missing.map(|member| member.worker.clone());
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
