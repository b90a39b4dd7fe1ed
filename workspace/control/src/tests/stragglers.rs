//! Workers that are slower than the others.

use std::time::Duration;

use super::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

/// A job of 12 lanes on three workers.
fn training(stragglers: Stragglers, min: u32) -> World {
    let mut world = World::new(3);
    world.submit(Request { lanes: 12, stragglers, ..job("a", min, 3) });
    assert_eq!(world.members("a").len(), 3);
    world
}

/// For so many seconds, workers say how long they compute for a lane.
fn pass(world: &mut World, seconds: u32, paces: [f64; 3]) {
    for _ in 0..seconds {
        for (worker, pace) in ["w1", "w2", "w3"].iter().zip(paces) {
            if world.worker(worker).is_some_and(|worker| worker.task.is_some()) {
                world.say(worker, FromWorker::Pace(pace));
            }
        }
        world.pass(SECOND, &[]);
    }
}

fn lanes(world: &World) -> Vec<u32> {
    let attempt = world.attempt("a");
    (0..attempt.members.len() as u32).map(|rank| attempt.lanes_of(Rank(rank), 12).len() as u32).collect()
}

fn is_slow(world: &World, worker: &str) -> bool {
    world.worker(worker).unwrap().slow.is_some()
}

#[test]
fn who_is_persistently_slow_gets_fewer_lanes_and_all_of_them_back_when_it_keeps_pace_again() {
    let mut world = training(Stragglers::FewerLanes, 1);
    pass(&mut world, 14, [10.0, 31.0, 11.0]);
    assert!(!is_slow(&world, "w2"), "that may pass");
    pass(&mut world, 4, [10.0, 31.0, 11.0]);
    assert!(is_slow(&world, "w2"));
    assert!(world.attempt("a").ending.as_ref().is_some_and(|ending| !ending.checkpoint));
    world.all_say(&["w1", "w2", "w3"], &trained(true));
    assert_eq!(lanes(&world), [5, 2, 5]);

    pass(&mut world, 20, [10.0, 31.0, 11.0]);
    assert_eq!(world.attempt("a").ending, None, "it is known, and dealt with");
    pass(&mut world, 20, [10.0, 11.0, 11.0]);
    assert!(!is_slow(&world, "w2"));
    world.all_say(&["w1", "w2", "w3"], &trained(true));
    assert_eq!(lanes(&world), [4, 4, 4]);
}

#[test]
fn what_comes_and_goes_is_nobodys_slowness() {
    let mut world = training(Stragglers::FewerLanes, 1);
    for _ in 0..5 {
        pass(&mut world, 10, [10.0, 40.0, 10.0]);
        pass(&mut world, 5, [10.0, 10.0, 10.0]);
    }
    assert!(!is_slow(&world, "w2"));
    assert_eq!(world.attempt("a").ending, None);
}

#[test]
fn a_slow_worker_may_be_kept_as_it_is() {
    let mut world = training(Stragglers::Keep, 1);
    pass(&mut world, 30, [10.0, 31.0, 11.0]);
    assert!(is_slow(&world, "w2"), "it is said all the same");
    assert_eq!(world.attempt("a").ending, None);
}

#[test]
fn a_slow_worker_is_drained_if_the_job_wants_that_and_has_enough_others() {
    let mut world = training(Stragglers::Drain, 2);
    pass(&mut world, 18, [10.0, 31.0, 11.0]);
    assert!(world.worker("w2").unwrap().drained);
    world.all_say(&["w1", "w2", "w3"], &trained(true));
    assert_eq!(world.members("a"), ["w1", "w3"]);

    let mut world = training(Stragglers::Drain, 3);
    pass(&mut world, 30, [10.0, 31.0, 11.0]);
    assert!(!world.worker("w2").unwrap().drained, "it is needed");
    assert_eq!(world.attempt("a").ending, None);
}

#[test]
fn nobody_is_judged_before_all_have_said_how_fast_they_are() {
    let mut world = training(Stragglers::FewerLanes, 1);
    for _ in 0..30 {
        world.say("w1", FromWorker::Pace(10.0));
        world.say("w2", FromWorker::Pace(100.0));
        world.pass(SECOND, &[]);
    }
    assert!(!is_slow(&world, "w2"));
}
