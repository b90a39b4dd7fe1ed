//! Carrying out what the queue decides.

use crate::{
    Assignment, Attempt, Command, Device, Ending, Job, JobName, Member, Membership, Notice, Order, Phase,
    Policy, Rank, State, Time, Worker, WorkerName, deal,
    queue::{self, Counts, Decision, Running, Shares, Waiting},
    state::Outcome,
};

impl State {
    /// Starts, stops and grows jobs as far as workers go.
    pub(crate) fn schedule(&mut self, now: Time, out: &mut Outcome) {
        if !std::mem::take(&mut self.unsettled) {
            return;
        }
        let waiting = self.waiting(now);
        let running = self.running(now);
        if waiting.is_empty() && running.is_empty() {
            return;
        }
        let shares = self.shares();
        let Policy { patience, settle, .. } = self.policy;
        for decision in queue::decide(&waiting, &running, &shares, patience, settle) {
            match decision {
                Decision::Start { job, device, workers } => self.start(&job, device, workers, now, out),
                Decision::Wait { job, reason } => self.enter(&job, Phase::Pending, reason, now, out),
                Decision::Stop { job, reason } => self.stop_training(&job, reason, out),
            }
        }
    }

    fn waiting(&self, now: Time) -> Vec<Waiting> {
        let waits = |job: &Job| job.waits_for(now).is_some();
        let mut jobs: Vec<&Job> = self.jobs.values().filter(|job| waits(job)).collect();
        jobs.sort_by_key(|job| job.rank());
        jobs.into_iter()
            .filter_map(|job| {
                let stage = job.waits_for(now)?;
                let (min, max) = stage.workers(job.request.min_workers, job.request.max_workers);
                Some(Waiting {
                    job: job.name().clone(),
                    priority: job.request.priority,
                    min,
                    max,
                    kinds: job.request.device.kinds(stage),
                    waited: now.since(job.since),
                })
            })
            .collect()
    }

    fn running(&self, now: Time) -> Vec<Running> {
        let attempts = self.jobs.values().filter_map(|job| Some((job, job.attempt.as_ref()?)));
        attempts
            .map(|(job, attempt)| {
                let (min, max) = attempt.stage.workers(job.request.min_workers, job.request.max_workers);
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
            })
            .collect()
    }

    fn shares(&self) -> Shares {
        let mut shares = Shares::default();
        let more = |counts: &mut Counts, kind| *counts.entry(kind).or_default() += 1;
        for (name, worker) in &self.workers {
            if self.pool.drained.contains(name) || worker.leaving || worker.cut_off.is_some() {
                continue;
            }
            more(&mut shares.all, worker.device);
            match &worker.task {
                None => more(&mut shares.free, worker.device),
                Some(task) if self.is_returning(task) => more(&mut shares.returning, worker.device),
                Some(_) => {}
            }
        }
        shares
    }

    /// Whether a worker's task is one that is ending, or was given up already.
    fn is_returning(&self, task: &Membership) -> bool {
        let attempt = self.jobs.get(&task.job).and_then(|job| job.attempt.as_ref());
        let present = attempt.filter(|attempt| attempt.generation == task.generation);
        present.is_none_or(|attempt| attempt.ending.is_some())
    }

    /// Leases the job's next stage to `count` free workers of a kind.
    fn start(&mut self, name: &JobName, device: Device, count: u32, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get(name) else { return };
        let Some(stage) = job.remaining.front().copied() else { return };
        // Those who did this job's work last may find its files cached.
        let is_free = |name: &WorkerName, worker: &Worker| {
            worker.task.is_none()
                && worker.device == device
                && worker.cut_off.is_none()
                && !worker.leaving
                && !self.pool.drained.contains(name)
        };
        let mut free: Vec<(&WorkerName, &Worker)> =
            self.workers.iter().filter(|(name, worker)| is_free(name, worker)).collect();
        free.sort_by_key(|(_, worker)| worker.last_job.as_ref() != Some(name));
        free.truncate(count as usize);
        // By name, so that ranks stay where they were as long as the same workers are there.
        free.sort_by_key(|(worker, _)| natural(worker.as_str()));
        let members: Vec<Member> = free
            .into_iter()
            .map(|(name, worker)| Member { worker: name.clone(), incarnation: worker.incarnation })
            .collect();

        let Some(job) = self.jobs.get_mut(name) else { return };
        job.generation = job.generation.next();
        job.not_before = None;
        let generation = job.generation;
        job.attempt = Some(Attempt::new(stage, generation, device, members.clone(), now));
        let world = members.len();
        let plural = if world == 1 { "worker" } else { "workers" };
        let reason = format!("generation {generation} on {world} {plural}");
        self.enter(name, stage.phase(), reason, now, out);
        out.changed.insert(name.clone());
        let workers = members.iter().map(|member| member.worker.clone()).collect();
        out.tell(name, Notice::Assigned { stage, generation, workers });
        for member in &members {
            if let Some(worker) = self.workers.get_mut(&member.worker) {
                worker.task = Some(Membership { job: name.clone(), generation });
                worker.last_job = Some(name.clone());
                worker.heard = worker.heard.max(now);
            }
            self.assign(name, &member.worker, out);
        }
    }

