//! What workers say.

use crate::{
    Failure, FailureKind, FromWorker, Generation, JobName, Membership, Notice, Order, Session, Started,
    State, Time, WorkerName, seats::Seat, state::Outcome,
};

impl State {
    pub(crate) fn said(
        &mut self,
        session: Session,
        generation: Generation,
        what: FromWorker,
        now: Time,
        out: &mut Outcome,
    ) {
        let Some(name) = self.sessions.get(&session).cloned() else { return };
        let Some(worker) = self.crew.heard(&name, now) else { return };
        match what {
            FromWorker::Heartbeat => return,
            FromWorker::Leaving => return self.leaving(&name, now, out),
            FromWorker::Ready { job, submitted, failure } => {
                return self.got_ready(&name, (job, submitted), failure, now, out);
            }
            _ => {}
        }
        let Some(Membership { job, generation: of_its_task }) = worker.task.clone() else { return };
        let seat = self.seats.of(&name, worker.incarnation).cloned();
        match seat {
            // Invariant A.
            Some(seat) if generation == of_its_task => self.listen(&name, &seat, what, now, out),
            // A task that was given up long ago is over now.
            None if generation == of_its_task && ends_task(&what) => self.release(&name, out),
            _ => {
                let reason =
                    format!("{name} speaks of generation {generation}, which is not the present one");
                out.tell(&job, Notice::Refused { reason });
            }
        }
    }

    /// A member of the job's present attempt speaks of it.
    fn listen(&mut self, name: &WorkerName, seat: &Seat, what: FromWorker, now: Time, out: &mut Outcome) {
        let Seat { job, rank } = seat;
        let Some(state) = self.jobs.get_mut(job) else { return };
        let Some(attempt) = state.attempt.as_mut() else { return };
        match what {
            FromWorker::Heartbeat | FromWorker::Leaving | FromWorker::Ready { .. } => {}
            FromWorker::Progress(progress) => {
                let step = progress.training.map(|training| training.step);
                out.tell(job, Notice::Progress(progress));
                if let Some(step) = step
                    && let Some((interruption, since)) = state.interrupted.take()
                {
                    out.changed.insert(job.clone());
                    out.tell(job, Notice::WentOn { interruption, after: now.since(since), step });
                }
            }
            FromWorker::Validated(validated) => out.tell(job, Notice::Validated(validated)),
            FromWorker::Started(started) => {
                let Started { step, kept, .. } = started;
                let part = Membership { job: job.clone(), generation: attempt.generation };
                // To every coordinator, and on every connection, it says again where it began.
                let is_repeated =
                    self.crew.get(name).is_some_and(|worker| worker.state.as_ref() == Some(&part));
                let mut is_news = !std::mem::replace(&mut state.has_trained, true);
                for member in &attempt.members {
                    is_news |= state.unfit.remove(&member.worker).is_some();
                    if self.crew.get(&member.worker).is_some_and(|worker| member.is(worker)) {
                        self.crew.change(&member.worker, |worker| {
                            worker.state = Some(part.clone());
                            worker.last = Some(part.clone());
                        });
                    }
                }
                if is_news {
                    out.changed.insert(job.clone());
                }
                out.tell(job, Notice::Started(started));
                match kept {
                    true => self.went_on(job, step, out),
                    // A checkpoint it resumes from is visible, whoever heard of it.
                    false => {
                        if !is_repeated {
                            state.saved = Some(now);
                            out.changed.insert(job.clone());
                        }
                        self.got_further(job, step, now, out);
                    }
                }
            }
            FromWorker::Pace(pace) => {
                let mean = |before: f64| (before + pace) / 2.0;
                self.crew.change(name, |worker| worker.pace = Some(worker.pace.map_or(pace, mean)));
            }
            FromWorker::RendezvousReady { host, port } => {
                let there = Some((host.clone(), port));
                if attempt.rendezvous != there {
                    attempt.rendezvous = there;
                    self.order(job, 1..usize::MAX, Order::Rendezvous { host, port }, out);
                }
            }
            FromWorker::CheckpointPart { step, part } => {
                // Invariant C.
                if let Some(parts) = attempt.part_written(step, *rank, part) {
                    state.committing = state.committing.max(Some(step));
                    out.changed.insert(job.clone());
                    self.order(job, 0..1, Order::CommitCheckpoint { step, parts }, out);
                }
            }
            FromWorker::CheckpointCommitted { step } => {
                attempt.committed(step);
                if self.got_further(job, step, now, out) {
                    out.tell(job, Notice::Committed { step });
                }
            }
            FromWorker::CheckpointDelayed { step, message } => {
                let message = format!("{name}: {message}");
                out.tell(job, Notice::CheckpointDelayed { step, message });
            }
            FromWorker::CheckpointFailed { step, message } => {
                attempt.parts.remove(&step);
                let message = format!("{name}: {message}");
                out.tell(job, Notice::CheckpointFailed { step, message });
            }
            FromWorker::Done(result) => {
                let part = Membership { job: job.clone(), generation: attempt.generation };
                self.crew.change(name, |worker| worker.last = Some(part));
                attempt.done.insert(*rank, result);
                if attempt.is_done() {
                    self.stage_done(job, now, out);
                }
            }
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
            FromWorker::Failed(failure) => {
                let failure = Failure { worker: Some(name.clone()), ..failure };
                if !failure.kind.spares_the_state() {
                    self.crew.change(name, |worker| worker.state = None);
                }
                attempt.let_go.insert(*rank);
                if failure.kind == FailureKind::LostPeer {
                    self.bereft(job, *rank, failure, now, out);
                } else {
                    self.failed(job, failure, now, out);
                }
            }
        }
    }

    /// Training goes on from what workers had in memory. Invariant D: when that is more than ever before, the retries
    /// are given back.
    fn went_on(&mut self, name: &JobName, step: u64, out: &mut Outcome) {
        let Some(job) = self.jobs.get_mut(name).filter(|job| step > job.reached) else { return };
        job.reached = step;
        job.retries = 0;
        out.changed.insert(name.clone());
    }

    /// A checkpoint of a step is visible; whether that was news. Invariant D: a newer one gives the
    /// retries back.
    fn got_further(&mut self, name: &JobName, step: u64, now: Time, out: &mut Outcome) -> bool {
        let Some(job) = self.jobs.get_mut(name) else { return false };
        if step <= job.checkpoint.unwrap_or(0) {
            return false;
        }
        job.checkpoint = Some(step);
        job.saved = Some(now);
        job.retries = 0;
        out.changed.insert(name.clone());
        true
    }
}

/// Whether a worker that says this has no task any more.
fn ends_task(what: &FromWorker) -> bool {
    matches!(what, FromWorker::Idle | FromWorker::Done(_) | FromWorker::Failed(_))
}
