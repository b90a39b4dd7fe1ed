//! Faults made on purpose, to see that nothing is lost.

use std::{fmt, time::Duration};

use crate::{Answer, Command, JobName, Notice, Order, Refusal, State, WorkerName, state::Outcome};

/// A fault made on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A worker's process is killed.
    KillWorker,
    /// A worker's task panics.
    CrashWorker,
    /// A worker's process is stopped for so long: to others it is as good as gone.
    PauseWorker(Duration),
    /// Whatever a worker writes to storage fails for so long.
    FailStorage(Duration),
    /// The coordinator's process is killed, by its shell.
    KillCoordinator,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::KillWorker => write!(f, "its process is killed"),
            Fault::CrashWorker => write!(f, "its task panics"),
            Fault::PauseWorker(span) => write!(f, "its process is stopped for {span:?}"),
            Fault::FailStorage(span) => write!(f, "its storage fails for {span:?}"),
            Fault::KillCoordinator => write!(f, "the coordinator is killed"),
        }
    }
}

impl State {
    /// Has one of the job's workers suffer a fault. Only of a job that was submitted to have that done to it.
    pub(crate) fn inject(
        &mut self,
        name: &JobName,
        worker: Option<WorkerName>,
        fault: Fault,
        out: &mut Outcome,
    ) -> Result<Answer, Refusal> {
        let job = self.jobs.get(name).ok_or_else(|| Refusal::NoJob(name.clone()))?;
        if !job.request.chaos {
            return Err(Refusal::NoChaos(name.clone()));
        }
        if let Some(worker) = &worker {
            let victim = self.crew.get(worker).ok_or_else(|| Refusal::NoWorker(worker.clone()))?;
            let attempt = job.attempt.as_ref().filter(|attempt| {
                self.seats.of(worker, victim.incarnation).is_some_and(|seat| seat.job == *name)
                    && attempt.rank_of(worker).is_some()
            });
            let attempt =
                attempt.ok_or_else(|| Refusal::NotAtIt { job: name.clone(), worker: worker.clone() })?;
            let (session, generation) = (victim.session, attempt.generation);
            out.push(Command::Send { session, generation, order: Order::Suffer(fault) });
        }
        out.tell(name, Notice::Injected { worker, fault });
        Ok(Answer::Done)
    }
}
