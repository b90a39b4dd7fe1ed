//! What a running task is told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use twinspire_proto::v1::{CommitCheckpoint, Rendezvous, coordinator_message::Body as Order};

/// The control word: what a rank wants done after the step. It travels with the step's reduced
/// metrics, or-ed over ranks: so they all checkpoint or stop at the same step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control(u64);

impl Control {
    pub(crate) const GO_ON: Control = Control(0);
    pub(crate) const CHECKPOINT: Control = Control(1);
    pub(crate) const STOP: Control = Control(2);

    pub(crate) fn from_word(word: u64) -> Control {
        Control(word)
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    pub(crate) fn and(self, other: Control) -> Control {
        Control(self.0 | other.0)
    }

    pub(crate) fn stops(self) -> bool {
        self.0 & Control::STOP.0 != 0
    }

    pub(crate) fn checkpoints(self) -> bool {
        self.0 & Control::CHECKPOINT.0 != 0
    }
}

/// All parts of a checkpoint are written.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) step: u64,
    pub(crate) parts: Vec<String>,
}

/// The session's end.
pub(crate) struct Sender {
    stop: Arc<AtomicU64>,
    is_to_crash: Arc<AtomicBool>,
    aborted: CancellationToken,
    rendezvous: watch::Sender<Option<Rendezvous>>,
    commits: mpsc::UnboundedSender<Commit>,
}

impl Sender {
    /// Passes an order on. A task that is over does not hear it, and need not.
    pub(super) fn tell(&self, order: Order) {
        match order {
            Order::StopAfterStep(stop) => {
                let checkpoint = if stop.checkpoint { Control::CHECKPOINT } else { Control::GO_ON };
                self.stop(Control::STOP.and(checkpoint));
            }
            Order::Rendezvous(rendezvous) => {
                self.rendezvous.send_replace(Some(rendezvous));
            }
            Order::CommitCheckpoint(CommitCheckpoint { step, part_json }) => {
                let _ = self.commits.send(Commit { step, parts: part_json });
            }
            Order::Abort(_) => self.abort(),
            Order::Suffer(_) => self.is_to_crash.store(true, Ordering::Relaxed),
            Order::Welcome(_) | Order::Assign(_) | Order::GetReady(_) | Order::Shutdown(_) => {}
        }
    }

    /// Everything stops where it is: a step that others have left fails and has changed nothing, one that needs
    /// nobody else is finished.
    pub(super) fn abort(&self) {
        self.stop(Control::STOP);
        self.aborted.cancel();
    }

    fn stop(&self, how: Control) {
        self.stop.fetch_or(how.word(), Ordering::Relaxed);
    }
}

/// The task's end.
pub(crate) struct Orders {
    stop: Arc<AtomicU64>,
    is_to_crash: Arc<AtomicBool>,
    aborted: CancellationToken,
    rendezvous: watch::Receiver<Option<Rendezvous>>,
    commits: std::cell::Cell<Option<mpsc::UnboundedReceiver<Commit>>>,
}

pub(super) fn channel() -> (Sender, Orders) {
    let stop = Arc::new(AtomicU64::new(Control::GO_ON.word()));
    let is_to_crash = Arc::new(AtomicBool::new(false));
    let aborted = CancellationToken::new();
    let (rendezvous, meet) = watch::channel(None);
    let (commits, commit) = mpsc::unbounded_channel();
    (
        Sender {
            stop: Arc::clone(&stop),
            is_to_crash: Arc::clone(&is_to_crash),
            aborted: aborted.clone(),
            rendezvous,
            commits,
        },
        Orders { stop, is_to_crash, aborted, rendezvous: meet, commits: std::cell::Cell::new(Some(commit)) },
    )
}

impl Orders {
    /// What was asked for.
    pub(crate) fn control(&self) -> Control {
        Control::from_word(self.stop.load(Ordering::Relaxed))
    }

    /// Panics if that is wanted, to see that others go on.
    pub(crate) fn crash_if_told(&self) {
        assert!(!self.is_to_crash.load(Ordering::Relaxed), "a fault made on purpose");
    }

    /// Whether the task was given up.
    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.is_cancelled()
    }

    /// Waits until the task is given up.
    pub(crate) async fn aborted(&self) {
        self.aborted.cancelled().await;
    }

    /// What tells, after the task too, whether it was given up.
    pub(crate) fn token(&self) -> CancellationToken {
        self.aborted.clone()
    }

    /// Where rank 0 listens, once it is known. When the session is gone nobody will ever say.
    pub(crate) async fn rendezvous(&self) -> Rendezvous {
        let mut rendezvous = self.rendezvous.clone();
        loop {
            if let Some(there) = rendezvous.borrow_and_update().clone() {
                return there;
            }
            if rendezvous.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// The orders to commit, for the one who commits; the second time there is nothing to take.
    pub(crate) fn take_commits(&self) -> Option<mpsc::UnboundedReceiver<Commit>> {
        self.commits.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ranks_ask_for_adds_up() {
        let both = Control::STOP.and(Control::CHECKPOINT);
        assert!(both.checkpoints() && both.stops());
        assert!(!Control::STOP.checkpoints() && !Control::CHECKPOINT.stops());
        assert_eq!(Control::from_word(both.word()), both);
        assert_eq!(Control::GO_ON, Control::default());
    }

    #[test]
    fn an_order_to_stop_reaches_the_task() {
        let (sender, orders) = channel();
        assert_eq!(orders.control(), Control::GO_ON);
        sender.tell(Order::StopAfterStep(twinspire_proto::v1::StopAfterStep { checkpoint: true }));
        assert_eq!(orders.control(), Control::STOP.and(Control::CHECKPOINT));
        assert!(!orders.is_aborted());
    }

    #[test]
    fn a_task_that_is_given_up_writes_no_checkpoint() {
        let (sender, orders) = channel();
        sender.abort();
        assert_eq!(orders.control(), Control::STOP);
        assert!(orders.is_aborted() && orders.token().is_cancelled());
    }
}
