//! Which job gets workers when: whole scenarios. The rules themselves are tested in `queue`.

use std::time::Duration;

use super::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_job_begins_as_soon_as_its_fewest_workers_are_there() {
    let mut world = World::new(1);
    world.submit(job("a", 2, 4));
    assert_eq!(world.job("a").reason, "needs 2 workers; the pool has 1");
    world.join("w2", Device::Cpu);
    assert_eq!(world.members("a"), ["w1", "w2"]);
}

#[test]
fn every_member_is_told_its_rank_and_lanes() {
    let world = World::training(3);
    let said = (1..=3).map(|worker| match &world.told(&format!("w{worker}"))[..] {
        [Order::Assign(a)] => (a.rank.0, a.world, a.lanes.clone()),
        told => panic!("{told:?}"),
    });
    assert_eq!(said.collect::<Vec<_>>(), [(0, 3, 0..3), (1, 3, 3..6), (2, 3, 6..8)]);
}

#[test]
fn ranks_are_in_the_order_of_numbers_in_names() {
    let mut world = World::new(0);
    ["w10", "w9", "w11"].iter().for_each(|worker| world.join(worker, Device::Cpu));
    world.submit(job("a", 3, 3));
    assert_eq!(world.members("a"), ["w9", "w10", "w11"]);
}

#[test]
fn a_job_comes_back_to_the_workers_that_know_it() {
    let mut world = World::new(0);
    world.join("w5", Device::Cpu);
    world.submit(job("a", 1, 1));
    world.join("w1", Device::Cpu);
    world.say("w5", trained(false));
    assert_eq!(world.members("a"), ["w5"]);
}

#[test]
fn a_more_important_job_gets_the_workers_of_a_less_important_one_after_a_checkpoint() {
    let mut world = World::training(2);
    world.submit(Request { priority: 1, ..job("b", 1, 2) });
    assert_eq!(world.told("w1"), [stop()]);
    assert_eq!(world.job("b").reason, "waiting for workers of a, which writes a checkpoint first");
    world.all_say(&["w1", "w2"], &trained(true));
    assert_eq!(world.members("b"), ["w1", "w2"]);
    let job = world.job("a");
    assert_eq!((job.phase, job.reason.as_str()), (Phase::Pending, "preempted by b (priority 1 over 0)"));
    world.pass(SECOND * 4, &[]);
    assert_eq!(world.job("a").reason, "waiting for 2 more workers");
}

#[test]
fn a_job_of_the_same_priority_gets_what_others_can_spare() {
    let mut world = World::new(4);
    world.submit(job("a", 1, 4));
    world.submit(job("b", 2, 4));
    world.all_say(&["w1", "w2", "w3", "w4"], &trained(true));
    assert_eq!((world.members("a").len(), world.members("b").len()), (2, 2));
}

#[test]
fn moving_a_job_up_the_queue_preempts() {
    let mut world = World::training(1);
    world.submit(job("b", 1, 1));
    assert_eq!(world.attempt("a").ending, None);
    world.ask(Verb::Prioritise("b".into(), 1)).unwrap();
    assert_eq!(world.told("w1"), [stop()]);
}

#[test]
fn a_large_job_that_is_out_of_patience_is_not_starved_by_small_ones() {
    let mut world = World::training(1);
    world.join("w2", Device::Cpu);
    world.submit(job("large", 2, 2));
    world.submit(job("small-1", 1, 1));
    assert_eq!(world.members("small-1"), ["w2"], "it goes ahead at first");
    world.pass(Policy::default().patience + SECOND, &[]);
    world.say("w2", trained(false));
    world.submit(job("small-2", 1, 1));
    assert_eq!(world.job("small-1").phase, Phase::Pending);
    assert_eq!(world.job("small-2").phase, Phase::Pending);
    world.pass(SECOND * 4, &[]);
    assert_eq!(world.job("large").reason, "waiting for 1 more worker; free ones are held for it");
    world.say("w1", trained(false));
    assert_eq!(world.job("a").phase, Phase::Evaluating, "it was there first");
    world.say("w1", evaluated());
    assert_eq!(world.members("large"), ["w1", "w2"]);
}

#[test]
fn a_running_job_grows_when_its_size_has_settled() {
    let mut world = World::new(1);
    world.submit(job("a", 1, 3));
    world.join("w2", Device::Cpu);
    assert!(
        matches!(&world.told("w2")[..], [Order::GetReady(a)] if a.job == "a".into() && a.lanes.is_empty())
    );
    world.got_ready("w2", "a", None);
    world.pass(Policy::default().settle - SECOND, &[]);
    assert_eq!(world.attempt("a").ending, None);
    world.pass(SECOND, &[]);
    assert_eq!(world.attempt("a").ending.as_ref().unwrap().reason, "growing from 1 to 2 workers");
    assert_eq!(world.told("w1"), [stop_and_keep()], "w1 tells w2 all it knows");
    world.say("w1", trained(true));
    assert_eq!(world.members("a"), ["w1", "w2"]);
}

#[test]
fn two_jobs_do_not_stop_for_the_same_free_workers() {
    let mut world = World::new(2);
    world.submit(job("a", 1, 2));
    world.submit(job("b", 1, 2));
    world.say("w2", trained(true));
    world.say("w1", trained(true));
    world.join("w3", Device::Cpu);
    world.got_ready("w3", "a", None);
    world.pass(Policy::default().settle * 2, &[]);
    let ending = |name: &str| world.attempt(name).ending.is_some();
    assert_eq!((ending("a"), ending("b")), (true, false));
}

#[test]
fn what_a_job_waits_for_is_not_written_down_with_every_worker_that_comes() {
    let mut world = World::new(1);
    world.submit(job("a", 8, 8));
    world.join("w2", Device::Cpu);
    assert_eq!(world.said, []);
    world.pass(SECOND * 4, &[]);
    assert_eq!(world.job("a").reason, "needs 8 workers; the pool has 2");
}

#[test]
fn who_waits_before_a_job() {
    let mut world = World::new(0);
    world.submit(job("a", 1, 1));
    world.submit(Request { priority: 1, ..job("b", 1, 1) });
    world.submit(job("c", 1, 1));
    let ahead: Vec<String> = world.state.ahead_of(&"c".into()).iter().map(ToString::to_string).collect();
    assert_eq!(ahead, ["b", "a"]);
}
