//! Who is to join gets ready first, while the others train on.

use std::time::Duration;

use super::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// A job on one worker that takes three, and two more that came.
fn growing() -> World {
    let mut world = World::new(1);
    world.submit(job("a", 1, 3));
    world.say("w1", started());
    world.join("w2", Device::Cpu);
    world.join("w3", Device::Cpu);
    world
}

fn has_stopped(world: &World) -> bool {
    world.attempt("a").ending.is_some()
}

fn broken() -> Option<Failure> {
    let (code, message) = ("TW3005".into(), "permission denied".into());
    Some(Failure { code, message, kind: FailureKind::BadInput, worker: None })
}

#[test]
fn training_goes_on_until_newcomers_are_ready() {
    let mut world = growing();
    world.pass(SECOND * 30, &[]);
    assert!(!has_stopped(&world) && world.members("a") == ["w1"]);
    world.got_ready("w2", "a", None);
    world.pass(SECOND, &[]);
    assert!(!has_stopped(&world), "w3 is not");
    world.got_ready("w3", "a", None);
    world.apply(Event::Tick);
    assert_eq!(world.told("w1"), [stop_and_keep()]);
    world.say("w1", trained(true));
    assert_eq!(world.members("a"), ["w1", "w2", "w3"]);
}

#[test]
fn who_takes_longer_than_the_rest_joins_later() {
    let mut world = growing();
    world.got_ready("w3", "a", None);
    world.pass(Policy::default().settle, &[]);
    world.say("w1", trained(true));
    assert_eq!(world.members("a"), ["w1", "w3"]);
    world.say("w1", started());
    world.got_ready("w2", "a", None);
    world.pass(Policy::default().settle, &[]);
    world.all_say(&["w1", "w3"], &trained(true));
    assert_eq!(world.members("a"), ["w1", "w2", "w3"]);
}

#[test]
fn who_cannot_get_ready_costs_the_others_nothing_and_is_asked_again_later() {
    let mut world = growing();
    world.got_ready("w2", "a", None);
    world.pass(SECOND, &[]);
    let told = world.got_ready("w3", "a", broken());
    let says = |command: &Command| {
        matches!(command, Command::Tell { notice: Notice::NotReady { failure }, .. }
            if failure.worker == Some("w3".into()))
    };
    assert!(told.iter().any(says));
    world.pass(Policy::default().settle, &[]);
    world.say("w1", trained(true));
    assert_eq!(world.members("a"), ["w1", "w2"]);
    world.say("w1", started());
    let mut asked = 0;
    for _ in 0..70 {
        world.pass(SECOND, &[]);
        assert!(!has_stopped(&world));
        asked += u32::from(world.worker("w3").is_some_and(|w3| w3.is_asked_to_get_ready()));
    }
    assert!(asked > 0, "what was wrong may be mended");
}

#[test]
fn a_spare_that_is_not_ready_does_not_hold_up_those_who_are_left() {
    let mut world = World::new(2);
    world.submit(job("a", 1, 2));
    world.say("w1", started());
    world.join("w3", Device::Cpu);
    world.cut("w2");
    world.say("w1", failure(FailureKind::LostPeer));
    world.pass(SECOND, &["w2"]);
    assert_eq!(world.members("a"), ["w1"], "w3 knows nothing of it yet");
    assert!(world.worker("w3").is_some_and(|w3| w3.is_asked_to_get_ready()));
}

#[test]
fn a_spare_takes_the_place_of_a_worker_that_is_needed_ready_or_not() {
    let mut world = World::new(2);
    world.submit(job("a", 2, 2));
    world.say("w1", started());
    world.join("w3", Device::Cpu);
    world.cut("w2");
    world.say("w1", failure(FailureKind::LostPeer));
    world.pass(SECOND * 3, &["w2"]);
    assert_eq!(world.members("a"), ["w1", "w3"]);
}

#[test]
fn a_worker_that_connects_again_is_asked_again() {
    let mut world = World::new(1);
    world.submit(job("a", 1, 2));
    world.join("w2", Device::Cpu);
    world.reconnect("w2", None);
    assert!(matches!(world.told("w2")[..], [Order::GetReady(_)]));
}