    /// Tells a member what its part is.
    pub(crate) fn assign(&self, name: &JobName, worker: &WorkerName, out: &mut Outcome) {
        let Some(job) = self.jobs.get(name) else { return };
        let Some(attempt) = &job.attempt else { return };
        let (Some(rank), Some(to)) = (attempt.rank_of(worker), self.workers.get(worker)) else { return };
        let world = attempt.members.len() as u32;
        // Invariant B.
        let Some(lanes) = deal(job.request.lanes, world).into_iter().nth(rank.0 as usize) else { return };
        let assignment = Assignment {
            job: name.clone(),
            stage: attempt.stage,
            rank,
            world,
            lanes,
            dataset_uri: job.dataset_uri.clone().unwrap_or_default(),
            collective_timeout: job.request.timeouts.collective,
            heartbeat: job.request.timeouts.heartbeat,
        };
        out.push(Command::Send {
            session: to.session,
            generation: attempt.generation,
            order: Order::Assign(assignment),
        });
    }

    /// Has training finish its step, write a checkpoint and end.
    pub(crate) fn stop_training(&mut self, name: &JobName, reason: String, out: &mut Outcome) {
        let Some(attempt) = self.jobs.get_mut(name).and_then(|job| job.attempt.as_mut()) else { return };
        if attempt.ending.is_some() {
            return;
        }
        attempt.ending = Some(Ending { reason: reason.clone() });
        out.changed.insert(name.clone());
        out.tell(name, Notice::Stopping { reason });
        let members = attempt.members.clone();
        for member in members {
            self.tell_to_stop(name, &member.worker, out);
        }
    }

    /// Tells one member that its task is ending.
    pub(crate) fn tell_to_stop(&self, name: &JobName, worker: &WorkerName, out: &mut Outcome) {
        let attempt = self.jobs.get(name).and_then(|job| job.attempt.as_ref());
        if let (Some(attempt), Some(to)) = (attempt, self.workers.get(worker)) {
            out.push(Command::Send {
                session: to.session,
                generation: attempt.generation,
                order: Order::StopAfterStep { checkpoint: true },
            });
        }
    }

    /// Gives the job's attempt up; its members are to let go of it.
    pub(crate) fn abandon(&mut self, name: &JobName, out: &mut Outcome) {
        let Some(attempt) = self.jobs.get_mut(name).and_then(|job| job.attempt.take()) else { return };
        out.changed.insert(name.clone());
        self.unsettled = true;
        let has_it = |worker: &Worker| {
            worker
                .task
                .as_ref()
                .is_some_and(|task| task.job == *name && task.generation == attempt.generation)
        };
        for (rank, member) in attempt.members.iter().enumerate() {
            let rank = Rank(rank as u32);
            let Some(worker) = self.workers.get(&member.worker).filter(|worker| has_it(worker)) else {
                continue;
            };
            if attempt.done.contains_key(&rank) || attempt.let_go.contains(&rank) {
                self.release(&member.worker, out);
            } else if worker.cut_off.is_none() {
                let (session, generation) = (worker.session, attempt.generation);
                out.push(Command::Send { session, generation, order: Order::Abort });
            }
        }
    }
}

/// Orders `worker-10` after `worker-9`.
fn natural(name: &str) -> (String, u64) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (text, number) = name.split_at(name.len() - digits);
    (text.to_owned(), number.parse().unwrap_or(0))
}
