//! Invariant F: a coordinator that goes on where another one ended.

use std::time::Duration;

use super::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn workers_that_come_back_go_on_in_their_generation() {
    let mut world = World::training(2);
    let tasks = (world.task("w1"), world.task("w2"));
    world.change_coordinators();
    world.reconnect("w1", tasks.0);
    world.pass(SECOND * 10, &["w2"]);
    world.reconnect("w2", tasks.1);
    assert_eq!((world.told("w1"), world.told("w2")), (vec![], vec![]));
    world.pass(SECOND * 30, &[]);
    assert_eq!((world.job("a").phase, world.job("a").retries), (Phase::Running, 0));
    assert_eq!(world.attempt("a").generation, Generation(1));
}

#[test]
fn a_member_that_does_not_come_back_is_lost() {
    let mut world = World::training(2);
    let task = world.task("w1");
    world.change_coordinators();
    world.reconnect("w1", task);
    world.pass(Policy::default().adopt, &["w2"]);
    assert_eq!(world.told("w1"), [Order::Abort]);
    let failure = world.retried().expect("it is tried again");
    assert_eq!(failure.message, "w2 is gone: it did not come back to this coordinator");
}

#[test]
fn a_member_whose_process_was_started_again_meanwhile_is_lost_at_once() {
    let mut world = World::training(2);
    let task = world.task("w1");
    world.change_coordinators();
    world.reconnect("w1", task);
    world.join("w2", Device::Cpu);
    assert_eq!((world.job("a").phase, world.task("w2")), (Phase::Pending, None));
}

#[test]
fn a_member_that_is_seen_to_end_before_it_came_back_is_lost_at_once() {
    let mut world = World::training(1);
    world.change_coordinators();
    world.apply(Event::Ended { worker: "w1".into(), why: "exit status 1".into() });
    assert_eq!((world.job("a").phase, world.job("a").retries), (Phase::Pending, 1));
}

#[test]
fn an_assignment_that_died_with_the_coordinator_is_sent_again() {
    let mut world = World::training(2);
    world.change_coordinators();
    world.reconnect("w2", None);
    assert!(matches!(&world.told("w2")[..], [Order::Assign(a)] if a.rank == Rank(1)));
}

#[test]
fn an_attempt_that_was_ending_still_is() {
    let mut world = World::training(2);
    let task = world.task("w1");
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.change_coordinators();
    world.reconnect("w1", task);
    assert_eq!(world.told("w1"), [stop()]);
    world.reconnect("w2", None);
    assert!(matches!(&world.told("w2")[..], [Order::Assign(_), Order::StopAfterStep { .. }]));
}

#[test]
fn what_workers_said_before_they_say_again() {
    let mut world = World::training(2);
    world.all_say(&["w1", "w2"], &part(100));
    world.say("w1", trained(false));
    let tasks = (world.task("w1"), world.task("w2"));
    world.change_coordinators();
    world.reconnect("w1", tasks.0);
    world.reconnect("w2", tasks.1);
    world.say("w2", part(100));
    world.say("w1", part(100));
    assert!(
        matches!(&world.told("w1")[..], [Order::CommitCheckpoint { step: 100, parts }] if parts.len() == 2)
    );
    world.all_say(&["w1", "w2"], &trained(false));
    assert_eq!(world.job("a").phase, Phase::Evaluating);
}

#[test]
fn a_task_that_another_coordinator_gave_up_is_aborted() {
    let mut world = World::training(1);
    let task = world.task("w1");
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.change_coordinators();
    world.reconnect("w1", task);
    assert_eq!(world.told("w1"), [Order::Abort]);
}

#[test]
fn a_job_is_neither_preempted_nor_grown_before_its_workers_are_back() {
    let mut world = World::training(1);
    world.change_coordinators();
    world.submit(Request { priority: 5, ..job("b", 1, 1) });
    assert_eq!(world.attempt("a").ending, None);
}

#[test]
fn records_come_before_everything_else() {
    let mut world = World::new(2);
    world.ask(Verb::Submit(Box::new(job("a", 2, 2)))).unwrap();
    let is_record = |command: &Command| {
        matches!(command, Command::Record(_) | Command::Forget(_) | Command::RecordPool(_))
    };
    let others = world.said.iter().position(|command| !is_record(command)).unwrap();
    assert!(others > 0);
    assert!(world.said[others..].iter().all(|command| !is_record(command)));
}

#[test]
fn whoever_gives_workers_back_is_recorded_before_whoever_takes_them() {
    let mut world = World::new(1);
    world.submit(job("z", 1, 1));
    world.submit(Request { priority: 1, ..job("a", 1, 1) });
    world.say("w1", trained(true));
    let records = world.said.iter().filter_map(|command| match command {
        Command::Record(job) => Some((job.name().as_str(), job.attempt.is_some())),
        _ => None,
    });
    assert_eq!(records.collect::<Vec<_>>(), [("z", false), ("a", true)]);
}

#[test]
fn a_clock_that_was_set_back_makes_nobody_wait() {
    let mut world = World::training(1);
    let task = world.task("w1");
    world.submit(job("b", 1, 1));
    world.now = Time(5);
    world.change_coordinators();
    world.reconnect("w1", task);
    world.pass(SECOND, &[]);
    world.say("w1", trained(false));
    world.say("w1", evaluated());
    assert_eq!(world.job("b").phase, Phase::Running);
}
