//! A worker that cannot do what others can is left out, and nobody else pays for it.

use std::time::Duration;

use super::*;
use crate::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A job that trains on two workers, and takes three.
fn training() -> World {
    let mut world = World::new(2);
    world.submit(job("a", 1, 3));
    world.say("w1", started());
    world
}

/// What it takes is not to be seen from here.
fn blind() -> Failure {
    let message = "runs/datasets/1 is not a dataset".into();
    Failure { code: "TW2101".into(), message, kind: FailureKind::BadInput, worker: None }
}

fn fails(world: &mut World, worker: &str) {
    world.say(worker, FromWorker::Failed(blind()));
}

/// A third worker, which is known to be unable.
fn with_one_unfit() -> World {
    let mut world = training();
    world.join("w3", Device::Cpu);
    world.got_ready("w3", "a", Some(blind()));
    world
}

/// All but w3 are gone.
fn with_the_unfit_only() -> World {
    let mut world = with_one_unfit();
    for worker in ["w1", "w2"] {
        world.apply(Event::Ended { worker: worker.into(), why: "killed".into() });
        world.workers.remove(worker);
    }
    world.pass(SECOND * 5, &[]);
    world
}

fn is_told_not_ready(said: &[Command], worker: &str) -> bool {
    said.iter().any(|command| {
        matches!(command, Command::Tell { notice: Notice::NotReady { failure }, .. }
            if failure.worker == Some(worker.into()))
    })
}

fn is_asked(world: &World, worker: &str) -> bool {
    world.worker(worker).is_some_and(Worker::is_asked_to_get_ready)
}

#[test]
fn before_training_has_begun_wrong_input_is_the_jobs() {
    let mut world = World::training(2);
    fails(&mut world, "w2");
    let job = world.job("a");
    assert_eq!(job.phase, Phase::Failed);
    assert_eq!(job.failure.as_ref().unwrap().worker, Some("w2".into()));
}

#[test]
fn once_it_has_begun_it_is_the_workers_own_and_the_others_go_on() {
    let mut world = training();
    fails(&mut world, "w2");
    assert!(is_told_not_ready(&world.said, "w2"));
    world.say("w1", FromWorker::Idle);
    assert_eq!(world.members("a"), ["w1"]);
    let more_steps = Started { step: 5, kept: true, ..Started::default() };
    world.say("w1", FromWorker::Started(more_steps));
    assert_eq!(world.job("a").retries, 0);
    world.pass(MINUTE, &[]);
    assert!(is_asked(&world, "w2"), "what was wrong may be mended");
    world.got_ready("w2", "a", None);
    world.pass(Policy::default().settle, &[]);
    world.say("w1", trained(true));
    assert_eq!(world.members("a"), ["w1", "w2"]);
}

#[test]
fn who_is_known_to_be_unable_is_not_assigned_though_nobody_else_is_left() {
    let mut world = with_the_unfit_only();
    let job = world.job("a");
    assert_eq!(job.phase, Phase::Pending);
    assert_eq!(job.reason, "needs 1 worker; the pool has 0 beside w3, which cannot do its work");
    world.join("w4", Device::Cpu);
    world.pass(SECOND * 2, &[]);
    assert_eq!(world.members("a"), ["w4"]);
}

#[test]
fn who_is_left_out_of_a_job_that_waits_is_asked_again_and_taken_once_it_is_ready() {
    let mut world = with_the_unfit_only();
    world.pass(MINUTE, &[]);
    assert!(is_asked(&world, "w3"));
    assert!(!is_told_not_ready(world.got_ready("w3", "a", Some(blind())), "w3"), "told once");
    world.pass(MINUTE + SECOND, &[]);
    assert!(is_asked(&world, "w3"));
    let told = world.got_ready("w3", "a", None);
    let ready = |command: &Command| matches!(command, Command::Tell { notice: Notice::Ready { .. }, .. });
    assert!(told.iter().any(ready));
    world.pass(SECOND * 2, &[]);
    assert_eq!(world.members("a"), ["w3"]);
}

#[test]
fn another_process_of_its_name_is_another_worker() {
    let mut world = with_the_unfit_only();
    world.join("w3", Device::Cpu);
    world.pass(SECOND * 2, &[]);
    assert_eq!(world.members("a"), ["w3"]);
}

#[test]
fn who_says_it_is_ready_and_fails_again_uses_up_the_retries() {
    let mut world = with_the_unfit_only();
    for _ in 0..10 {
        world.pass(MINUTE + SECOND * 10, &[]);
        if is_asked(&world, "w3") {
            world.got_ready("w3", "a", None);
            world.pass(SECOND * 10, &[]);
            fails(&mut world, "w3");
        }
    }
    assert_eq!(world.job("a").phase, Phase::Failed);
}

#[test]
fn when_none_can_any_more_who_could_it_is_the_input_that_has_changed() {
    let mut world = training();
    fails(&mut world, "w2");
    world.say("w1", FromWorker::Idle);
    fails(&mut world, "w1");
    let failure = world.job("a").failure.clone().unwrap();
    assert_eq!((world.job("a").phase, failure.worker), (Phase::Failed, Some("w1".into())));
    assert!(!failure.message.contains("tried"), "it was not: {}", failure.message);
}

