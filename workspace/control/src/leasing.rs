//! Tasks are leased to workers, and taken back.

use std::{cmp::Reverse, ops::Range, time::Duration};

use crate::{
    Assignment, Attempt, Command, Device, Ending, Job, JobName, Member, Membership, Notice, Order, Rank,
    Stage, State, Stragglers, Time, Timeouts, Worker, WorkerName, state::Outcome,
};

impl Job {
    /// What a worker is told of a stage and of its place in it.
    pub(crate) fn assignment(
        &self,
        stage: Stage,
        rank: Rank,
        world: u32,
        lanes: Range<u32>,
        now: Time,
    ) -> Assignment {
        let Timeouts { collective, heartbeat, let_go, .. } = self.request.timeouts;
        Assignment {
            job: self.name().clone(),
            stage,
            rank,
            world,
            lanes,
            dataset_uri: self.dataset_uri.clone().unwrap_or_default(),
            collective_timeout: collective,
            heartbeat,
            let_go,
            newest_checkpoint: self.checkpoint,
            unsaved: self.saved.map_or(Duration::ZERO, |saved| now.since(saved)),
            submitted: self.submitted,
            afterwards: self.is_afterwards(),
        }
    }
}

impl State {
    /// Leases the job's next stage to `count` free workers of a kind.
    pub(crate) fn start(&mut self, name: &JobName, device: Device, count: u32, now: Time, out: &mut Outcome) {
        let members = self.choose(name, device, count);
        let Some(job) = self.jobs.get_mut(name) else { return };
        let Some(stage) = job.remaining.front().copied() else { return };
        // Invariant A.
        let generation = self.pool.generation.next();
        self.pool.generation = generation;
        job.generation = generation;
        job.not_before = None;
        let mut attempt = Attempt::new(stage, generation, device, members, now);
        if job.request.stragglers == Stragglers::FewerLanes && stage == Stage::Train {
            attempt.shares = self.crew.shares_of(name, &attempt.members, job.request.lanes);
        }
        let workers: Vec<WorkerName> = attempt.members.iter().map(|member| member.worker.clone()).collect();
        self.seats.take(name, &attempt);
        job.attempt = Some(attempt);
        let plural = if workers.len() == 1 { "worker" } else { "workers" };
        let reason = format!("generation {generation} on {} {plural}", workers.len());
        self.enter(name, stage.phase(), reason, now, out);
        out.changed.insert(name.clone());
        out.tell(name, Notice::Assigned { stage, generation, workers: workers.clone() });
        for worker in &workers {
            self.crew.change(worker, |worker| {
                worker.task = Some(Membership { job: name.clone(), generation });
                worker.readiness = None;
                worker.state.take_if(|state| state.job != *name || stage != Stage::Train);
                worker.pace = None;
                worker.heard = worker.heard.max(now);
            });
            self.assign(name, worker, now, out);
        }
    }

    /// Free workers of a kind: those first who have the job's state in memory, then those who are ready for it, then
    /// those who did its work before and may have its files cached, and last those who have something of others. Nobody
    /// it leaves out.
    fn choose(&self, name: &JobName, device: Device, count: u32) -> Vec<Member> {
        let job = self.jobs.get(name);
        let fits = |name: &WorkerName, worker: &Worker| {
            let is_out = job.is_some_and(|job| job.excludes(name, worker));
            worker.is_free() && worker.device == device && !is_out
        };
        let mut free: Vec<(&WorkerName, &Worker)> =
            self.crew.iter().filter(|(name, worker)| fits(name, worker)).collect();
        let last = |worker: &Worker| {
            worker.last.as_ref().filter(|last| last.job == *name).map(|last| last.generation)
        };
        free.sort_by_cached_key(|(_, worker)| {
            let is_ready = job.is_some_and(|job| worker.is_ready_for(job));
            let has_nothing_of_others = worker.state.is_none() && worker.readiness.is_none();
            let state = job.and_then(|job| worker.state_of(job));
            Reverse((state, is_ready, last(worker), has_nothing_of_others))
        });
        free.truncate(count as usize);
        // By name, so that ranks stay where they were as long as the same workers are there.
        free.sort_by_cached_key(|(worker, _)| natural(worker.as_str()));
        let member = |(name, worker): (&WorkerName, &Worker)| Member {
            worker: name.clone(),
            incarnation: worker.incarnation,
        };
        free.into_iter().map(member).collect()
    }

