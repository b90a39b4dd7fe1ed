//! Workers that are to get no more tasks.

use super::*;
use crate::*;

#[test]
fn a_drained_worker_gets_no_tasks_until_somebody_wants_it_to() {
    let mut world = World::new(1);
    assert_eq!(world.ask(Verb::Drain("w1".into())), Ok(Answer::Done));
    assert_eq!(world.ask(Verb::Drain("w1".into())), Ok(Answer::Already));
    world.submit(job("a", 1, 1));
    assert_eq!(world.job("a").reason, "needs 1 worker; the pool has 0");
    world.change_coordinators();
    world.join("w1", Device::Cpu);
    assert_eq!(world.job("a").phase, Phase::Pending);
    assert_eq!(world.ask(Verb::Undrain("w1".into())), Ok(Answer::Done));
    assert_eq!(world.job("a").phase, Phase::Running);
    assert_eq!(world.ask(Verb::Undrain("w1".into())), Ok(Answer::Already));
    let nobody = || Err(Refusal::NoWorker("w9".into()));
    assert_eq!(
        (world.ask(Verb::Drain("w9".into())), world.ask(Verb::Undrain("w9".into()))),
        (nobody(), nobody())
    );
}

#[test]
fn training_goes_on_without_a_drained_worker() {
    let mut world = World::training(2);
    world.join("w3", Device::Cpu);
    world.ask(Verb::Drain("w2".into())).unwrap();
    assert_eq!(world.told("w2"), [stop_and_keep()]);
    world.all_say(&["w1", "w2"], &trained(true));
    assert_eq!(world.members("a"), ["w1", "w3"]);
    assert!(world.worker("w2").is_some_and(|worker| worker.task.is_none()));
}

#[test]
fn draining_a_worker_that_still_lets_go_of_an_old_task_stops_nobody() {
    let mut world = World::training(1);
    world.join("w2", Device::Cpu);
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.ask(Verb::Retry("a".into())).unwrap();
    world.pass(std::time::Duration::from_secs(11), &[]);
    assert_eq!(world.members("a"), ["w2"]);
    world.ask(Verb::Drain("w1".into())).unwrap();
    assert_eq!(world.attempt("a").ending, None);
}

#[test]
fn draining_again_after_a_coordinator_died_in_the_middle_of_it_still_stops_the_task() {
    let mut world = World::training(1);
    let task = world.task("w1");
    world.ask(Verb::Drain("w1".into())).unwrap();
    // Its pool was recorded, that the job is ending was not.
    let mut jobs: Vec<Job> = world.state.jobs().cloned().collect();
    jobs[0].attempt.as_mut().unwrap().ending = None;
    let pool = Pool { drained: [WorkerName::from("w1")].into(), ..Pool::default() };
    world.state = State::restore(Policy::default(), jobs, pool, world.now);
    world.reconnect("w1", task);
    assert_eq!(world.ask(Verb::Drain("w1".into())), Ok(Answer::Already));
    assert_eq!(world.told("w1"), [stop()]);
}
