//! What workers do and say.

use crate::{
    Command, Failure, FailureKind, FromWorker, Generation, JobName, Membership, Notice, Order, Phase, Rank,
    Registration, Session, State, TaskResult, Time, Wish, Worker, WorkerName,
    failure::{MAX_RETRIES, Remedy, remedy},
    state::Outcome,
};

impl State {
    pub(crate) fn registered(&mut self, session: Session, who: Registration, now: Time, out: &mut Outcome) {
        let name = who.name;
        let mut last_job = None;
        if let Some(known) = self.workers.get(&name) {
            last_job.clone_from(&known.last_job);
            if known.incarnation == who.incarnation {
                let earlier = known.session;
                self.sessions.remove(&earlier);
                out.push(Command::Dismiss { session: earlier, reason: "it connected again".into() });
            } else {
                self.gone(&name, "its process was started again", now, out);
            }
        }
        self.sessions.insert(session, name.clone());
        self.workers.insert(
            name.clone(),
            Worker {
                incarnation: who.incarnation,
                device: who.device,
                about: who.about,
                session,
                heard: now,
                since: now,
                cut_off: None,
                leaving: false,
                task: who.running.clone(),
                last_job,
            },
        );
        self.unsettled = true;
        self.reconcile(&name, who.running, now, out);
    }

    /// Brings what a worker has and what it should have together.
    fn reconcile(&mut self, name: &WorkerName, has: Option<Membership>, now: Time, out: &mut Outcome) {
        let Some(worker) = self.workers.get(name) else { return };
        let (session, incarnation) = (worker.session, worker.incarnation);
        let should = self.jobs.values().find_map(|job| {
            let attempt = job.attempt.as_ref()?;
            let rank = attempt.rank_of(name)?;
            let same_process = attempt.members[rank.0 as usize].incarnation == incarnation;
            let part = Membership { job: job.name().clone(), generation: attempt.generation };
            Some((part, rank, same_process))
        });
        match should {
            // Under an earlier coordinator, another process of this name had the task.
            Some((part, _, false)) => {
                self.lost(&part.job, name, "its process was started again", now, out);
                self.let_go_of(session, has, out);
            }
            Some((part, rank, true)) if has.as_ref() == Some(&part) => {
                let attempt = self.jobs.get(&part.job).and_then(|job| job.attempt.as_ref());
                if let Some((host, port)) = attempt.and_then(|attempt| attempt.rendezvous.clone())
                    && rank != Rank(0)
                {
                    let order = Order::Rendezvous { host, port };
                    out.push(Command::Send { session, generation: part.generation, order });
                }
                if attempt.is_some_and(|attempt| attempt.ending.is_some()) {
                    self.tell_to_stop(&part.job, name, out);
                }
            }
            // The assignment never reached it.
            Some((part, _, true)) if has.is_none() => {
                if let Some(worker) = self.workers.get_mut(name) {
                    worker.task = Some(part.clone());
                }
                self.assign(&part.job, name, out);
            }
            Some((part, _, true)) => {
                self.lost(&part.job, name, "it has another task", now, out);
                self.let_go_of(session, has, out);
            }
            None => self.let_go_of(session, has, out),
        }
    }

    fn let_go_of(&self, session: Session, has: Option<Membership>, out: &mut Outcome) {
        if let Some(Membership { generation, .. }) = has {
            out.push(Command::Send { session, generation, order: Order::Abort });
        }
    }

    pub(crate) fn left(&mut self, session: Session, why: String, now: Time, out: &mut Outcome) {
        let Some(name) = self.sessions.remove(&session) else { return };
        let Some(worker) = self.workers.get_mut(&name).filter(|worker| worker.session == session) else {
            return;
        };
        let Some(task) = &worker.task else { return self.gone(&name, &why, now, out) };
        let job = task.job.clone();
        worker.cut_off = Some((now, why.clone()));
        let attempt = self.jobs.get(&job).and_then(|job| job.attempt.as_ref());
        if attempt.is_some_and(|attempt| !attempt.bereft.is_empty()) {
            // Its peers miss it too.
            self.gone(&name, &why, now, out);
        }
    }

