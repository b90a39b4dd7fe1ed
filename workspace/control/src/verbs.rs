//! What people ask.

use crate::{
    Answer, Command, Job, JobName, Notice, Phase, Refusal, Request, Stage, State, Time, Verb, Wish,
    WorkerName, leasing::Then, state::Outcome,
};

impl State {
    pub(crate) fn asked(&mut self, verb: Verb, now: Time, out: &mut Outcome) {
        let answer = match verb {
            Verb::Submit(request) => self.submit(*request, now, out),
            Verb::Cancel(job) => self.wish(&job, Wish::Cancel, now, out),
            Verb::Pause(job) => self.wish(&job, Wish::Pause, now, out),
            Verb::Resume(job) => self.resume(&job, now, out),
            Verb::Retry(job) => self.retry(&job, now, out),
            Verb::Delete(job) => self.delete(&job, out),
            Verb::Prioritise(job, priority) => self.prioritise(&job, priority, out),
            Verb::Also(job, stage) => self.also(&job, stage, now, out),
            Verb::Drain(worker) => self.drain(worker, out),
            Verb::Undrain(worker) => self.undrain(&worker, out),
            Verb::Inject(job, worker, fault) => self.inject(&job, worker, fault, out),
        };
        self.unsettled = true;
        self.explain = true;
        out.push(Command::Answer(answer));
    }

    fn submit(&mut self, request: Request, now: Time, out: &mut Outcome) -> Result<Answer, Refusal> {
        if let Some(job) = self.jobs.get(&request.name) {
            return match job.request.key == request.key {
                true => Ok(Answer::Already),
                false => Err(Refusal::Exists(request.name)),
            };
        }
        self.within_limits(&request)?;
        self.pool.submitted += 1;
        self.pool.generation = self.pool.generation.max(request.generation);
        out.pool_changed = true;
        let job = Job::new(request, self.pool.submitted, self.pool.generation, now);
        let name = job.name().clone();
        out.changed.insert(name.clone());
        out.tell(&name, Notice::Phase { phase: job.phase, reason: job.reason.clone() });
        self.jobs.insert(name, job);
        Ok(Answer::Done)
    }

    /// Cancel or pause.
    fn wish(&mut self, name: &JobName, wish: Wish, now: Time, out: &mut Outcome) -> Result<Answer, Refusal> {
        let job = self.find(name)?;
        let (phase, earlier) = (job.phase, job.wish);
        let ends_as = if wish == Wish::Cancel { Phase::Cancelled } else { Phase::Paused };
        if phase == ends_as {
            return Ok(Answer::Already);
        }
        if phase.is_final() {
            return refuse(name, phase, "it is over already");
        }
        if (earlier, wish) == (Wish::Cancel, Wish::Pause) {
            return refuse(name, phase, "it is being cancelled; `retry` it then");
        }
        let trains = job.attempt.as_ref().is_some_and(|attempt| attempt.stage.has_checkpoints());
        if let Some(job) = self.jobs.get_mut(name) {
            job.wish = wish;
        }
        out.changed.insert(name.clone());
        if trains && earlier != wish {
            let what = if wish == Wish::Cancel { "cancelled" } else { "paused" };
            self.stop_training(name, what.into(), Then::MakeWay, out);
        } else {
            // Other stages leave nothing half-done; and who asks twice does not want to wait.
            self.abandon(name, out);
            self.rest(name, String::new(), None, now, out);
        }
        Ok(Answer::Done)
    }

    fn resume(&mut self, name: &JobName, now: Time, out: &mut Outcome) -> Result<Answer, Refusal> {
        let job = self.find_mut(name)?;
        match (job.phase, job.wish) {
            (Phase::Failed | Phase::Cancelled, _) => refuse(name, job.phase, "`retry` takes it up again"),
            (Phase::Succeeded, _) => refuse(name, job.phase, "there is nothing left to do"),
            (_, Wish::Cancel) => refuse(name, job.phase, "it is being cancelled; `retry` it then"),
            (Phase::Paused, _) => {
                job.wish = Wish::Run;
                self.enter(name, Phase::Pending, "resumed".into(), now, out);
                Ok(Answer::Done)
            }
            // On its way to a pause: it is queued again instead.
            (_, Wish::Pause) => {
                job.wish = Wish::Run;
                out.changed.insert(name.clone());
                Ok(Answer::Done)
            }
            (_, Wish::Run) => Ok(Answer::Already),
        }
    }

    fn retry(&mut self, name: &JobName, now: Time, out: &mut Outcome) -> Result<Answer, Refusal> {
        let job = self.find(name)?;
        if matches!(job.phase, Phase::Failed | Phase::Cancelled) {
            self.room_for(name)?;
        }
        let job = self.find_mut(name)?;
        match job.phase {
            Phase::Failed | Phase::Cancelled => {
                job.wish = Wish::Run;
                job.retries = 0;
                job.failure = None;
                job.not_before = None;
                self.enter(name, Phase::Pending, "tried again".into(), now, out);
                Ok(Answer::Done)
            }
            Phase::Paused => refuse(name, job.phase, "`resume` goes on with it"),
            Phase::Succeeded => refuse(name, job.phase, "there is nothing left to do"),
            phase if job.returns_to.is_some() => {
                refuse(name, phase, "wait until the stage asked for is done")
            }
            _ if job.wish == Wish::Run => Ok(Answer::Already),
            phase => refuse(name, phase, "wait until it has stopped"),
        }
    }

