//! Makes checkpoints visible, on rank 0.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use twinspire_checkpoint::{CheckpointStore, Generation, Manifest, PartInfo, Patience, Step, TensorInfo};
use twinspire_proto::v1::{CheckpointCommitted, CheckpointDelayed, CheckpointFailed, worker_message::Body};
use twinspire_storage::StorageError;

use super::pending::{Ordered, PATIENCE, Pending};
use crate::task::{Commit, Link, TaskError};

/// Between two looks at checkpoints that wait for their order.
const LOOK: Duration = Duration::from_secs(5);

/// What goes into a manifest besides the parts.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) tensors: Vec<TensorInfo>,
    pub(super) epoch: u32,
    pub(super) lanes: u32,
    pub(super) spec: String,
    pub(super) dataset: String,
    pub(super) metrics: BTreeMap<String, f64>,
    pub(super) extra: serde_json::Value,
}

/// How the newest that is decided ended: its step, and why it failed.
type Concluded = Option<(u64, Option<TaskError>)>;

/// Checkpoints that are to be committed.
pub(super) struct Commits {
    store: CheckpointStore,
    generation: Generation,
    link: Link,
    pending: Mutex<Pending<Draft>>,
    ordered: Notify,
    concluded: watch::Sender<Concluded>,
    /// Step of the newest that is visible.
    visible: AtomicU64,
}

impl Commits {
    pub(super) fn new(store: CheckpointStore, generation: Generation, link: Link) -> Commits {
        Commits {
            store,
            generation,
            link,
            pending: Mutex::new(Pending::new()),
            ordered: Notify::new(),
            concluded: watch::Sender::new(None),
            visible: AtomicU64::new(0),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending<Draft>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A checkpoint is begun.
    pub(super) fn begin(&self, step: u64, draft: Draft) {
        let given_up = self.pending().begin(step, draft);
        given_up.into_iter().for_each(|step| self.give_up(step, TaskError::overtaken(step)));
    }

    /// Whether it is decided what becomes of the checkpoint of a step.
    pub(super) fn is_concluded(&self, step: u64) -> bool {
        self.concluded.borrow().as_ref().is_some_and(|(newest, _)| *newest >= step)
    }

    /// Step of the newest that was made visible.
    pub(super) fn visible(&self) -> u64 {
        self.visible.load(Relaxed)
    }

    /// Waits until it is.
    pub(super) async fn conclusion(&self, step: u64) -> Result<(), TaskError> {
        let mut concluded = self.concluded.subscribe();
        let there = |concluded: &Concluded| matches!(concluded, Some((newest, _)) if *newest >= step);
        match concluded.wait_for(there).await.map(|concluded| concluded.clone()) {
            Ok(Some((_, Some(failure)))) => Err(failure),
            Ok(_) => Ok(()),
            Err(_) => Err(TaskError::panic("the committer of checkpoints ended".into())),
        }
    }

    /// Commits what is ordered, until the task is given up or the worker has another one.
    pub(super) async fn run(
        self: Arc<Self>,
        orders: mpsc::UnboundedReceiver<Commit>,
        given_up: CancellationToken,
    ) {
        tokio::select! {
            () = given_up.cancelled() => {}
            () = self.listen(orders) => {}
            () = self.work() => {}
            () = self.watch() => {}
        }
    }

    async fn listen(&self, mut orders: mpsc::UnboundedReceiver<Commit>) {
        while let Some(Commit { step, parts }) = orders.recv().await {
            let ordered = self.pending().order(step, parts);
            match ordered {
                Ordered::Yes => self.ordered.notify_one(),
                Ordered::Visible(step) => {
                    self.link.say(Body::CheckpointCommitted(CheckpointCommitted { step }));
                }
                Ordered::Decided => tracing::debug!(step, "told again to commit a checkpoint"),
                Ordered::Unknown => {
                    tracing::warn!(step, code = "TW5206", "told to commit a checkpoint that was never begun");
                }
            }
        }
    }

    async fn work(&self) {
        loop {
            let next = self.pending().next();
            let Some((step, draft, parts)) = next else {
                self.ordered.notified().await;
                continue;
            };
            let failure = match self.commit(step, draft, &parts).await {
                Ok(()) => {
                    self.pending().committed(step);
                    self.visible.fetch_max(step, Relaxed);
                    self.link.say(Body::CheckpointCommitted(CheckpointCommitted { step }));
                    self.collect().await;
                    None
                }
                Err(failure) => {
                    let message = failure.message.clone();
                    self.link.say(Body::CheckpointFailed(CheckpointFailed { step, message }));
                    Some(failure)
                }
            };
            self.conclude(step, failure);
        }
    }

    async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if self.link.is_connected() {
                let overdue = self.pending().wait(LOOK);
                overdue.into_iter().for_each(|step| {
                    self.give_up(step, TaskError::no_commit(step, PATIENCE));
                });
            }
        }
    }

    fn give_up(&self, step: u64, why: TaskError) {
        tracing::warn!(step, code = why.code, "the checkpoint is given up: {}", why.message);
        self.link.say(Body::CheckpointFailed(CheckpointFailed { step, message: why.message.clone() }));
        self.conclude(step, Some(why));
    }

    fn conclude(&self, step: u64, failure: Option<TaskError>) {
        self.concluded.send_if_modified(|concluded| {
            let is_newer = concluded.as_ref().is_none_or(|(newest, _)| step > *newest);
            if is_newer {
                *concluded = Some((step, failure));
            }
            is_newer
        });
    }

    async fn commit(&self, step: u64, draft: Draft, parts: &[String]) -> Result<(), TaskError> {
        let parts: Vec<PartInfo> =
            parts.iter().map(|part| serde_json::from_str(part)).collect::<Result<_, _>>().map_err(|why| {
                let why = format!("a part of the checkpoint of step {step} cannot be read: {why}");
                TaskError::protocol("commit", why)
            })?;
        let manifest = Manifest {
            epoch: draft.epoch,
            spec_fingerprint: draft.spec,
            dataset_fingerprint: draft.dataset,
            lanes: draft.lanes,
            metrics: draft.metrics,
            extra: draft.extra,
            ..Manifest::new(Step(step), self.generation, draft.tensors, parts)
        };
        let what = format!("commit the checkpoint of step {step}");
        let delayed = |why: &StorageError| {
            self.link.say(Body::CheckpointDelayed(CheckpointDelayed { step, message: why.to_string() }));
        };
        let commit = || self.store.commit(manifest.clone());
        Patience::default().retry_and_tell(&what, commit, delayed).await.0?;
        Ok(())
    }

    async fn collect(&self) {
        match self.store.collect().await {
            Ok(gone) if gone.is_empty() => {}
            Ok(gone) => tracing::info!(?gone, "deleted old checkpoints"),
            // What is not deleted now is by the next.
            Err(why) => tracing::warn!(%why, "old checkpoints could not be deleted"),
        }
    }
}
