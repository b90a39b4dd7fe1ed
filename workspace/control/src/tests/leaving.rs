//! Workers that leave, and those that fall silent.

use std::time::Duration;

use super::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_frozen_worker_is_lost_after_the_time_its_job_gives_it() {
    let mut world = World::training(2);
    world.pass(SECOND * 3, &["w2"]);
    assert_eq!(world.job("a").phase, Phase::Running);
    world.pass(SECOND, &["w2"]);
    assert_eq!(world.job("a").phase, Phase::Pending);
}

#[test]
fn an_idle_worker_may_be_silent_for_longer() {
    let mut world = World::new(1);
    world.pass(SECOND * 15, &["w1"]);
    assert!(world.worker("w1").is_some());
    world.pass(SECOND, &["w1"]);
    assert_eq!(world.worker("w1"), None);
}

#[test]
fn nobody_is_lost_because_the_coordinator_slept() {
    let mut world = World::training(2);
    world.pass(SECOND, &[]);
    world.cut("w2");
    world.now = world.now + SECOND * 600;
    world.apply(Event::Tick);
    world.pass(SECOND, &["w2"]);
    assert_eq!((world.job("a").phase, world.workers.len()), (Phase::Running, 2));
    world.pass(SECOND, &["w2"]);
    assert_eq!(world.worker("w2"), None, "it has had its time");
}

#[test]
fn a_worker_that_leaves_finishes_its_step_and_is_let_go() {
    let mut world = World::training(2);
    world.join("w3", Device::Cpu);
    world.say("w2", FromWorker::Leaving);
    assert_eq!((world.told("w1"), world.told("w2")), (vec![stop_and_keep()], vec![stop_and_keep()]));
    assert_eq!(world.say("w2", FromWorker::Leaving), [], "it is known");
    world.all_say(&["w1", "w2"], &trained(true));
    assert_eq!(world.told("w2"), [Order::Shutdown]);
    assert_eq!(world.worker("w2"), None);
    assert_eq!((world.members("a"), world.job("a").retries), (vec!["w1".into(), "w3".into()], 0));
}

#[test]
fn a_checkpoint_is_written_when_those_that_stay_are_too_few_to_go_on() {
    let mut world = World::training(2);
    world.say("w2", FromWorker::Leaving);
    assert_eq!((world.told("w1"), world.told("w2")), (vec![stop()], vec![stop()]));
    let mut alone = World::training(1);
    alone.join("w2", Device::Cpu);
    alone.say("w1", FromWorker::Leaving);
    assert_eq!(alone.told("w1"), [stop()], "nobody would have its state");
}

#[test]
fn when_one_after_the_other_leaves_a_checkpoint_is_written_before_nobody_is_left() {
    let mut world = World::new(3);
    world.submit(job("a", 1, 3));
    world.say("w1", FromWorker::Leaving);
    assert_eq!(world.told("w3"), [stop_and_keep()]);
    world.say("w2", FromWorker::Leaving);
    assert_eq!(world.told("w3"), [], "w3 has its state");
    world.say("w3", FromWorker::Leaving);
    assert_eq!((world.told("w1"), world.told("w3")), (vec![stop()], vec![stop()]));
}

#[test]
fn a_job_that_is_paused_while_it_grows_writes_a_checkpoint() {
    let mut world = World::new(1);
    world.submit(job("a", 1, 2));
    world.join("w2", Device::Cpu);
    world.got_ready("w2", "a", None);
    world.pass(Policy::default().settle, &[]);
    assert!(world.attempt("a").ending.as_ref().is_some_and(|ending| !ending.checkpoint));
    world.ask(Verb::Pause("a".into())).unwrap();
    assert_eq!(world.told("w1"), [stop()]);
}

#[test]
fn a_job_that_others_may_take_the_workers_of_while_it_grows_writes_a_checkpoint() {
    let mut world = World::new(1);
    world.submit(job("a", 1, 2));
    world.join("w2", Device::Cpu);
    world.got_ready("w2", "a", None);
    world.pass(Policy::default().settle, &[]);
    world.submit(Request { priority: 5, ..job("b", 2, 2) });
    assert_eq!(world.told("w1"), [stop()]);
    world.say("w1", trained(true));
    assert_eq!(world.members("b"), ["w1", "w2"]);
}

#[test]
fn a_worker_that_leaves_is_still_leaving_when_it_connects_again() {
    let mut world = World::training(1);
    world.say("w1", FromWorker::Leaving);
    world.cut("w1");
    world.reconnect("w1", world.task("w1"));
    assert_eq!(world.told("w1"), [stop()]);
    world.say("w1", trained(true));
    assert_eq!(world.told("w1"), [Order::Shutdown]);
}

#[test]
fn an_idle_worker_that_leaves_is_let_go_at_once() {
    let mut world = World::new(1);
    world.say("w1", FromWorker::Leaving);
    assert_eq!(world.told("w1"), [Order::Shutdown]);
    assert_eq!(world.worker("w1"), None);
}

#[test]
fn a_stage_without_checkpoints_begins_again_elsewhere_when_its_worker_leaves() {
    let mut world = World::new(2);
    world.submit(Request { plan: vec![PREPARE], ..job("a", 1, 1) });
    world.say("w1", FromWorker::Leaving);
    assert_eq!(world.told("w1"), [Order::Abort]);
    assert_eq!((world.members("a"), world.job("a").retries), (vec!["w2".into()], 0));
    world.say("w1", FromWorker::Idle);
    assert_eq!(world.told("w1"), [Order::Shutdown]);
}

#[test]
fn a_process_that_wakes_up_after_another_took_its_name_is_shut_down() {
    let mut world = World::new(1);
    let sleeper = world.workers["w1"];
    world.join("w1", Device::Cpu);
    let successor = world.workers["w1"];
    world.workers.insert("w1".into(), sleeper);
    world.reconnect("w1", None);
    assert_eq!(world.told("w1"), [Order::Replaced]);
    assert!(world.dismissed(world.session("w1")));
    assert_eq!(world.worker("w1").unwrap().incarnation, successor.1);
}
