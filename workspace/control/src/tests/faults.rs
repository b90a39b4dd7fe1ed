//! Faults made on purpose, and what is said once training goes on after one.

use std::time::Duration;

use super::*;
use crate::*;

fn willing(workers: u32) -> World {
    let mut world = World::new(workers);
    world.submit(Request { chaos: true, ..job("a", 1, workers) });
    world
}

fn inject(world: &mut World, worker: Option<&str>, fault: Fault) -> Result<Answer, Refusal> {
    world.ask(Verb::Inject("a".into(), worker.map(Into::into), fault))
}

fn step(step: u64) -> FromWorker {
    let training = Training { step, ..Training::default() };
    FromWorker::Progress(Progress { training: Some(training), ..Progress::default() })
}

/// What was said about training going on.
fn went_on(world: &World) -> Vec<(Interruption, Duration, u64)> {
    let said = world.said.iter().filter_map(|command| match command {
        Command::Tell { notice: Notice::WentOn { interruption, after, step }, .. } => {
            Some((*interruption, *after, *step))
        }
        _ => None,
    });
    said.collect()
}

#[test]
fn only_a_job_that_allows_it_is_made_to_fail() {
    let mut world = World::training(1);
    let refused = inject(&mut world, Some("w1"), Fault::KillWorker).unwrap_err();
    assert_eq!(refused, Refusal::NoChaos("a".into()));
    assert_eq!(world.told("w1"), []);

    let mut world = willing(1);
    assert_eq!(inject(&mut world, Some("w1"), Fault::KillWorker), Ok(Answer::Done));
    assert_eq!(world.told("w1"), [Order::Suffer(Fault::KillWorker)]);
    assert_eq!(inject(&mut world, None, Fault::KillCoordinator), Ok(Answer::Done));
    assert_eq!(world.told("w1"), []);
}

#[test]
fn only_workers_that_are_at_it_suffer() {
    let mut world = willing(1);
    world.join("w2", Device::Cpu);
    let refused = inject(&mut world, Some("w2"), Fault::KillWorker).unwrap_err();
    assert_eq!(refused, Refusal::NotAtIt { job: "a".into(), worker: "w2".into() });
    assert_eq!(inject(&mut world, Some("w9"), Fault::KillWorker), Err(Refusal::NoWorker("w9".into())));
}

#[test]
fn the_first_step_after_a_fault_says_how_long_that_took() {
    let mut world = World::training(2);
    world.join("w3", Device::Cpu);
    world.say("w1", step(10));
    assert_eq!(went_on(&world), [], "nothing had kept it");
    world.apply(Event::Ended { worker: "w2".into(), why: "killed".into() });
    world.say("w1", FromWorker::Idle);
    world.pass(Duration::from_millis(600), &[]);
    world.say("w1", FromWorker::Progress(Progress::default()));
    assert_eq!(went_on(&world), [], "no step yet");
    world.say("w1", step(11));
    assert_eq!(went_on(&world), [(Interruption::Fault, Duration::from_millis(600), 11)]);
    world.say("w1", step(12));
    assert_eq!(went_on(&world), []);
}

#[test]
fn growing_is_a_change_and_no_fault() {
    let mut world = World::new(1);
    world.submit(job("a", 1, 2));
    world.join("w2", Device::Cpu);
    world.pass(Policy::default().settle, &[]);
    world.say("w1", trained(true));
    world.pass(Duration::from_millis(200), &[]);
    world.say("w1", step(5));
    assert_eq!(went_on(&world), [(Interruption::Change, Duration::from_millis(200), 5)]);
}

#[test]
fn a_pause_is_no_interruption() {
    let mut world = World::training(1);
    world.ask(Verb::Pause("a".into())).unwrap();
    world.say("w1", trained(true));
    world.pass(Duration::from_secs(5), &[]);
    world.ask(Verb::Resume("a".into())).unwrap();
    world.say("w1", step(5));
    assert_eq!(went_on(&world), []);
}
