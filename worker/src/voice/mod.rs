//! What this worker says, whether or not there is a connection to say it on.
//!
//! Coordinators come and go, a task goes on (invariant 5 of the architecture). What it says is
//! remembered until the task is forgotten, and said again on the next connection: a coordinator
//! that knows nothing learns all it needs. What is only news is not: progress is dropped while
//! there is no connection, and of the rest the latest few are kept.
//!
//! 1. Of a task nothing is said after its end, not by a checkpoint that was still being written
//!    either: no coordinator has to tell late words from those about the next task.
//! 2. A task ends in one word: done, failed, or idle.

mod memory;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{
    mpsc::{self, error::TrySendError},
    watch,
};
use twinspire_proto::{
    from_worker,
    v1::{
        Heartbeat, Idle, Leaving, Membership, Ready, Register, TaskFailed, WorkerMessage,
        worker_message::Body,
    },
};

use self::memory::Memory;

/// Messages on their way to a coordinator at a time. One that lets so many pile up does not listen:
/// it is connected to again, and told what counts from the start.
const IN_FLIGHT: usize = 256;

/// The task this worker has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Present {
    pub(crate) part: Membership,
    /// It is done or failed.
    pub(crate) is_over: bool,
}

/// What this worker says; clones are of one voice.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    spoken: Arc<Mutex<Spoken>>,
    connected: Arc<watch::Sender<bool>>,
}

#[derive(Debug, Default)]
struct Spoken {
    connection: Option<mpsc::Sender<WorkerMessage>>,
    leaving: bool,
    task: Option<Memory>,
    /// The training whose state is in memory.
    state: Option<Membership>,
}

impl Voice {
    pub(crate) fn new() -> Voice {
        Voice { spoken: Arc::default(), connected: Arc::new(watch::Sender::new(false)) }
    }

    fn spoken(&self) -> MutexGuard<'_, Spoken> {
        self.spoken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Speaks on a new connection from now on: who it is first, with the task it has and the state in its memory, then
    /// all that counts of its task.
    pub(crate) fn open(
        &self,
        register: impl FnOnce(Option<Membership>, Option<Membership>) -> Register,
    ) -> mpsc::Receiver<WorkerMessage> {
        let (connection, messages) = mpsc::channel(IN_FLIGHT);
        let mut spoken = self.spoken();
        let part = spoken.task.as_ref().map(|task| task.part.clone());
        let generation = part.as_ref().map_or(0, |part| part.generation);
        spoken.connection = Some(connection);
        let state = spoken.state.clone();
        spoken.send(0, Body::Register(register(part, state)));
        if spoken.leaving {
            spoken.send(generation, Body::Leaving(Leaving {}));
        }
        let again = spoken.task.as_mut().map(Memory::again).unwrap_or_default();
        for body in again {
            spoken.send(generation, body);
        }
        messages
    }

    /// There is a coordinator at the other end, and it has answered.
    pub(crate) fn answered(&self) {
        self.connected.send_replace(true);
    }

    /// The connection is gone.
    pub(crate) fn close(&self) {
        self.spoken().connection = None;
        self.connected.send_replace(false);
    }

    /// Whether a coordinator listens.
    pub(crate) fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Whether the connection was given up because too much piled up on it.
    pub(crate) fn is_choked(&self) -> bool {
        self.is_connected() && self.spoken().connection.is_none()
    }

    /// Waits until a coordinator has listened for `span` without interruption from now on.
    pub(crate) async fn connected_for(&self, span: Duration) {
        let mut connected = self.connected.subscribe();
        // The sender is part of this: it is not gone.
        while connected.wait_for(|is| *is).await.is_ok() {
            tokio::select! {
                () = tokio::time::sleep(span) => return,
                _ = connected.wait_for(|is| !*is) => {}
            }
        }
    }

    /// The task this worker has.
    pub(crate) fn present(&self) -> Option<Present> {
        let spoken = self.spoken();
        let task = spoken.task.as_ref()?;
        Some(Present { part: task.part.clone(), is_over: task.end.is_some() })
    }

    /// Whether it has a task that is not over.
    pub(crate) fn is_busy(&self) -> bool {
        self.spoken().task.as_ref().is_some_and(|task| task.end.is_none())
    }

    /// It has this task from now on, and none it had before.
    pub(crate) fn begin(&self, part: Membership) {
        self.spoken().task = Some(Memory::new(part));
    }

    /// The task was given up: whatever comes of it, it will end in `idle`. One that is over
    /// already has said its last word, and is forgotten.
    pub(crate) fn give_up(&self) {
        let mut spoken = self.spoken();
        match &mut spoken.task {
            Some(task) if task.end.is_none() => task.given_up = true,
            _ => spoken.task = None,
        }
    }

    /// Says something about a task.
    pub(crate) fn say(&self, about: &Membership, body: Body) {
        let mut spoken = self.spoken();
        let connected = spoken.connection.is_some();
        let Some(task) = spoken.task.as_mut().filter(|task| task.part == *about && task.end.is_none()) else {
            return;
        };
        let is_end = matches!(body, Body::TaskDone(_) | Body::TaskFailed(_));
        if is_end && task.given_up {
            spoken.task = None;
            spoken.send(about.generation, Body::Idle(Idle {}));
            return;
        }
        task.remember(&body, connected);
        spoken.send(about.generation, body);
    }

    /// The training whose state it has in memory from now on.
    pub(crate) fn has_state_of(&self, training: Option<Membership>) {
        self.spoken().state = training;
    }

    /// It is ready for a training, or why it is not. Who misses it asks again.
    pub(crate) fn ready(&self, ready: Ready) {
        self.spoken().send(0, Body::Ready(ready));
    }

    /// Refuses a task.
    pub(crate) fn refuse(&self, generation: u64, failed: TaskFailed) {
        self.spoken().send(generation, Body::TaskFailed(failed));
    }

    /// Says that this worker is alive.
    pub(crate) fn heartbeat(&self) {
        let mut spoken = self.spoken();
        let generation = spoken.task.as_ref().map_or(0, |task| task.part.generation);
        spoken.send(generation, Body::Heartbeat(Heartbeat {}));
    }

    /// Says that this worker takes no more tasks; on every connection from now on.
    pub(crate) fn leave(&self) {
        let mut spoken = self.spoken();
        spoken.leaving = true;
        let generation = spoken.task.as_ref().map_or(0, |task| task.part.generation);
        spoken.send(generation, Body::Leaving(Leaving {}));
    }
}

impl Spoken {
    fn send(&mut self, generation: u64, body: Body) {
        let can_be_dropped = matches!(
            body,
            Body::Heartbeat(_) | Body::Progress(_) | Body::Pace(_) | Body::CheckpointDelayed(_)
        );
        let Some(connection) = &self.connection else { return };
        match connection.try_send(from_worker(generation, body)) {
            Ok(()) => {}
            // What matters is said again on the next connection.
            Err(TrySendError::Full(_)) if can_be_dropped => {}
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => self.connection = None,
        }
    }
}
