//! What is heard on a connection, and on the next.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use twinspire_proto::v1::{
    CheckpointCommitted, CheckpointFailed, CheckpointPart, Progress, RendezvousReady, TaskDone,
    TrainingStarted, Validated,
};

use super::{memory::NEWS, *};

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
