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

use std::{
    collections::{BTreeMap, VecDeque},
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

/// Messages on their way to a coordinator at a time. One that lets so many pile up does not listen:
/// it is connected to again, and told what counts from the start.
const IN_FLIGHT: usize = 256;

/// Checkpoints whose parts are said again: the newest, and the one before, which another rank may
/// still be at.
const PARTS: usize = 2;

/// News kept while nobody listens.
const NEWS: usize = 16;

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

/// What was said about the present task.
#[derive(Debug)]
struct Memory {
    part: Membership,
    given_up: bool,
    rendezvous: Option<Body>,
    started: Option<Body>,
    parts: BTreeMap<u64, Body>,
    committed: Option<(u64, Body)>,
    news: VecDeque<Body>,
    end: Option<Body>,
}

impl Memory {
    fn new(part: Membership) -> Memory {
        Memory {
            part,
            given_up: false,
            rendezvous: None,
            started: None,
            parts: BTreeMap::new(),
            committed: None,
            news: VecDeque::new(),
            end: None,
        }
    }

    fn remember(&mut self, body: &Body, heard: bool) {
        match body {
            Body::RendezvousReady(_) => self.rendezvous = Some(body.clone()),
            Body::TrainingStarted(_) => self.started = Some(body.clone()),
            Body::CheckpointPart(part) => {
                self.parts.insert(part.step, body.clone());
                while self.parts.len() > PARTS {
                    self.parts.pop_first();
                }
            }
            Body::CheckpointCommitted(committed) => {
                self.parts.retain(|step, _| *step > committed.step);
                self.committed = Some((committed.step, body.clone()));
            }
            Body::CheckpointFailed(failed) => {
                self.parts.remove(&failed.step);
                self.keep_news(body, heard);
            }
            Body::Validated(_) => self.keep_news(body, heard),
            Body::TaskDone(_) | Body::TaskFailed(_) => self.end = Some(body.clone()),
            // Said again by itself.
            Body::Progress(_)
            | Body::CheckpointDelayed(_)
            | Body::Pace(_)
            | Body::Heartbeat(_)
            | Body::Register(_)
            | Body::Leaving(_)
            | Body::Ready(_)
            | Body::Idle(_) => {}
        }
    }

    fn keep_news(&mut self, body: &Body, heard: bool) {
        if !heard {
            self.news.push_back(body.clone());
            while self.news.len() > NEWS {
                self.news.pop_front();
            }
        }
    }

    /// What a coordinator that knows nothing of the task must be told. News are told once.
    fn again(&mut self) -> Vec<Body> {
        let mut all: Vec<Body> = Vec::new();
        all.extend(self.rendezvous.clone());
        all.extend(self.started.clone());
        all.extend(self.parts.values().cloned());
        all.extend(self.committed.clone().map(|(_, body)| body));
        all.extend(self.news.drain(..));
        all.extend(self.end.clone());
        all
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use twinspire_proto::v1::{
        CheckpointCommitted, CheckpointFailed, CheckpointPart, Progress, RendezvousReady, TaskDone,
        TrainingStarted, Validated,
    };

    use super::*;

    fn part(job: &str, generation: u64) -> Membership {
        Membership { job: job.into(), generation }
    }

    fn open(voice: &Voice) -> mpsc::Receiver<WorkerMessage> {
        let messages = voice.open(|running, state| Register { running, state, ..Register::default() });
        voice.answered();
        messages
    }

    fn heard(messages: &mut mpsc::Receiver<WorkerMessage>) -> Vec<String> {
        std::iter::from_fn(|| messages.try_recv().ok())
            .map(|message| {
                let what = match message.body.unwrap() {
                    Body::Register(register) => match register.running {
                        Some(part) => format!("register with {}/{}", part.job, part.generation),
                        None => "register".into(),
                    },
                    Body::Heartbeat(_) => "heartbeat".into(),
                    Body::Progress(_) => "progress".into(),
                    Body::Pace(_) => "pace".into(),
                    Body::RendezvousReady(_) => "rendezvous".into(),
                    Body::TrainingStarted(_) => "started".into(),
                    Body::CheckpointPart(part) => format!("part {}", part.step),
                    Body::CheckpointCommitted(committed) => format!("committed {}", committed.step),
                    Body::CheckpointDelayed(delayed) => format!("delayed {}", delayed.step),
                    Body::CheckpointFailed(failed) => format!("unwritten {}", failed.step),
                    Body::Validated(validated) => format!("validated {}", validated.step),
                    Body::TaskDone(_) => "done".into(),
                    Body::TaskFailed(_) => "failed".into(),
                    Body::Leaving(_) => "leaving".into(),
                    Body::Idle(_) => "idle".into(),
                    Body::Ready(_) => "ready".into(),
                };
                format!("{}: {what}", message.generation)
            })
            .collect()
    }

    fn written(step: u64) -> Body {
        Body::CheckpointPart(CheckpointPart { step, part_json: String::new() })
    }

    fn committed(step: u64) -> Body {
        Body::CheckpointCommitted(CheckpointCommitted { step })
    }

    fn unwritten(step: u64) -> Body {
        Body::CheckpointFailed(CheckpointFailed { step, message: String::new() })
    }

    fn validated(step: u64) -> Body {
        Body::Validated(Validated { step, ..Validated::default() })
    }

    fn done() -> Body {
        Body::TaskDone(TaskDone::default())
    }

    #[test]
    fn a_new_connection_hears_who_it_is_and_all_that_counts_of_the_task() {
        let voice = Voice::new();
        let task = part("ranker", 3);
        voice.begin(task.clone());
        let mut first = open(&voice);
        assert_eq!(heard(&mut first), ["0: register with ranker/3"]);
        voice.say(&task, Body::RendezvousReady(RendezvousReady::default()));
        voice.say(&task, Body::TrainingStarted(TrainingStarted::default()));
        voice.say(&task, Body::Progress(Progress::default()));
        for step in [10, 20, 30] {
            voice.say(&task, written(step));
        }
        voice.say(&task, committed(10));
        assert_eq!(heard(&mut first).len(), 7);
        let mut second = open(&voice);
        let again = ["rendezvous", "started", "part 20", "part 30", "committed 10"];
        let again: Vec<String> = again.iter().map(|what| format!("3: {what}")).collect();
        assert_eq!(heard(&mut second)[1..], again);
        voice.say(&task, done());
        assert_eq!(heard(&mut second), ["3: done"]);
        assert_eq!(heard(&mut open(&voice)).last().unwrap(), "3: done", "until another is assigned");
        voice.begin(part("another", 1));
        assert_eq!(heard(&mut open(&voice)), ["0: register with another/1"]);
    }

    #[test]
    fn a_checkpoint_that_failed_is_not_offered_again() {
        let voice = Voice::new();
        let task = part("ranker", 1);
        voice.begin(task.clone());
        voice.say(&task, written(10));
        voice.say(&task, written(20));
        voice.say(&task, unwritten(10));
        assert_eq!(heard(&mut open(&voice)), ["0: register with ranker/1", "1: part 20", "1: unwritten 10"]);
        assert_eq!(heard(&mut open(&voice)).len(), 2, "news are told once");
    }

    #[test]
    fn while_nobody_listens_only_the_latest_news_are_kept() {
        let voice = Voice::new();
        let task = part("ranker", 1);
        voice.begin(task.clone());
        for step in 0..1000 {
            voice.say(&task, Body::Progress(Progress::default()));
            voice.say(&task, validated(step));
            voice.heartbeat();
        }
        let heard = heard(&mut open(&voice));
        assert_eq!(heard.len(), 1 + NEWS);
        assert_eq!(heard.last().unwrap(), "1: validated 999");
    }

    #[test]
    fn nothing_is_said_of_a_task_that_is_over_or_not_had() {
        let voice = Voice::new();
        let (old, new) = (part("ranker", 1), part("other", 1));
        let mut messages = open(&voice);
        voice.begin(old.clone());
        voice.say(&new, written(1));
        voice.say(&old, done());
        voice.say(&old, written(10));
        voice.say(&old, done());
        voice.begin(new);
        voice.say(&old, written(20));
        assert_eq!(heard(&mut messages), ["0: register", "1: done"]);
    }

    #[test]
    fn a_task_given_up_ends_in_idle_whatever_became_of_it() {
        let voice = Voice::new();
        let task = part("ranker", 4);
        let mut messages = open(&voice);
        voice.begin(task.clone());
        voice.give_up();
        assert!(voice.is_busy());
        voice.say(&task, done());
        assert_eq!(heard(&mut messages), ["0: register", "4: idle"]);
        assert_eq!(voice.present(), None);
        assert_eq!(heard(&mut open(&voice)), ["0: register"]);
    }

    #[test]
    fn giving_up_what_is_over_needs_no_more_words() {
        let voice = Voice::new();
        let task = part("ranker", 4);
        let mut messages = open(&voice);
        voice.begin(task.clone());
        voice.say(&task, done());
        voice.give_up();
        assert_eq!(heard(&mut messages), ["0: register", "4: done"]);
        assert_eq!(voice.present(), None);
    }

    #[test]
    fn who_leaves_says_so_on_every_connection() {
        let voice = Voice::new();
        voice.leave();
        assert_eq!(heard(&mut open(&voice)), ["0: register", "0: leaving"]);
        assert_eq!(heard(&mut open(&voice)), ["0: register", "0: leaving"]);
    }

    #[test]
    fn a_coordinator_that_does_not_listen_is_left_and_not_waited_for() {
        let voice = Voice::new();
        let task = part("ranker", 1);
        voice.begin(task.clone());
        let _stuck = open(&voice);
        for _ in 0..10 * IN_FLIGHT {
            voice.heartbeat();
        }
        assert!(!voice.is_choked(), "heartbeats are dropped");
        voice.say(&task, written(10));
        assert!(voice.is_choked());
        assert_eq!(heard(&mut open(&voice)).last().unwrap(), "1: part 10");
    }

    #[tokio::test]
    async fn time_without_a_coordinator_does_not_count() {
        let (voice, span) = (Voice::new(), Duration::from_millis(300));
        let begun = std::time::Instant::now();
        voice.answered();
        let waited = async {
            voice.connected_for(span).await;
            begun.elapsed()
        };
        let interrupted = async {
            tokio::time::sleep(span / 3).await;
            voice.close();
            tokio::time::sleep(span * 2).await;
            voice.answered();
        };
        let (waited, ()) = tokio::join!(waited, interrupted);
        assert!(waited >= span * 3, "{waited:?}");
    }
}