    fn delete(&mut self, name: &JobName, out: &mut Outcome) -> Result<Answer, Refusal> {
        let job = self.find(name)?;
        if !job.phase.is_final() && job.phase != Phase::Paused {
            return refuse(name, job.phase, "`cancel` it first");
        }
        self.jobs.remove(name);
        out.changed.remove(name);
        out.forgotten.insert(name.clone());
        // Its generations are never used again.
        out.pool_changed = true;
        Ok(Answer::Done)
    }

    fn prioritise(&mut self, name: &JobName, priority: i32, out: &mut Outcome) -> Result<Answer, Refusal> {
        let job = self.find_mut(name)?;
        if job.phase.is_final() {
            return refuse(name, job.phase, "it is over already");
        }
        if job.request.priority == priority {
            return Ok(Answer::Already);
        }
        job.request.priority = priority;
        out.changed.insert(name.clone());
        Ok(Answer::Done)
    }

    fn also(
        &mut self,
        name: &JobName,
        stage: Stage,
        now: Time,
        out: &mut Outcome,
    ) -> Result<Answer, Refusal> {
        let job = self.find_mut(name)?;
        if !job.phase.is_final() {
            return refuse(name, job.phase, "wait until it is over, or cancel it");
        }
        if job.checkpoint.is_none() {
            return Err(Refusal::NoCheckpoint(name.clone()));
        }
        job.returns_to = Some(job.phase);
        job.remaining.push_front(stage);
        job.wish = Wish::Run;
        job.retries = 0;
        self.enter(name, Phase::Pending, "one more stage was asked for".into(), now, out);
        Ok(Answer::Done)
    }

    fn drain(&mut self, worker: WorkerName, out: &mut Outcome) -> Result<Answer, Refusal> {
        let already = self.pool.drained.contains(&worker);
        let Some(found) = self.crew.change(&worker, |worker| worker.drained = true) else {
            return if already { Ok(Answer::Already) } else { Err(Refusal::NoWorker(worker)) };
        };
        // Also when it was drained already: whoever asked first may have had no answer, because the
        // coordinator died before this.
        if let Some(job) = self.seats.of(&worker, found.incarnation).map(|seat| seat.job.clone())
            && self.trains(&job)
        {
            self.stop_training(&job, format!("{worker} is being drained"), Then::GoOn, out);
        }
        out.pool_changed = !already;
        self.pool.drained.insert(worker);
        Ok(if already { Answer::Already } else { Answer::Done })
    }

    fn undrain(&mut self, worker: &WorkerName, out: &mut Outcome) -> Result<Answer, Refusal> {
        self.crew.change(worker, |worker| worker.drained = false);
        if self.pool.drained.remove(worker) {
            out.pool_changed = true;
            return Ok(Answer::Done);
        }
        match self.crew.get(worker) {
            Some(_) => Ok(Answer::Already),
            None => Err(Refusal::NoWorker(worker.clone())),
        }
    }

    /// Whether the job's present attempt can be stopped at a step boundary.
    pub(crate) fn trains(&self, job: &JobName) -> bool {
        let attempt = self.jobs.get(job).and_then(|job| job.attempt.as_ref());
        attempt.is_some_and(|attempt| attempt.stage.has_checkpoints())
    }

    /// Whether a new job may be taken on.
    fn within_limits(&self, request: &Request) -> Result<(), Refusal> {
        let (min, asked) = (request.min_workers, request.max_workers);
        match self.policy.limits.workers_per_job.filter(|limit| asked > *limit) {
            Some(limit) => {
                Err(Refusal::TooManyWorkers { job: request.name.clone(), asked, min: min.min(limit), limit })
            }
            None => self.room_for(&request.name),
        }
    }

    /// Whether there may be one more job that is not over.
    fn room_for(&self, job: &JobName) -> Result<(), Refusal> {
        let Some(limit) = self.policy.limits.jobs else { return Ok(()) };
        let there = self.jobs.values().filter(|job| !job.phase.is_final()).count();
        match there < limit as usize {
            true => Ok(()),
            false => Err(Refusal::TooManyJobs { job: job.clone(), there, limit }),
        }
    }

    fn find(&self, name: &JobName) -> Result<&Job, Refusal> {
        self.jobs.get(name).ok_or_else(|| Refusal::NoJob(name.clone()))
    }

    fn find_mut(&mut self, name: &JobName) -> Result<&mut Job, Refusal> {
        self.jobs.get_mut(name).ok_or_else(|| Refusal::NoJob(name.clone()))
    }
}

fn refuse(job: &JobName, phase: Phase, instead: &'static str) -> Result<Answer, Refusal> {
    Err(Refusal::WrongPhase { job: job.clone(), phase, instead })
}
