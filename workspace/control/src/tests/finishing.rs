//! Stages, one after the other, and extra ones.

use super::*;
use crate::*;

fn prepared() -> FromWorker {
    FromWorker::Done(TaskResult::Prepared {
        dataset_uri: "runs/datasets/f".into(),
        fingerprint: "f".into(),
        reused: false,
        warnings: vec![],
    })
}

fn exported() -> FromWorker {
    FromWorker::Done(TaskResult::Exported { step: 10, files: vec![] })
}

/// A job that is over, with a checkpoint.
fn succeeded() -> World {
    let mut world = World::training(1);
    world.say("w1", FromWorker::CheckpointCommitted { step: 10 });
    world.say("w1", trained(false));
    world.say("w1", evaluated());
    assert_eq!(world.job("a").phase, Phase::Succeeded);
    world
}

#[test]
fn a_job_goes_through_its_stages_and_succeeds() {
    let mut world = World::new(2);
    world.submit(Request { plan: vec![PREPARE, TRAIN, EVALUATE, EXPORT], ..job("a", 2, 2) });
    assert_eq!((world.job("a").phase, world.members("a").len()), (Phase::Preparing, 1));
    world.say("w1", prepared());
    assert_eq!((world.job("a").phase, world.members("a").len()), (Phase::Running, 2));
    let assigned = world.told("w2");
    assert!(matches!(&assigned[..], [Order::Assign(a)] if a.dataset_uri == "runs/datasets/f"));
    world.say("w1", trained(false));
    assert_eq!(world.job("a").phase, Phase::Running, "w2 is not done");
    world.say("w2", trained(false));
    world.all_say(&["w1", "w2"], &evaluated());
    assert_eq!((world.job("a").phase, world.members("a").len()), (Phase::Exporting, 1));
    world.say("w1", exported());
    assert_eq!(world.job("a").phase, Phase::Succeeded);
    assert!(world.worker("w1").unwrap().is_free() && world.worker("w2").unwrap().is_free());
}

#[test]
fn the_result_of_rank_0_is_that_of_the_stage() {
    let mut world = World::training(2);
    world.all_say(&["w1", "w2"], &trained(false));
    let report = |text: &str| TaskResult::Evaluated { step: 1, split: Split::Test, report: text.into() };
    world.say("w2", FromWorker::Done(report("")));
    world.say("w1", FromWorker::Done(report("{}")));
    let told: Vec<&Command> = world
        .said
        .iter()
        .filter(|command| matches!(command, Command::Tell { notice: Notice::Done(_), .. }))
        .collect();
    assert_eq!(told, [&Command::Tell { job: "a".into(), notice: Notice::Done(report("{}")) }]);
}

#[test]
fn what_was_asked_for_later_is_told_from_the_jobs_own_and_a_failure_of_it_does_not_stay() {
    let mut world = succeeded();
    world.ask(Verb::Also("a".into(), EVALUATE)).unwrap();
    world.say("w1", failure(FailureKind::BadInput));
    assert_eq!(world.job("a").phase, Phase::Succeeded);
    assert!(world.job("a").failure.is_some(), "whoever asked is told");
    world.ask(Verb::Also("a".into(), EVALUATE)).unwrap();
    world.say("w1", evaluated());
    let also = |command: &Command| matches!(command, Command::Tell { notice: Notice::AlsoDone(_), .. });
    assert!(world.said.iter().any(also), "{:?}", world.said);
    assert_eq!((world.job("a").phase, &world.job("a").failure), (Phase::Succeeded, &None));
}

#[test]
fn training_that_was_stopped_goes_on_later_for_the_same_reason_it_stopped() {
    let mut world = World::training(1);
    world.ask(Verb::Drain("w1".into())).unwrap();
    world.say("w1", trained(true));
    let job = world.job("a");
    assert_eq!((job.phase, job.reason.as_str()), (Phase::Pending, "w1 is being drained"));
    assert_eq!(job.remaining.front(), Some(&TRAIN));
}

#[test]
fn training_that_ends_by_itself_while_it_is_being_preempted_is_done() {
    let mut world = World::training(1);
    world.submit(Request { priority: 5, ..job("b", 1, 1) });
    assert_eq!(world.told("w1"), [stop()]);
    world.say("w1", trained(false));
    assert_eq!(world.job("a").remaining, [EVALUATE]);
    assert_eq!(world.members("b"), ["w1"]);
}

#[test]
fn a_job_that_finishes_while_it_is_being_cancelled_has_succeeded() {
    let mut world = World::new(1);
    world.submit(Request { plan: vec![TRAIN], ..job("a", 1, 1) });
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.say("w1", trained(false));
    assert_eq!(world.job("a").phase, Phase::Succeeded);
}

