//! Carrying out what the queue decides.

use crate::{
    Device, Job, Phase, State, Time, Worker, WorkerName,
    crew::Memory,
    leasing::Then,
    queue::{self, Decision, Excluded, Running, Waiting},
    state::Outcome,
};

impl State {
    /// Starts, stops and grows jobs as far as workers go.
    pub(crate) fn schedule(&mut self, now: Time, out: &mut Outcome) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        // Each time round, one begins at least.
        while self.settle(now, out) {}
        // Whoever is stopped here is known to be.
        self.unsettled = false;
        self.explain = false;
    }

    /// Whether it is to be decided again: some began, and others are particular about whom they could have.
    fn settle(&mut self, now: Time, out: &mut Outcome) -> bool {
        let is_young = now.since(self.begun) < self.policy.reconnect;
        let (waiting, running) = (self.waiting(is_young, now), self.running(now));
        self.save_those_who_may_lose_their_workers(&waiting, out);
        let decisions = queue::decide(&waiting, &running, self.crew.shares(), &self.policy, is_young);
        let explain = self.explain;
        let begins = |decision: &Decision| matches!(decision, Decision::Start { .. });
        let again = waiting.iter().any(Waiting::is_particular) && decisions.iter().any(begins);
        for decision in decisions {
            match decision {
                Decision::Start { job, device, workers } => self.start(&job, device, workers, now, out),
                Decision::Stop { job, reason } => self.stop_training(&job, reason, Then::MakeWay, out),
                Decision::Grow { job, reason } => self.stop_training(&job, reason, Then::GoOn, out),
                Decision::GetReady { job, workers } => self.get_ready(&job, workers, now, out),
                Decision::Wait { job, reason } => {
                    if explain {
                        self.enter(&job, Phase::Pending, reason, now, out);
                    }
                    self.ask_the_excluded(&job, now, out);
                }
            }
        }
        again
    }

    /// A job that stops to go on from memory may not get its workers back while others wait that go before it.
    fn save_those_who_may_lose_their_workers(&mut self, waiting: &[Waiting], out: &mut Outcome) {
        let Some(first) = waiting.first().and_then(|first| self.jobs.get(&first.job)).map(Job::rank) else {
            return;
        };
        let is_unsaved = |job: &&Job| {
            let ending = job.attempt.as_ref().and_then(|attempt| attempt.ending.as_ref());
            ending.is_some_and(|ending| !ending.checkpoint) && job.rank() > first
        };
        let unsaved: Vec<_> = self.jobs.values().filter(is_unsaved).map(|job| job.name().clone()).collect();
        for job in unsaved {
            self.stop_training(&job, "others that wait go before it".into(), Then::MakeWay, out);
        }
    }

    fn waiting(&self, is_young: bool, now: Time) -> Vec<Waiting> {
        let mut jobs: Vec<&Job> = self.jobs.values().filter(|job| job.waits_for(now).is_some()).collect();
        jobs.sort_by_key(|job| job.rank());
        let memories = self.crew.memories(jobs.iter().copied().filter(|job| job.goes_on_from_memory()), now);
        let waiting = jobs.into_iter().filter_map(|job| {
            let stage = job.waits_for(now)?;
            let (min, max) = job.workers(stage);
            let memory = memories.get(job.name()).copied();
            // More of them may be on their way to a coordinator that has only just begun.
            let most = memory.filter(|_| !is_young).map(|memory| self.most_that_join(job, memory, now));
            let max = most.map_or(max, |most| most.clamp(min, max));
            Some(Waiting {
                job: job.name().clone(),
                priority: job.request.priority,
                min,
                max,
                kinds: job.request.device.kinds(stage),
                waited: now.since(job.since),
                memory,
                let_go: job.request.timeouts.let_go,
                excluded: self.excluded_from(job),
            })
        });
        waiting.collect()
    }

    fn excluded_from(&self, job: &Job) -> Excluded {
        let mut excluded = Excluded::default();
        for (name, worker) in self.excluded(job) {
            excluded.shares.add(worker);
            excluded.names.push(name.clone());
            if let Some(task) = &worker.task {
                *excluded.at.entry(task.job.clone()).or_default() += 1;
            }
        }
        excluded
    }

    /// While workers have a training's state in memory, only those join them who are ready: it goes on at once, and
    /// grows later.
    fn most_that_join(&self, job: &Job, memory: Memory, now: Time) -> u32 {
        let others = self.free(memory.device).filter(|(_, worker)| !memory.counts(worker, job));
        memory.at_hand + memory.coming_back + self.newcomers(job, others, now).ready
    }

    fn free(&self, device: Device) -> impl Iterator<Item = (&WorkerName, &Worker)> {
        self.crew.iter().filter(move |(_, worker)| worker.is_free() && worker.device == device)
    }

    fn running(&self, now: Time) -> Vec<Running> {
        let attempts = self.jobs.values().filter_map(|job| Some((job, job.attempt.as_ref()?)));
        let running = attempts.map(|(job, attempt)| {
            let (min, max) = job.workers(attempt.stage);
            let members = attempt.members.len() as u32;
            let stoppable = attempt.stage.has_checkpoints()
                && attempt.ending.is_none()
                && attempt.adopt_by.is_none()
                && attempt.done.is_empty()
                && attempt.bereft.is_empty();
            let may_grow = stoppable && members < max && self.crew.shares().free.of(attempt.device) > 0;
            let newcomers = may_grow.then(|| self.newcomers(job, self.free(attempt.device), now));
            Running {
                job: job.name().clone(),
                priority: job.request.priority,
                sequence: job.sequence,
                device: attempt.device,
                members,
                min,
                max,
                stoppable,
                age: now.since(attempt.since),
                newcomers: newcomers.unwrap_or_default(),
            }
        });
        running.collect()
    }
}