    /// The worker's process is gone, or as good as gone.
    pub(crate) fn gone(&mut self, name: &WorkerName, why: &str, now: Time, out: &mut Outcome) {
        let Some(worker) = self.workers.remove(name) else { return };
        if self.sessions.remove(&worker.session).is_some() {
            out.push(Command::Dismiss { session: worker.session, reason: why.to_owned() });
        }
        self.unsettled = true;
        let Some(task) = worker.task else { return };
        let attempt = self.jobs.get(&task.job).and_then(|job| job.attempt.as_ref());
        let Some(attempt) = attempt.filter(|attempt| attempt.generation == task.generation) else { return };
        let finished = attempt.rank_of(name).is_some_and(|rank| attempt.done.contains_key(&rank));
        if !finished {
            self.lost(&task.job, name, why, now, out);
        }
    }

    /// A member of the job's attempt is gone.
    pub(crate) fn lost(&mut self, job: &JobName, name: &WorkerName, why: &str, now: Time, out: &mut Outcome) {
        let failure = Failure {
            code: "TW5001".into(),
            message: format!("{name} is gone: {why}"),
            kind: FailureKind::LostPeer,
            worker: Some(name.clone()),
        };
        self.failed(job, failure, now, out);
    }

    pub(crate) fn said(
        &mut self,
        session: Session,
        generation: Generation,
        what: FromWorker,
        now: Time,
        out: &mut Outcome,
    ) {
        let Some(name) = self.sessions.get(&session).cloned() else { return };
        let Some(worker) = self.workers.get_mut(&name) else { return };
        worker.heard = now;
        let speaks_of_its_task = worker.task.as_ref().is_some_and(|task| task.generation == generation);
        let job = worker.task.as_ref().map(|task| task.job.clone());
        match what {
            FromWorker::Heartbeat => return,
            FromWorker::Leaving => return self.leaving(&name, now, out),
            _ => {}
        }
        let attempt = job.as_ref().and_then(|job| self.jobs.get(job)).and_then(|job| job.attempt.as_ref());
        let is_present = attempt.is_some_and(|attempt| attempt.generation == generation);
        match job {
            // Invariant A.
            Some(job) if speaks_of_its_task && is_present => self.listen(&name, &job, what, now, out),
            // A task that was given up long ago is over now.
            Some(_) if speaks_of_its_task && ends_task(&what) => self.release(&name, out),
            Some(job) => {
                let reason =
                    format!("{name} speaks of generation {generation}, which is not the present one");
                out.tell(&job, Notice::Refused { reason });
            }
            None => {}
        }
    }