    /// Tells a member what its part is.
    pub(crate) fn assign(&self, name: &JobName, worker: &WorkerName, now: Time, out: &mut Outcome) {
        let Some(to) = self.crew.get(worker) else { return };
        let Some(seat) = self.seats.of(worker, to.incarnation) else { return };
        let Some(job) = self.jobs.get(name) else { return };
        let Some(attempt) = &job.attempt else { return };
        let world = attempt.members.len() as u32;
        // Invariant B.
        let lanes = attempt.lanes_of(seat.rank, job.request.lanes);
        let assignment = job.assignment(attempt.stage, seat.rank, world, lanes, now);
        let (session, generation) = (to.session, attempt.generation);
        out.push(Command::Send { session, generation, order: Order::Assign(assignment) });
    }

    /// Tells some ranks of the job's present attempt something. Those that are cut off are told when
    /// they are back.
    pub(crate) fn order(&self, name: &JobName, ranks: Range<usize>, order: Order, out: &mut Outcome) {
        let Some(attempt) = self.jobs.get(name).and_then(|job| job.attempt.as_ref()) else { return };
        for member in attempt.members.iter().take(ranks.end).skip(ranks.start) {
            let there = self.crew.get(&member.worker).filter(|worker| member.is(worker));
            if let Some(worker) = there.filter(|worker| worker.cut_off.is_none()) {
                let (session, generation) = (worker.session, attempt.generation);
                out.push(Command::Send { session, generation, order: order.clone() });
            }
        }
    }

    /// Has training finish its step and end. What comes then is for `then` to say.
    pub(crate) fn stop_training(&mut self, name: &JobName, reason: String, then: Then, out: &mut Outcome) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        let (fewest, _) = job.attempt.as_ref().map_or((0, 0), |attempt| job.workers(attempt.stage));
        // One that ends without a checkpoint already may need one after all: more leave, or it is to make way.
        let is_done = |attempt: &Attempt| attempt.ending.as_ref().is_some_and(|ending| ending.checkpoint);
        let Some(attempt) = job.attempt.as_mut().filter(|attempt| !is_done(attempt)) else { return };
        let stays = |member: &&Member| {
            self.crew.get(&member.worker).is_some_and(|worker| member.is(worker) && worker.serves())
        };
        let staying = attempt.members.iter().filter(stays).count() as u32;
        let enough = staying > 0 && staying + self.crew.shares().free.of(attempt.device) >= fewest;
        let checkpoint = then == Then::MakeWay || !enough;
        if attempt.ending.is_some() && !checkpoint {
            return;
        }
        attempt.ending = Some(Ending { reason: reason.clone(), checkpoint });
        for member in &attempt.members {
            if self.crew.get(&member.worker).is_some_and(|worker| member.is(worker)) {
                self.crew.change(&member.worker, |worker| worker.returning = true);
            }
        }
        self.unsettled = true;
        out.changed.insert(name.clone());
        out.tell(name, Notice::Stopping { reason });
        self.order(name, 0..usize::MAX, Order::StopAfterStep { checkpoint }, out);
    }

    /// Gives the job's attempt up; its members are to let go of it.
    pub(crate) fn abandon(&mut self, name: &JobName, out: &mut Outcome) -> Option<Attempt> {
        let attempt = self.end_attempt(name, out)?;
        for (rank, member) in attempt.members.iter().enumerate() {
            let rank = Rank(rank as u32);
            let task = Membership { job: name.clone(), generation: attempt.generation };
            let there = self.crew.get(&member.worker).filter(|worker| worker.task.as_ref() == Some(&task));
            let Some(worker) = there.filter(|worker| member.is(worker)) else { continue };
            if attempt.done.contains_key(&rank) || attempt.let_go.contains(&rank) {
                self.release(&member.worker, out);
                continue;
            }
            if worker.cut_off.is_none() {
                let (session, generation) = (worker.session, attempt.generation);
                out.push(Command::Send { session, generation, order: Order::Abort });
            }
            self.crew.change(&member.worker, |worker| worker.returning = true);
        }
        Some(attempt)
    }

    /// The job's attempt is over, one way or another.
    pub(crate) fn end_attempt(&mut self, name: &JobName, out: &mut Outcome) -> Option<Attempt> {
        let attempt = self.jobs.get_mut(name)?.attempt.take()?;
        self.seats.leave(&attempt);
        self.unsettled = true;
        out.changed.insert(name.clone());
        Some(attempt)
    }
}

/// What is to come after training has stopped at a step boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It goes on at once with other company. Those that stay have its state in memory: as long as they, with whoever
    /// is free, are enough, nobody waits for a checkpoint to be written.
    GoOn,
    /// Its workers are for others, or for nobody: a checkpoint is written first.
    MakeWay,
}

/// Orders `worker-10` after `worker-9`.
fn natural(name: &str) -> (String, u64) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (text, number) = name.split_at(name.len() - digits);
    (text.to_owned(), number.parse().unwrap_or(0))
}
