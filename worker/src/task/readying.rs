//! Getting ready for a training that others are at: no task yet, and nobody waits for it.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::JoinHandle,
};

use tokio_util::sync::CancellationToken;
use twinspire_proto::v1::{Assign, Ready};

use super::{Link, Start, TaskError, Work, orders, task, what_it_said};

/// A worker that gets ready, on a thread of its own.
pub(crate) struct Readying {
    job: String,
    submitted_ms: u64,
    given_up: CancellationToken,
    thread: JoinHandle<()>,
}

impl Readying {
    /// Begins once whatever it got ready for before has ended. Its thread says what came of it.
    pub(crate) fn start(start: Start) -> io::Result<Readying> {
        let (_sender, orders) = orders::channel();
        let (job, submitted_ms) = (start.assign.job.clone(), start.assign.submitted_ms);
        tracing::info!(job, "getting ready to join");
        let given_up = orders.token();
        let ready = Ready { job: job.clone(), submitted_ms, failed: None };
        let thread = std::thread::Builder::new().name("get-ready".into()).spawn(move || {
            let (voice, aborted) = (start.voice.clone(), orders.token());
            let outcome = catch_unwind(AssertUnwindSafe(|| get_ready(start, orders)))
                .unwrap_or_else(|panic| Err(TaskError::panic(what_it_said(panic.as_ref()))));
            if aborted.is_cancelled() {
                return;
            }
            match &outcome {
                Ok(()) => tracing::info!(job = ready.job, "ready to join"),
                Err(error) => tracing::error!(job = ready.job, code = error.code, "{}", error.message),
            }
            voice.ready(Ready { failed: outcome.err().map(Into::into), ..ready });
        })?;
        Ok(Readying { job, submitted_ms, given_up, thread })
    }

    /// Whether it is for this training.
    pub(crate) fn is_for(&self, assign: &Assign) -> bool {
        self.job == assign.job && self.submitted_ms == assign.submitted_ms && !self.given_up.is_cancelled()
    }

    /// Has it end as soon as it can.
    pub(crate) fn give_up(&self) {
        self.given_up.cancel();
    }

    /// What has it end.
    pub(super) fn token(&self) -> CancellationToken {
        self.given_up.clone()
    }

    /// Waits until it has ended: two at a time may be more than memory holds.
    pub(super) fn wait(self) {
        // A panic was caught, and said.
        let _ = self.thread.join();
    }
}

fn get_ready(mut start: Start, orders: orders::Orders) -> Result<(), TaskError> {
    if let Some(before) = start.before.take() {
        before.wait();
    }
    let (link, work) = (Link { part: start.part.clone(), voice: start.voice.clone() }, start.work.clone());
    Work::get_ready(work.as_ref(), &task(start, link, orders)?)
}
