//! What becomes of a job whose stage is finished, or whose workers have let go of it.

use crate::{Interruption, JobName, Notice, Phase, Rank, State, TaskResult, Time, Wish, state::Outcome};

impl State {
    /// A stage is finished when all its ranks are; rank 0's result is the stage's.
    pub(crate) fn stage_done(&mut self, name: &JobName, now: Time, out: &mut Outcome) {
        let Some(attempt) = self.end_attempt(name, out) else { return };
        let Some(result) = attempt.done.get(&Rank(0)).cloned() else { return };
        let stopped = matches!(result, TaskResult::Trained { stopped: true, .. });
        // What is in a checkpoint is nothing to wait for.
        let goes_on = stopped && attempt.ending.as_ref().is_some_and(|ending| !ending.checkpoint);
        for member in &attempt.members {
            if self.crew.get(&member.worker).is_some_and(|worker| member.is(worker)) {
                if !goes_on {
                    self.crew.change(&member.worker, |worker| worker.state = None);
                }
                self.release(&member.worker, out);
            }
        }
        let Some(job) = self.jobs.get_mut(name) else { return };
        if let TaskResult::Prepared { dataset_uri, .. } = &result {
            job.dataset_uri = Some(dataset_uri.clone());
        }
        let mut before = None;
        if stopped && job.wish == Wish::Run {
            job.interrupted.get_or_insert((Interruption::Change, now));
        }
        if !stopped {
            job.interrupted = None;
            job.retries = 0;
            job.remaining.pop_front();
            before = job.returns_to.take();
            if before == Some(Phase::Succeeded) {
                // What was asked for before may have failed.
                job.failure = None;
            }
        }
        out.tell(name, if before.is_some() { Notice::AlsoDone(result) } else { Notice::Done(result) });
        if let Some(before) = before {
            return self.enter(name, before, "the stage asked for is done".into(), now, out);
        }
        let why = match (stopped, attempt.ending) {
            (true, Some(ending)) => ending.reason,
            (true, None) => "training stopped by itself".into(),
            (false, _) => "on to the next stage".into(),
        };
        self.rest(name, why, None, now, out);
    }

    /// A job whose workers have let go of it: what it is now. `why` it waits, if it does, and why its last checkpoint
    /// could not be written, if it was to stop.
    pub(crate) fn rest(
        &mut self,
        name: &JobName,
        why: String,
        unsaved: Option<String>,
        now: Time,
        out: &mut Outcome,
    ) {
        let Some(job) = self.jobs.get_mut(name) else { return };
        let checkpoint = match job.checkpoint {
            Some(step) => format!("there is a checkpoint of step {step}"),
            None => "there is no checkpoint yet".into(),
        };
        let unsaved = unsaved
            .map_or(String::new(), |why| format!("; what was trained since could not be saved: {why}"));
        let (phase, reason) = match (job.wish, job.returns_to) {
            _ if job.remaining.is_empty() => (Phase::Succeeded, "everything planned is done".into()),
            (Wish::Run, _) => (Phase::Pending, why),
            (Wish::Cancel | Wish::Pause, Some(before)) => {
                job.remaining.pop_front();
                job.returns_to = None;
                job.wish = Wish::Run;
                (before, "the stage asked for was given up".into())
            }
            (Wish::Cancel, None) => (Phase::Cancelled, format!("cancelled; {checkpoint}{unsaved}")),
            (Wish::Pause, None) => (Phase::Paused, format!("paused; {checkpoint}{unsaved}")),
        };
        if phase != Phase::Pending {
            job.interrupted = None;
        }
        self.unsettled = true;
        out.changed.insert(name.clone());
        self.enter(name, phase, reason, now, out);
    }
}