#[test]
fn a_retry_gives_who_was_left_out_another_chance_and_is_not_lost_by_it() {
    let mut world = with_the_unfit_only();
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.ask(Verb::Retry("a".into())).unwrap();
    assert_eq!(world.members("a"), ["w3"]);
    fails(&mut world, "w3");
    world.pass(SECOND * 5, &[]);
    let job = world.job("a");
    assert_eq!((job.phase, job.retries), (Phase::Pending, 0), "{}", job.reason);
}

#[test]
fn another_worker_evaluates_when_one_cannot() {
    let mut world = training();
    world.all_say(&["w1", "w2"], &trained(false));
    let evaluates = world.members("a");
    world.apply(Event::Tick);
    assert_eq!(world.job("a").phase, Phase::Evaluating);
    fails(&mut world, "w1");
    world.pass(SECOND, &[]);
    evaluates.iter().filter(|worker| *worker != "w1").for_each(|worker| {
        world.say(worker, FromWorker::Idle);
    });
    assert_eq!((world.job("a").phase, world.members("a")), (Phase::Evaluating, vec!["w2".into()]));
}

#[test]
fn one_more_stage_that_was_asked_for_is_not_tried_elsewhere() {
    let mut world = training();
    world.say("w1", part(10));
    world.say("w2", part(10));
    world.say("w1", FromWorker::CheckpointCommitted { step: 10 });
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.all_say(&["w1", "w2"], &trained(true));
    world.ask(Verb::Also("a".into(), EVALUATE)).unwrap();
    let at_it = world.members("a");
    fails(&mut world, &at_it[0]);
    assert_eq!(world.job("a").phase, Phase::Cancelled, "there may be no such step");
}

/// What is in the way for a while.
fn trouble() -> Failure {
    Failure { kind: FailureKind::Storage, ..blind() }
}

fn dies(world: &mut World, worker: &str) {
    world.apply(Event::Ended { worker: worker.into(), why: "killed".into() });
    world.workers.remove(worker);
}

#[test]
fn before_training_has_begun_nobody_is_kept_from_beginning() {
    let mut world = World::new(1);
    world.submit(job("a", 1, 2));
    world.join("w2", Device::Cpu);
    world.got_ready("w2", "a", Some(blind()));
    dies(&mut world, "w1");
    world.pass(SECOND * 5, &[]);
    assert_eq!(world.members("a"), ["w2"]);
}

#[test]
fn trouble_that_may_pass_keeps_nobody_from_beginning() {
    let mut world = training();
    world.join("w3", Device::Cpu);
    world.got_ready("w3", "a", Some(trouble()));
    assert!(is_told_not_ready(&world.said, "w3"));
    dies(&mut world, "w1");
    dies(&mut world, "w2");
    world.pass(SECOND * 5, &[]);
    assert_eq!(world.members("a"), ["w3"]);
}

#[test]
fn a_process_that_connects_again_is_the_same_one() {
    let mut world = with_the_unfit_only();
    world.cut("w3");
    world.reconnect("w3", None);
    world.pass(SECOND * 5, &[]);
    assert_eq!(world.job("a").phase, Phase::Pending);
}

/// The worker is known to be unable to do the job's work.
fn is_unfit_for(world: &mut World, worker: &str, job: &str) {
    let process = world.worker(worker).unwrap().incarnation;
    let unfit = Unfit::new(process, world.now, Some(blind()), true);
    let job = world.state.jobs.get_mut(&job.into()).unwrap();
    job.has_trained = true;
    job.unfit.insert(worker.into(), unfit);
}

#[test]
fn jobs_that_leave_out_the_same_worker_ask_it_in_turn() {
    let mut world = World::new(0);
    world.submit(job("a", 1, 1));
    world.submit(job("b", 1, 1));
    world.join("x", Device::Cpu);
    world.join("y", Device::Cpu);
    world.join("w3", Device::Cpu);
    is_unfit_for(&mut world, "w3", "a");
    is_unfit_for(&mut world, "w3", "b");
    dies(&mut world, "x");
    dies(&mut world, "y");
    let mut asked = 0;
    for _ in 0..10 * 60 {
        world.pass(SECOND / 5, &[]);
        asked += world.told("w3").iter().filter(|order| matches!(order, Order::GetReady(_))).count();
    }
    assert_eq!(world.job("a").phase, Phase::Pending);
    assert!((1..=4).contains(&asked), "asked {asked} times in two minutes");
}

#[test]
fn who_makes_room_does_not_take_it_back() {
    let mut world = World::new(6);
    world.join("z1", Device::Cpu);
    world.join("z2", Device::Cpu);
    world.submit(job("v", 4, 8));
    assert_eq!(world.members("v").len(), 8);
    world.say("w1", started());
    world.join("x", Device::Cpu);
    world.submit(job("a", 1, 1));
    world.say("x", started());
    is_unfit_for(&mut world, "z1", "a");
    is_unfit_for(&mut world, "z2", "a");
    dies(&mut world, "x");
    for _ in 0..40 {
        world.pass(SECOND, &[]);
        if world.job("v").attempt.as_ref().is_some_and(|attempt| attempt.ending.is_some()) {
            for worker in world.members("v") {
                world.say(&worker, trained(true));
            }
        }
    }
    assert_eq!(world.job("a").phase, Phase::Running, "{}", world.job("a").reason);
    assert!(world.job("v").generation < Generation(8), "{}", world.job("v").generation);
}
