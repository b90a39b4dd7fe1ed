//! The failure policy, and who is to blame.

use std::time::Duration;

use super::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// Everybody who still has a task that was given up lets go of it.
fn let_go(world: &mut World) {
    for worker in world.workers.keys().cloned().collect::<Vec<_>>() {
        if world.worker(&worker).is_some_and(|worker| worker.returning) {
            world.say(&worker, FromWorker::Idle);
        }
    }
}

#[test]
fn a_lost_worker_is_replaced_in_a_new_generation() {
    let mut world = World::training(2);
    world.join("w3", Device::Cpu);
    world.apply(Event::Ended { worker: "w2".into(), why: "killed by signal 9".into() });
    assert_eq!(world.told("w1"), [Order::Abort]);
    assert_eq!(world.job("a").phase, Phase::Pending);
    let_go(&mut world);
    assert_eq!(world.members("a"), ["w1", "w3"]);
    assert_eq!(world.attempt("a").generation, Generation(2));
}

#[test]
fn survivors_are_not_used_before_they_have_let_go() {
    let mut world = World::training(2);
    world.join("w3", Device::Cpu);
    world.join("w4", Device::Cpu);
    world.apply(Event::Ended { worker: "w2".into(), why: "killed".into() });
    world.pass(SECOND * 11, &[]);
    assert_eq!(world.members("a"), ["w3", "w4"]);
    assert!(world.worker("w1").unwrap().returning);
    world.submit(job("b", 1, 1));
    assert_eq!(world.job("b").phase, Phase::Pending);
    let_go(&mut world);
    assert_eq!(world.members("b"), ["w1"]);
}

#[test]
fn a_worker_that_crashes_keeps_its_place_and_training_goes_on() {
    let mut world = World::training(2);
    world.say("w1", failure(FailureKind::LostPeer));
    world.say("w2", failure(FailureKind::Crash));
    assert_eq!((world.job("a").phase, world.job("a").retries), (Phase::Running, 1));
    assert_eq!(world.members("a"), ["w1", "w2"]);
}

#[test]
fn survivors_who_have_the_state_are_waited_for_a_moment_though_others_are_free() {
    let mut world = World::training(2);
    world.say("w1", started());
    world.join("w3", Device::Cpu);
    world.join("w4", Device::Cpu);
    world.apply(Event::Ended { worker: "w2".into(), why: "killed".into() });
    assert_eq!(world.job("a").phase, Phase::Pending);
    let_go(&mut world);
    assert_eq!(world.members("a"), ["w1", "w3"]);
}

/// The job loses its member that is not w1, has another one to take its place, and goes on from memory.
fn loses_another(world: &mut World, spare: &str, step: u64) {
    world.join(spare, Device::Cpu);
    let gone = world.members("a").into_iter().find(|member| member != "w1").unwrap();
    world.apply(Event::Ended { worker: gone.as_str().into(), why: "killed".into() });
    let_go(world);
    world.pass(SECOND * 10, &[]);
    if world.job("a").phase == Phase::Running {
        world.say("w1", FromWorker::Started(Started { step, kept: true, ..Started::default() }));
    }
}

#[test]
fn more_steps_than_ever_in_memory_give_the_retries_back() {
    let mut world = World::training(2);
    for round in 1..20 {
        loses_another(&mut world, &format!("spare{round}"), round * 10);
        assert_eq!((world.job("a").phase, world.job("a").retries), (Phase::Running, 0), "round {round}");
        assert_eq!(world.job("a").checkpoint, None, "what is in memory is no checkpoint");
    }
    for life in 20..30 {
        if world.job("a").phase == Phase::Running {
            loses_another(&mut world, &format!("spare{life}"), 190);
        }
    }
    assert_eq!(world.job("a").phase, Phase::Failed, "the same step again and again is no progress");
}

#[test]
fn a_job_shrinks_to_those_who_are_left_once_all_of_them_have_let_go() {
    let mut world = World::new(4);
    world.submit(job("a", 1, 4));
    world.apply(Event::Ended { worker: "w4".into(), why: "killed".into() });
    world.say("w2", FromWorker::Idle);
    assert_eq!(world.job("a").phase, Phase::Pending, "w1 and w3 are on their way");
    world.say("w3", FromWorker::Idle);
    world.say("w1", FromWorker::Idle);
    assert_eq!(world.members("a"), ["w1", "w2", "w3"]);
}

#[test]
fn who_does_not_let_go_in_time_is_not_waited_for() {
    let mut world = World::new(3);
    world.submit(job("a", 1, 3));
    world.apply(Event::Ended { worker: "w3".into(), why: "killed".into() });
    world.say("w2", FromWorker::Idle);
    world.pass(Policy::default().reconnect, &[]);
    assert_eq!(world.members("a"), ["w2"]);
}

#[test]
fn a_job_whose_workers_keep_dying_without_getting_further_fails_and_says_why() {
    let mut world = World::training(1);
    let mut starts = 1;
    for life in 0.. {
        world.apply(Event::Ended { worker: "w1".into(), why: "killed by signal 9".into() });
        world.join("w1", Device::Cpu);
        world.pass(SECOND * 10, &[]);
        if world.job("a").phase == Phase::Failed {
            break;
        }
        starts += 1;
        assert!(life < 10);
    }
    assert_eq!(starts, 4, "1 start and 3 retries");
    let failure = world.job("a").failure.as_ref().unwrap();
    assert!(failure.message.contains("w1 is gone: killed by signal 9 (tried 4 times"), "{failure:?}");
}

