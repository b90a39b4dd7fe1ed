//! Invariant C, and what a visible checkpoint gives.

use std::time::Duration;

use super::*;
use crate::*;

fn commits(world: &World, worker: &str) -> Vec<(u64, usize)> {
    let commit = |order: Order| match order {
        Order::CommitCheckpoint { step, parts } => Some((step, parts.len())),
        _ => None,
    };
    world.told(worker).into_iter().filter_map(commit).collect()
}

#[test]
fn a_checkpoint_is_committed_by_rank_0_once_every_rank_wrote_its_part() {
    let mut world = World::training(3);
    assert_eq!(world.say("w3", part(100)), []);
    assert_eq!(world.say("w1", part(100)), []);
    world.say("w2", part(100));
    assert_eq!(commits(&world, "w1"), [(100, 3)]);
}

#[test]
fn that_a_checkpoint_is_to_be_committed_is_recorded_before_rank_0_is_told() {
    let mut world = World::training(2);
    world.say("w1", part(100));
    world.say("w2", part(100));
    let recorded = world
        .said
        .iter()
        .position(|command| matches!(command, Command::Record(job) if job.committing == Some(100)));
    let told = world
        .said
        .iter()
        .position(|command| matches!(command, Command::Send { order: Order::CommitCheckpoint { .. }, .. }));
    assert!(recorded.is_some() && recorded < told, "{:?}", world.said);
}

#[test]
fn parts_of_different_steps_make_no_checkpoint() {
    let mut world = World::training(2);
    assert_eq!(world.say("w1", part(100)), []);
    assert_eq!(world.say("w2", part(200)), []);
}

#[test]
fn a_part_that_is_said_twice_counts_once() {
    let mut world = World::training(2);
    world.say("w1", part(100));
    assert_eq!(world.say("w1", part(100)), []);
    world.say("w2", part(100));
    assert_eq!(world.say("w2", part(100)), [], "it was committed already");
}

#[test]
fn parts_of_a_step_that_one_rank_could_not_write_make_no_checkpoint() {
    let mut world = World::training(2);
    world.say("w1", part(100));
    world.say("w2", FromWorker::CheckpointFailed { step: 100, message: "disk full".into() });
    assert_eq!(world.say("w2", part(100)), []);
}

#[test]
fn parts_of_another_generation_do_not_count() {
    let mut world = World::training(2);
    world.say("w1", part(100));
    let before = world.attempt("a").clone();
    world.say_of("w2", Generation(77), part(100));
    assert_eq!(world.attempt("a"), &before);
    assert!(matches!(world.said.as_slice(), [Command::Tell { notice: Notice::Refused { .. }, .. }]));
}

#[test]
fn a_commit_that_may_not_have_reached_rank_0_is_ordered_again_when_it_is_back() {
    let mut world = World::training(2);
    world.say("w1", part(100));
    world.cut("w1");
    world.say("w2", part(100));
    assert_eq!(commits(&world, "w1"), [], "it is cut off");
    world.reconnect("w1", world.task("w1"));
    assert_eq!(commits(&world, "w1"), [(100, 2)]);
    world.say("w1", FromWorker::CheckpointCommitted { step: 100 });
    world.cut("w1");
    world.reconnect("w1", world.task("w1"));
    assert_eq!(commits(&world, "w1"), []);
}

#[test]
fn a_part_lost_with_its_connection_completes_its_step_when_it_is_said_again_after_one_of_an_older_step() {
    let mut world = World::training(2);
    world.say("w1", part(200));
    world.cut("w2");
    world.reconnect("w2", world.task("w2"));
    // It wrote 200 before 100, and only 200 was lost. The newest step is what it says again: were it
    // what was written last, 200 would stay incomplete, and whoever ends with it would never end.
    world.say("w2", part(100));
    assert_eq!(commits(&world, "w1"), []);
    world.say("w2", part(200));
    assert_eq!(commits(&world, "w1"), [(200, 2)]);
}

#[test]
fn a_visible_checkpoint_is_recorded_and_gives_the_retries_back() {
    let mut world = World::training(2);
    world.say("w1", failure(FailureKind::Storage));
    world.say("w2", FromWorker::Idle);
    assert_eq!(world.job("a").retries, 1);
    world.pass(std::time::Duration::from_secs(3), &[]);
    world.say("w1", FromWorker::CheckpointCommitted { step: 100 });
    assert!(matches!(world.said.first(), Some(Command::Record(job)) if job.checkpoint == Some(100)));
    assert_eq!(world.job("a").retries, 0);
}

#[test]
fn an_older_checkpoint_is_no_progress() {
    let mut world = World::training(1);
    world.say("w1", FromWorker::CheckpointCommitted { step: 100 });
    assert_eq!(world.say("w1", FromWorker::CheckpointCommitted { step: 90 }), []);
    assert_eq!(world.say("w1", FromWorker::CheckpointCommitted { step: 100 }), []);
    assert_eq!(world.job("a").checkpoint, Some(100));
}

#[test]
fn a_checkpoint_that_training_resumes_from_is_visible_whoever_heard_of_it() {
    let mut world = World::training(1);
    world.say("w1", FromWorker::Started(Started { step: 60, ..Started::default() }));
    assert_eq!(world.job("a").checkpoint, Some(60));
}

#[test]
fn a_new_generation_is_told_for_how_long_nothing_was_saved() {
    let unsaved = |world: &World| match &world.told("w1")[..] {
        [Order::Assign(assignment)] => assignment.unsaved,
        told => panic!("{told:?}"),
    };
    let mut world = World::new(2);
    world.submit(job("a", 1, 2));
    world.say("w1", started());
    world.pass(Duration::from_secs(20), &[]);
    world.apply(Event::Ended { worker: "w2".into(), why: "killed".into() });
    world.say("w1", FromWorker::Idle);
    assert_eq!(unsaved(&world), Duration::from_secs(20));
    world.say("w1", FromWorker::Started(Started { step: 5, kept: true, ..Started::default() }));
    world.pass(Duration::from_secs(20), &[]);
    world.say("w1", part(10));
    world.say("w1", FromWorker::CheckpointCommitted { step: 10 });
    world.pass(Duration::from_secs(5), &[]);
    world.say("w1", failure(FailureKind::LostPeer));
    assert_eq!(unsaved(&world), Duration::from_secs(5));
}

#[test]
fn what_is_said_again_on_a_new_connection_saves_nothing() {
    let mut world = World::training(1);
    world.say("w1", started());
    world.pass(Duration::from_secs(20), &[]);
    let part = world.task("w1");
    world.reconnect_with("w1", part.clone(), part);
    world.say("w1", started());
    let saved = world.job("a").saved.unwrap();
    assert_eq!(world.now.since(saved), Duration::from_secs(20));
}
