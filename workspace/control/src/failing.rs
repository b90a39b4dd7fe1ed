//! What becomes of a job whose task fails.

use std::time::Duration;

use crate::{
    Failure, FailureKind, Interruption, JobName, Notice, Phase, Rank, Stage, State, Time, Wish, WorkerName,
    failure::{MAX_RETRIES, Remedy, remedy},
    fitness::OwnFault,
    state::Outcome,
};

impl State {
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

    /// A rank lost a peer: a witness, not the culprit.
    pub(crate) fn bereft(
        &mut self,
        name: &JobName,
        rank: Rank,
        failure: Failure,
        now: Time,
        out: &mut Outcome,
    ) {
        let Some(attempt) = self.jobs.get_mut(name).and_then(|job| job.attempt.as_mut()) else { return };
        let is_first = attempt.bereft.is_empty();
        attempt.bereft.insert(rank, failure);
        attempt.bereft_since.get_or_insert(now);
        // Later ones are found when they are cut off.
        match is_first.then(|| self.cut_off(name)).flatten() {
            Some((worker, why)) => self.gone(&worker, &why, now, out),
            None => self.blame(name, now, out),
        }
    }

    /// A member that is cut off just now.
    fn cut_off(&self, name: &JobName) -> Option<(WorkerName, String)> {
        let attempt = self.jobs.get(name)?.attempt.as_ref()?;
        attempt.members.iter().enumerate().find_map(|(rank, member)| {
            let worker = self.crew.get(&member.worker)?;
            let needed = !attempt.done.contains_key(&Rank(rank as u32));
            let (_, why) = worker.cut_off.as_ref().filter(|_| needed && member.is(worker))?;
            Some((member.worker.clone(), why.clone()))
        })
    }

    /// Ranks that lost a peer wait for the cause: the peer's own failure, or its loss. When all
    /// have lost somebody, or nobody speaks up in time, that itself is the cause.
    pub(crate) fn blame(&mut self, name: &JobName, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get(name) else { return };
        let Some(attempt) = &job.attempt else { return };
        let Some(since) = attempt.bereft_since else { return };
        let all = attempt.bereft.len() + attempt.done.len() >= attempt.members.len();
        let overdue = all || now.since(since) >= job.request.timeouts.blame;
        if let Some(failure) = attempt.bereft.values().next().filter(|_| overdue).cloned() {
            self.failed(name, failure, now, out);
        }
    }

    /// The job's task failed: it is tried again, or given up.
    pub(crate) fn failed(&mut self, name: &JobName, failure: Failure, now: Time, out: &mut Outcome) {
        let attempt = self.abandon(name, out);
        let Some(job) = self.jobs.get_mut(name) else { return };
        if job.wish != Wish::Run {
            let is_unsaved = failure.kind == FailureKind::Storage && job.has_trained;
            let unsaved = is_unsaved.then_some(failure.message);
            return self.rest(name, String::new(), unsaved, now, out);
        }
        if job.remaining.front().is_some_and(|stage| *stage == Stage::Train) {
            job.interrupted.get_or_insert((Interruption::Fault, now));
        }
        let retries = job.retries;
        let remedy = match self.leave_out(name, &failure, now, out) {
            Some(OwnFault::First) => return self.go_on_without(name, &failure, now, out),
            Some(OwnFault::Again) => remedy(FailureKind::Crash, retries),
            None => {
                attempt.iter().for_each(|attempt| self.leave_newcomers_out(name, attempt, now));
                remedy(failure.kind, retries)
            }
        };
        match remedy {
            Remedy::Retry { after } => self.try_again(name, failure, after, now, out),
            Remedy::Fail => self.give_up(name, failure, now, out),
        }
    }

    fn go_on_without(&mut self, name: &JobName, failure: &Failure, now: Time, out: &mut Outcome) {
        let worker = failure.worker.as_ref().map_or("a worker", WorkerName::as_str);
        self.enter(name, Phase::Pending, format!("going on without {worker}"), now, out);
    }

    /// Invariant D: `retries` is only set back by a newer checkpoint, by more steps than ever in memory, by a finished
    /// stage, or by a person.
    fn try_again(&mut self, name: &JobName, failure: Failure, after: Duration, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        job.retries += 1;
        job.not_before = Some(now + after);
        let retry = job.retries;
        let reason = format!("{}; retry {retry} of {MAX_RETRIES}", failure.message);
        self.enter(name, Phase::Pending, reason, now, out);
        out.tell(name, Notice::Retrying { failure, retry, of: MAX_RETRIES, after });
    }

    fn give_up(&mut self, name: &JobName, failure: Failure, now: Time, out: &mut Outcome) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        let reason = if job.retries >= MAX_RETRIES {
            format!("{} (tried {} times without getting further)", failure.message, job.retries + 1)
        } else {
            failure.message.clone()
        };
        let place = failure.worker.as_ref().filter(|worker| !reason.contains(worker.as_str()));
        let place = place.map_or(String::new(), |worker| format!("{worker}: "));
        let why = format!("{place}{reason}");
        job.failure = Some(Failure { message: reason, ..failure });
        job.interrupted = None;
        let phase = match job.returns_to.take() {
            // One more stage of a job that was over: it is over as before.
            Some(before) => {
                job.remaining.pop_front();
                before
            }
            None => Phase::Failed,
        };
        self.enter(name, phase, why, now, out);
    }
}
