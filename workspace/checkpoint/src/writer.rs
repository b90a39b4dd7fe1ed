//! Writing in the background while training goes on.

use std::future::Future;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use twinspire_storage::StorageError;

use crate::error::CheckpointError;
use crate::ids::{Generation, Step};
use crate::part::PartInfo;
use crate::store::CheckpointStore;
use crate::tensor::TensorSlice;

/// How long storage errors are borne.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Before the second try; doubled for every further one.
    pub first_delay: Duration,
    /// Longest time between tries.
    pub longest_delay: Duration,
    /// After this long the error is the answer.
    pub give_up_after: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            first_delay: Duration::from_millis(500),
            longest_delay: Duration::from_secs(30),
            give_up_after: Duration::from_secs(300),
        }
    }
}

impl Patience {
    /// Runs `attempt` until it succeeds, fails by something other than storage, or patience ends.
    /// Every failure is logged as a warning. Answers the number of tries too.
    pub async fn retry<T, F>(
        &self,
        what: &str,
        attempt: impl FnMut() -> F,
    ) -> (Result<T, CheckpointError>, u32)
    where
        F: Future<Output = Result<T, CheckpointError>>,
    {
        self.retry_and_tell(what, attempt, |_| ()).await
    }

    /// The same; each failure after which it is tried again is told to `delayed`.
    pub async fn retry_and_tell<T, F>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> F,
        delayed: impl Fn(&StorageError),
    ) -> (Result<T, CheckpointError>, u32)
    where
        F: Future<Output = Result<T, CheckpointError>>,
    {
        let started = Instant::now();
        let mut delay = self.first_delay;
        let mut tries = 0;
        loop {
            tries += 1;
            let error = match attempt().await {
                Err(CheckpointError::Storage(error)) => error,
                outcome => return (outcome, tries),
            };
            let code = error.code();
            if started.elapsed() + delay > self.give_up_after {
                tracing::error!(
                    code,
                    tries,
                    "gave up trying to {what}; training goes on without it: {error}"
                );
                return (Err(error.into()), tries);
            }
            tracing::warn!(code, tries, "cannot {what}, next try in {delay:?}; training goes on: {error}");
            delayed(&error);
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(self.longest_delay);
        }
    }
}

/// Writes one rank's parts in the background, one at a time.
///
/// Dropped, it stops: a file cut off is not there, and a part without a manifest counts for
/// nothing.
#[derive(Debug)]
pub struct Writer {
    store: CheckpointStore,
    runtime: Handle,
    patience: Patience,
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    step: Step,
    started: Instant,
    task: JoinHandle<(Result<PartInfo, CheckpointError>, u32)>,
}

/// A part was to be written while another is, or while that one's outcome was not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the part of step {step} is still being written")]
pub struct Busy {
    /// Step being written.
    pub step: Step,
}

/// How the writing of a part ended.
#[derive(Debug)]
pub struct Finished {
    /// Its step.
    pub step: Step,
    /// From [`Writer::begin`] to now.
    pub took: Duration,
    /// Tries it took.
    pub tries: u32,
    /// The part, for the manifest.
    pub result: Result<PartInfo, CheckpointError>,
}

impl Writer {
    /// A writer whose tasks run on `runtime`.
    pub fn new(store: CheckpointStore, runtime: Handle, patience: Patience) -> Writer {
        Writer { store, runtime, patience, in_flight: None }
    }

    /// Starts writing rank `rank`'s part of `of` and returns at once. The slices are held until
    /// they are written: they must be copies that training does not change.
    ///
    /// # Errors
    /// [`Busy`]: the caller skips this checkpoint, or waits for the one in flight.
    pub fn begin(
        &mut self,
        step: Step,
        generation: Generation,
        rank: usize,
        of: usize,
        slices: Vec<TensorSlice>,
    ) -> Result<(), Busy> {
        if let Some(in_flight) = &self.in_flight {
            return Err(Busy { step: in_flight.step });
        }
        let (store, patience) = (self.store.clone(), self.patience);
        let task = self.runtime.spawn(async move {
            let what = format!("write the checkpoint of step {step}");
            patience.retry(&what, || store.write_part(step, generation, rank, of, &slices)).await
        });
        self.in_flight = Some(InFlight { step, started: Instant::now(), task });
        Ok(())
    }

    /// The step whose part is in flight, or whose outcome was not asked for.
    pub fn busy(&self) -> Option<Step> {
        self.in_flight.as_ref().map(|in_flight| in_flight.step)
    }

    /// The outcome of the part in flight once it is there, given once.
    pub fn finished(&mut self) -> Option<Finished> {
        let outcome = (&mut self.in_flight.as_mut()?.task).now_or_never()?;
        self.conclude(outcome)
    }

    /// Waits for the part in flight; `None` when there is none.
    pub async fn wait(&mut self) -> Option<Finished> {
        let outcome = (&mut self.in_flight.as_mut()?.task).await;
        self.conclude(outcome)
    }

    /// Gives up the part in flight.
    pub fn abort(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            in_flight.task.abort();
        }
    }

    fn conclude(
        &mut self,
        outcome: Result<(Result<PartInfo, CheckpointError>, u32), JoinError>,
    ) -> Option<Finished> {
        let InFlight { step, started, .. } = self.in_flight.take()?;
        let (result, tries) = outcome.unwrap_or_else(|error| {
            // The task panicked, or the runtime is shutting down.
            (Err(CheckpointError::Unsound { step, reason: error.to_string() }), 1)
        });
        Some(Finished { step, took: started.elapsed(), tries, result })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.abort();
    }
}