#[test]
fn another_stage_of_a_job_that_is_over_leaves_it_as_it_was() {
    let mut world = succeeded();
    world.ask(Verb::Also("a".into(), EXPORT)).unwrap();
    assert_eq!(world.job("a").phase, Phase::Exporting);
    world.say("w1", exported());
    let job = world.job("a");
    assert_eq!((job.phase, job.returns_to, job.remaining.len()), (Phase::Succeeded, None, 0));
}

#[test]
fn another_stage_of_a_cancelled_job_leaves_the_rest_for_a_retry() {
    let mut world = World::training(1);
    world.say("w1", FromWorker::CheckpointCommitted { step: 10 });
    world.ask(Verb::Cancel("a".into())).unwrap();
    world.say("w1", trained(true));
    world.ask(Verb::Also("a".into(), EXPORT)).unwrap();
    world.say("w1", exported());
    assert_eq!((world.job("a").phase, world.job("a").remaining.len()), (Phase::Cancelled, 2));
    world.ask(Verb::Retry("a".into())).unwrap();
    assert_eq!(world.job("a").phase, Phase::Running);
}

#[test]
fn workers_know_whether_a_stage_is_the_jobs_own_or_was_asked_for_afterwards() {
    let afterwards = |world: &World| match &world.told("w1")[..] {
        [Order::Assign(assignment)] => (assignment.stage, assignment.afterwards),
        told => panic!("{told:?}"),
    };
    let mut world = World::new(1);
    world.submit(job("a", 1, 1));
    assert_eq!(afterwards(&world), (TRAIN, false));
    world.say("w1", FromWorker::CheckpointCommitted { step: 10 });
    world.say("w1", trained(false));
    assert_eq!(afterwards(&world), (EVALUATE, false));
    world.say("w1", evaluated());
    world.ask(Verb::Also("a".into(), EVALUATE)).unwrap();
    assert_eq!(afterwards(&world), (EVALUATE, true));
    // The next coordinator knows it too.
    world.change_coordinators();
    world.reconnect("w1", None);
    assert_eq!(afterwards(&world), (EVALUATE, true));

    // A plan without training is about a job that was trained before.
    let mut world = World::new(1);
    world.submit(Request { plan: vec![EVALUATE], ..job("a", 1, 1) });
    assert_eq!(afterwards(&world), (EVALUATE, true));
}

#[test]
fn another_stage_that_fails_leaves_the_job_as_it_was() {
    let mut world = succeeded();
    world.ask(Verb::Also("a".into(), EXPORT)).unwrap();
    world.say("w1", failure(FailureKind::Internal));
    let job = world.job("a");
    assert_eq!((job.phase, job.reason.as_str(), job.remaining.len()), (Phase::Succeeded, "w1: it broke", 0));
}

#[test]
fn another_stage_that_loses_its_worker_is_tried_again() {
    let mut world = succeeded();
    world.ask(Verb::Also("a".into(), EXPORT)).unwrap();
    world.join("w1", Device::Cpu);
    assert_eq!((world.job("a").phase, world.job("a").retries), (Phase::Exporting, 1));
}

#[test]
fn another_stage_can_be_given_up() {
    for verb in [Verb::Cancel("a".into()), Verb::Pause("a".into())] {
        let mut world = succeeded();
        world.ask(Verb::Also("a".into(), EXPORT)).unwrap();
        assert_eq!(world.ask(verb), Ok(Answer::Done));
        assert_eq!(world.told("w1"), [Order::Abort]);
        let job = world.job("a");
        assert_eq!((job.phase, job.wish, job.remaining.len()), (Phase::Succeeded, Wish::Run, 0));
    }
}

#[test]
fn there_is_nothing_to_measure_before_the_first_checkpoint() {
    let mut world = World::training(1);
    world.say("w1", failure(FailureKind::BadInput));
    assert_eq!(world.ask(Verb::Also("a".into(), EVALUATE)), Err(Refusal::NoCheckpoint("a".into())));
}

#[test]
fn a_job_in_a_final_phase_changes_only_when_somebody_asks() {
    let mut world = succeeded();
    let over = world.job("a").clone();
    world.say_of("w1", Generation(2), trained(false));
    world.say_of("w1", Generation(2), failure(FailureKind::LostPeer));
    world.cut("w1");
    world.pass(std::time::Duration::from_secs(100), &["w1"]);
    assert_eq!(world.job("a"), &over);
}