    /// A member of the job's present attempt speaks of it.
    fn listen(&mut self, name: &WorkerName, job: &JobName, what: FromWorker, now: Time, out: &mut Outcome) {
        let Some(state) = self.jobs.get_mut(job) else { return };
        let Some(attempt) = state.attempt.as_mut() else { return };
        let Some(rank) = attempt.rank_of(name) else { return };
        let generation = attempt.generation;
        match what {
            FromWorker::Heartbeat | FromWorker::Leaving => {}
            FromWorker::Idle => {
                let failure = Failure {
                    code: "TW5001".into(),
                    message: format!("{name} let go of its task"),
                    kind: FailureKind::LostPeer,
                    worker: Some(name.clone()),
                };
                self.release(name, out);
                self.failed(job, failure, now, out);
            }
            FromWorker::Progress(progress) => out.tell(job, Notice::Progress(progress)),
            FromWorker::Started(started) => out.tell(job, Notice::Started(started)),
            FromWorker::Validated(validated) => out.tell(job, Notice::Validated(validated)),
            FromWorker::RendezvousReady { host, port } => {
                attempt.rendezvous = Some((host.clone(), port));
                for member in &attempt.members[1..] {
                    if let Some(worker) = self.workers.get(&member.worker) {
                        let order = Order::Rendezvous { host: host.clone(), port };
                        out.push(Command::Send { session: worker.session, generation, order });
                    }
                }
            }
            FromWorker::CheckpointPart { step, part } => {
                // Invariant C.
                let first = self.workers.get(&attempt.members[0].worker).map(|worker| worker.session);
                if let (Some(parts), Some(session)) = (attempt.part_written(step, rank, part), first) {
                    let order = Order::CommitCheckpoint { step, parts };
                    out.push(Command::Send { session, generation, order });
                }
            }
            FromWorker::CheckpointCommitted { step } => {
                if state.checkpoint.is_none_or(|newest| step > newest) {
                    state.checkpoint = Some(step);
                    state.retries = 0;
                    out.changed.insert(job.clone());
                    out.tell(job, Notice::Committed { step });
                }
            }
            FromWorker::CheckpointFailed { step, message } => {
                attempt.parts.remove(&step);
                out.tell(job, Notice::CheckpointFailed { step, message });
            }
            FromWorker::Done(result) => {
                attempt.done.insert(rank, result);
                if attempt.is_done() {
                    self.stage_done(job, now, out);
                }
            }
            FromWorker::Failed(mut failure) => {
                failure.worker = Some(name.clone());
                attempt.let_go.insert(rank);
                if failure.kind == FailureKind::LostPeer {
                    attempt.bereft.insert(rank, failure);
                    attempt.bereft_since.get_or_insert(now);
                    self.blame(job, now, out);
                } else {
                    self.failed(job, failure, now, out);
                }
            }
        }
    }

    /// Ranks that lost a peer wait for the cause: the peer's own failure, or its loss. When all
    /// have lost somebody, or nobody speaks up in time, that itself is the cause.
    pub(crate) fn blame(&mut self, name: &JobName, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get(name) else { return };
        let Some(attempt) = &job.attempt else { return };
        let Some(since) = attempt.bereft_since else { return };
        let cut_off = attempt.members.iter().find_map(|member| {
            let worker = self.workers.get(&member.worker)?;
            worker.cut_off.as_ref().map(|(_, why)| (member.worker.clone(), why.clone()))
        });
        if let Some((worker, why)) = cut_off {
            return self.gone(&worker, &why, now, out);
        }
        let all = attempt.bereft.len() + attempt.done.len() >= attempt.members.len();
        let overdue = all || now.since(since) >= job.request.timeouts.blame;
        if let Some(failure) = attempt.bereft.values().next().filter(|_| overdue).cloned() {
            self.failed(name, failure, now, out);
        }
    }

    /// A stage is finished when all its ranks are; rank 0's result is the stage's.
    fn stage_done(&mut self, name: &JobName, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        let Some(attempt) = job.attempt.take() else { return };
        let Some(result) = attempt.done.get(&Rank(0)).cloned() else { return };
        let mut stopped = false;
        match &result {
            TaskResult::Prepared { dataset_uri, .. } => job.dataset_uri = Some(dataset_uri.clone()),
            TaskResult::Trained { stopped: told, .. } => stopped = *told,
            TaskResult::Evaluated { .. } | TaskResult::Exported { .. } => {}
        }
        if !stopped {
            job.retries = 0;
            job.remaining.pop_front();
        }
        out.changed.insert(name.clone());
        out.tell(name, Notice::Done(result));
        for member in &attempt.members {
            self.release(&member.worker, out);
        }
        if let Some(before) = self.jobs.get_mut(name).and_then(|job| job.returns_to.take()) {
            return self.enter(name, before, "the stage asked for is done".into(), now, out);
        }
        let why = attempt.ending.filter(|_| stopped).map(|ending| ending.reason);
        self.rest(name, why.unwrap_or_else(|| "on to the next stage".into()), now, out);
    }