#[test]
fn a_newer_checkpoint_gives_the_retries_back() {
    let mut world = World::training(1);
    for round in 1..20 {
        world.say("w1", FromWorker::CheckpointCommitted { step: round * 100 });
        world.join("w1", Device::Cpu);
        assert_eq!(world.job("a").phase, Phase::Running, "round {round}");
    }
}

#[test]
fn bad_input_and_wrong_programs_fail_the_job_at_once_with_their_code_and_worker() {
    for kind in [FailureKind::BadInput, FailureKind::Internal] {
        let mut world = World::training(2);
        world.say("w2", failure(kind));
        let job = world.job("a");
        assert_eq!(job.phase, Phase::Failed);
        let failure = job.failure.as_ref().unwrap();
        assert_eq!((failure.code.as_str(), failure.kind), ("TW4001", kind));
        assert_eq!(failure.worker, Some("w2".into()));
        assert_eq!(world.told("w1"), [Order::Abort]);
        assert_eq!(world.task("w2"), None, "it has said so itself");
    }
}

#[test]
fn storage_is_tried_again_after_longer_and_longer_pauses() {
    let mut world = World::training(1);
    for seconds in [2, 4, 8] {
        world.say("w1", failure(FailureKind::Storage));
        world.pass(SECOND * seconds - SECOND / 5, &[]);
        assert_eq!(world.job("a").phase, Phase::Pending);
        world.pass(SECOND / 5, &[]);
        assert_eq!(world.job("a").phase, Phase::Running);
    }
    world.say("w1", failure(FailureKind::Storage));
    assert_eq!(world.job("a").phase, Phase::Failed);
}

#[test]
fn a_finished_stage_gives_the_retries_back() {
    let mut world = World::training(1);
    world.say("w1", failure(FailureKind::Storage));
    world.pass(SECOND * 3, &[]);
    world.say("w1", trained(false));
    assert_eq!((world.job("a").phase, world.job("a").retries), (Phase::Evaluating, 0));
}

#[test]
fn who_lost_a_peer_waits_for_the_peer_to_say_why() {
    let mut world = World::training(3);
    world.say("w1", failure(FailureKind::LostPeer));
    world.say("w3", failure(FailureKind::LostPeer));
    assert_eq!(world.job("a").phase, Phase::Running);
    world.say("w2", failure(FailureKind::BadInput));
    assert_eq!(world.job("a").failure.as_ref().unwrap().worker, Some("w2".into()));
}

#[test]
fn a_worker_that_its_peers_miss_is_lost_as_soon_as_its_connection_is() {
    let mut world = World::training(2);
    world.say("w1", failure(FailureKind::LostPeer));
    world.cut("w2");
    assert_eq!(world.worker("w2"), None);
    assert_eq!(world.retried().unwrap().worker, Some("w2".into()));
}

#[test]
fn a_worker_that_is_cut_off_is_lost_as_soon_as_its_peers_miss_it() {
    let mut world = World::training(2);
    world.cut("w2");
    assert_eq!(world.job("a").phase, Phase::Running);
    world.say("w1", failure(FailureKind::LostPeer));
    assert_eq!(world.worker("w2"), None);
    assert_eq!(world.retried().unwrap().worker, Some("w2".into()));
}

#[test]
fn when_nobody_says_why_a_peer_was_lost_the_job_starts_again() {
    let mut world = World::training(2);
    world.say("w1", failure(FailureKind::LostPeer));
    world.pass(SECOND, &[]);
    assert_eq!(world.told("w2"), [Order::Abort]);
    assert_eq!(world.job("a").phase, Phase::Pending);
}

#[test]
fn when_everybody_lost_somebody_nobody_is_waited_for() {
    let mut world = World::training(2);
    world.say("w1", failure(FailureKind::LostPeer));
    world.say("w2", failure(FailureKind::LostPeer));
    assert_eq!(world.attempt("a").generation, Generation(2));
}

#[test]
fn a_worker_that_lets_go_unasked_is_free_and_its_job_starts_again() {
    let mut world = World::training(1);
    world.say("w1", FromWorker::Idle);
    assert_eq!((world.job("a").retries, world.attempt("a").generation), (1, Generation(2)));
}

#[test]
fn a_job_that_was_to_stop_anyway_is_not_tried_again() {
    let mut world = World::training(1);
    world.ask(Verb::Pause("a".into())).unwrap();
    world.say("w1", failure(FailureKind::LostPeer));
    assert_eq!((world.job("a").phase, world.job("a").retries), (Phase::Paused, 0));
}

#[test]
fn who_stops_a_job_hears_that_what_it_trained_could_not_be_saved() {
    let mut world = World::training(1);
    world.say("w1", started());
    world.ask(Verb::Pause("a".into())).unwrap();
    world.say("w1", failure(FailureKind::Storage));
    let job = world.job("a");
    assert_eq!(job.phase, Phase::Paused);
    let said = "paused; there is no checkpoint yet; what was trained since could not be saved: it broke";
    assert_eq!(job.reason, said);
}