#[test]
fn what_was_ready_for_a_job_of_that_name_before_is_not_for_this_one() {
    let mut world = World::new(1);
    world.submit(job("a", 1, 2));
    world.join("w2", Device::Cpu);
    let submitted = Time(world.job("a").submitted.0 - 1);
    let ready = FromWorker::Ready { job: "a".into(), submitted, failure: None };
    world.say_of("w2", Generation(0), ready);
    world.pass(Policy::default().settle * 2, &[]);
    assert!(!has_stopped(&world));
}

#[test]
fn who_cannot_get_ready_for_one_job_joins_another() {
    let mut world = World::new(2);
    world.submit(job("a", 1, 2));
    world.submit(job("b", 1, 2));
    // They began when there was one worker for each.
    world.all_say(&["w1", "w2"], &trained(true));
    world.say("w1", started());
    world.say("w2", started());
    world.join("w3", Device::Cpu);
    let asked = |world: &World| match &world.told("w3")[..] {
        [Order::GetReady(assignment)] => Some(assignment.job.to_string()),
        _ => None,
    };
    let first = asked(&world).expect("one of them grows");
    world.got_ready("w3", &first, broken());
    world.apply(Event::Tick);
    let second = asked(&world).expect("the other one grows");
    assert_ne!(first, second);
    world.pass(SECOND * 30, &[]);
    assert!(world.worker("w3").is_some_and(Worker::is_asked_to_get_ready), "it is left at that");
    world.got_ready("w3", &second, None);
    world.apply(Event::Tick);
    assert!(world.attempt(&second).ending.is_some());
}

#[test]
fn who_never_gets_ready_holds_nobody_up() {
    let mut world = World::new(1);
    world.submit(job("a", 1, 2));
    world.say("w1", started());
    world.join("w2", Device::Cpu);
    world.join("w3", Device::Cpu);
    let asked = |world: &World, worker: &str| world.worker(worker).is_some_and(Worker::is_asked_to_get_ready);
    assert!(asked(&world, "w2") && !asked(&world, "w3"));
    world.pass(SECOND * 61, &[]);
    assert!(asked(&world, "w3"));
    world.got_ready("w3", "a", None);
    world.pass(SECOND, &[]);
    assert!(has_stopped(&world));
    world.say("w1", trained(true));
    assert_eq!(world.members("a"), ["w1", "w3"]);
}

#[test]
fn a_job_on_processors_does_not_leave_its_state_for_a_device_that_is_free() {
    let mut world = World::new(1);
    world.submit(Request { device: DeviceWish::Auto, ..job("a", 1, 2) });
    world.say("w1", started());
    world.join("gpu", Device::Cuda);
    world.join("w2", Device::Cpu);
    world.got_ready("w2", "a", None);
    world.pass(Policy::default().settle, &[]);
    world.say("w1", trained(true));
    assert_eq!(world.members("a"), ["w1", "w2"]);
}

#[test]
fn what_a_job_in_a_pause_goes_on_from_is_left_to_it() {
    let mut world = World::new(2);
    world.submit(job("a", 1, 1));
    world.say("w1", started());
    world.submit(job("b", 1, 2));
    world.say("w2", started());
    world.say("w1", failure(FailureKind::Storage));
    world.say("w1", FromWorker::Idle);
    assert_eq!(world.job("a").phase, Phase::Pending, "tried again in a moment");
    world.pass(SECOND, &[]);
    assert!(!world.worker("w1").is_some_and(Worker::is_asked_to_get_ready));
}

#[test]
fn who_was_frozen_and_has_an_older_state_joins_again() {
    let mut world = World::new(2);
    world.submit(job("a", 1, 2));
    world.say("w1", started());
    let had = world.task("w2");
    world.pass(SECOND * 5, &["w2"]);
    world.say("w1", failure(FailureKind::LostPeer));
    assert_eq!(world.members("a"), ["w1"]);
    world.say("w1", started());
    world.reconnect_with("w2", had.clone(), had);
    world.say("w2", FromWorker::Idle);
    world.apply(Event::Tick);
    world.got_ready("w2", "a", None);
    world.pass(Policy::default().settle, &[]);
    world.say("w1", trained(true));
    assert_eq!(world.members("a"), ["w1", "w2"]);
}