    /// A job whose workers have let go of it: what it is now.
    pub(crate) fn rest(&mut self, name: &JobName, why: String, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        let checkpoint = match job.checkpoint {
            Some(step) => format!("there is a checkpoint of step {step}"),
            None => "there is no checkpoint yet".into(),
        };
        let (phase, reason) = match (job.wish, job.returns_to) {
            _ if job.remaining.is_empty() => (Phase::Succeeded, "everything planned is done".into()),
            (Wish::Run, _) => (Phase::Pending, why),
            (Wish::Cancel | Wish::Pause, Some(before)) => {
                job.remaining.pop_front();
                job.returns_to = None;
                job.wish = Wish::Run;
                (before, "the stage asked for was given up".into())
            }
            (Wish::Cancel, None) => (Phase::Cancelled, format!("cancelled; {checkpoint}")),
            (Wish::Pause, None) => (Phase::Paused, format!("paused; {checkpoint}")),
        };
        self.unsettled = true;
        out.changed.insert(name.clone());
        self.enter(name, phase, reason, now, out);
    }

    pub(crate) fn failed(&mut self, name: &JobName, failure: Failure, now: Time, out: &mut Outcome) {
        self.abandon(name, out);
        let Some(job) = self.jobs.get_mut(name) else { return };
        if job.wish != Wish::Run {
            return self.rest(name, String::new(), now, out);
        }
        match remedy(failure.kind, job.retries) {
            Remedy::Fail => {
                let reason = if job.retries > 0 {
                    format!("{} (tried {} times without getting further)", failure.message, job.retries + 1)
                } else {
                    failure.message.clone()
                };
                job.failure = Some(Failure { message: reason.clone(), ..failure });
                let phase = match job.returns_to.take() {
                    // One more stage of a job that was over: it is over as before.
                    Some(before) => {
                        job.remaining.pop_front();
                        before
                    }
                    None => Phase::Failed,
                };
                self.enter(name, phase, reason, now, out);
            }
            // Invariant D: `retries` is only set back by a newer checkpoint, a finished stage, or a
            // person.
            Remedy::Retry { after } => {
                job.retries += 1;
                job.not_before = Some(now + after);
                let retry = job.retries;
                let reason = format!("{}; retry {retry} of {MAX_RETRIES}", failure.message);
                self.enter(name, Phase::Pending, reason, now, out);
                out.tell(name, Notice::Retrying { failure, retry, of: MAX_RETRIES, after });
            }
        }
    }

    /// The worker was told to end, by the system.
    fn leaving(&mut self, name: &WorkerName, now: Time, out: &mut Outcome) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        if std::mem::replace(&mut worker.leaving, true) {
            return;
        }
        self.unsettled = true;
        let Some(task) = worker.task.clone() else { return self.release(name, out) };
        let attempt = self.jobs.get(&task.job).and_then(|job| job.attempt.as_ref());
        if attempt.is_none_or(|attempt| attempt.generation != task.generation) {
            return;
        }
        let reason = format!("{name} is leaving");
        if self.trains(&task.job) {
            self.stop_training(&task.job, reason, out);
        } else {
            // Nothing is half-done, and nobody is to blame.
            self.abandon(&task.job, out);
            self.rest(&task.job, reason, now, out);
        }
    }

    /// The worker has no task any more.
    pub(crate) fn release(&mut self, name: &WorkerName, out: &mut Outcome) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        worker.task = None;
        self.unsettled = true;
        if worker.leaving {
            let session = worker.session;
            self.workers.remove(name);
            self.sessions.remove(&session);
            out.push(Command::Send { session, generation: Generation(0), order: Order::Shutdown });
        }
    }
}

/// Whether a worker that says this has no task any more.
fn ends_task(what: &FromWorker) -> bool {
    matches!(what, FromWorker::Idle | FromWorker::Done(_) | FromWorker::Failed(_))
}
