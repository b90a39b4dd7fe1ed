//! What people ask, in every phase.

use super::*;
use crate::*;

/// Jobs are `a`; the phases they can be in, and how they get there.
const PHASES: [&str; 10] = [
    "pending",
    "running",
    "evaluating",
    "pausing",
    "paused",
    "cancelling",
    "cancelled",
    "failed",
    "succeeded",
    "also",
];

fn in_phase(phase: &str) -> World {
    let mut world = World::new(u32::from(phase != "pending"));
    world.submit(job("a", 1, 1));
    world.submit(job("other", 1, 1));
    let evaluates = |world: &mut World| {
        world.say("w1", FromWorker::CheckpointCommitted { step: 10 });
        world.say("w1", trained(false));
    };
    match phase {
        "evaluating" => evaluates(&mut world),
        "pausing" => drop(world.ask(Verb::Pause("a".into()))),
        "cancelling" => drop(world.ask(Verb::Cancel("a".into()))),
        "paused" => {
            world.ask(Verb::Pause("a".into())).unwrap();
            world.say("w1", trained(true));
        }
        "cancelled" => {
            world.ask(Verb::Cancel("a".into())).unwrap();
            world.say("w1", trained(true));
        }
        "failed" => {
            world.say("w1", failure(FailureKind::BadInput));
        }
        "succeeded" | "also" => {
            evaluates(&mut world);
            world.say("w1", evaluated());
            if phase == "also" {
                world.ask(Verb::Also("a".into(), EXPORT)).unwrap();
            }
        }
        _ => {}
    }
    world
}

/// What is answered (`d`one, `a`lready, `-` refused), and the phase and wish afterwards.
fn outcome(phase: &str, verb: Verb) -> String {
    let mut world = in_phase(phase);
    let before = world.state.job(&"a".into()).cloned();
    let answer = match world.ask(verb) {
        Ok(Answer::Done) => "done",
        Ok(Answer::Already) => "already",
        Err(refusal) => {
            assert!(refusal.to_string().len() > 20 && refusal.code().starts_with("TW53"), "{refusal}");
            "refused"
        }
    };
    let job = world.state.job(&"a".into());
    if answer == "refused" {
        assert_eq!(job, before.as_ref(), "who is refused changes nothing");
    }
    match job {
        Some(job) => format!("{answer}: {}, {:?}", job.phase, job.wish).to_lowercase(),
        None => format!("{answer}: gone"),
    }
}

fn table(verb: impl Fn() -> Verb, rows: [&str; 10]) {
    let found = PHASES.map(|phase| format!("{phase} -> {}", outcome(phase, verb())));
    let expected: Vec<String> =
        PHASES.iter().zip(rows).map(|(phase, row)| format!("{phase} -> {row}")).collect();
    assert_eq!(found.as_slice(), expected.as_slice());
}

#[test]
fn cancel() {
    table(
        || Verb::Cancel("a".into()),
        [
            "done: cancelled, cancel",
            "done: running, cancel",
            "done: cancelled, cancel",
            "done: running, cancel",
            "done: cancelled, cancel",
            "done: cancelled, cancel",
            "already: cancelled, cancel",
            "refused: failed, run",
            "refused: succeeded, run",
            "done: succeeded, run",
        ],
    );
}

#[test]
fn pause() {
    table(
        || Verb::Pause("a".into()),
        [
            "done: paused, pause",
            "done: running, pause",
            "done: paused, pause",
            "done: paused, pause",
            "already: paused, pause",
            "refused: running, cancel",
            "refused: cancelled, cancel",
            "refused: failed, run",
            "refused: succeeded, run",
            "done: succeeded, run",
        ],
    );
}

#[test]
fn resume() {
    table(
        || Verb::Resume("a".into()),
        [
            "already: pending, run",
            "already: running, run",
            "already: evaluating, run",
            "done: running, run",
            "done: pending, run",
            "refused: running, cancel",
            "refused: cancelled, cancel",
            "refused: failed, run",
            "refused: succeeded, run",
            "already: pending, run",
        ],
    );
}

#[test]
fn retry() {
    table(
        || Verb::Retry("a".into()),
        [
            "already: pending, run",
            "already: running, run",
            "already: evaluating, run",
            "refused: running, pause",
            "refused: paused, pause",
            "refused: running, cancel",
            "done: pending, run",
            "done: pending, run",
            "refused: succeeded, run",
            "refused: pending, run",
        ],
    );
}

#[test]
fn delete() {
    let refused = ["pending, run", "running, run", "evaluating, run", "running, pause"];
    let [pending, running, evaluating, pausing] = refused.map(|row| format!("refused: {row}"));
    table(
        || Verb::Delete("a".into()),
        [
            &pending,
            &running,
            &evaluating,
            &pausing,
            "done: gone",
            "refused: running, cancel",
            "done: gone",
            "done: gone",
            "done: gone",
            "refused: pending, run",
        ],
    );
}

#[test]
fn prioritise() {
    table(
        || Verb::Prioritise("a".into(), 7),
        [
            "done: pending, run",
            "done: running, run",
            "done: evaluating, run",
            "done: running, pause",
            "done: paused, pause",
            "done: running, cancel",
            "refused: cancelled, cancel",
            "refused: failed, run",
            "refused: succeeded, run",
            "done: pending, run",
        ],
    );
    assert_eq!(in_phase("running").ask(Verb::Prioritise("a".into(), 0)), Ok(Answer::Already));
}

#[test]
fn also() {
    table(
        || Verb::Also("a".into(), EXPORT),
        [
            "refused: pending, run",
            "refused: running, run",
            "refused: evaluating, run",
            "refused: running, pause",
            "refused: paused, pause",
            "refused: running, cancel",
            "refused: cancelled, cancel",
            "refused: failed, run",
            "done: pending, run",
            "refused: pending, run",
        ],
    );
}

#[test]
fn submitting_the_same_again_is_the_same_request_and_another_one_of_that_name_is_refused() {
    for phase in PHASES {
        let mut world = in_phase(phase);
        let before = world.job("a").clone();
        assert_eq!(world.ask(Verb::Submit(Box::new(job("a", 1, 1)))), Ok(Answer::Already));
        let another = Request { key: "another".into(), ..job("a", 1, 1) };
        assert_eq!(world.ask(Verb::Submit(Box::new(another))), Err(Refusal::Exists("a".into())));
        assert_eq!(world.job("a"), &before);
    }
}

#[test]
fn a_job_that_is_not_there_is_a_refusal() {
    let job = || JobName::from("b");
    let verbs = [
        Verb::Cancel(job()),
        Verb::Pause(job()),
        Verb::Resume(job()),
        Verb::Retry(job()),
        Verb::Delete(job()),
        Verb::Prioritise(job(), 1),
        Verb::Also(job(), EXPORT),
    ];
    for verb in verbs {
        assert_eq!(World::new(1).ask(verb), Err(Refusal::NoJob(job())));
    }
}

#[test]
fn a_job_that_is_resumed_or_tried_again_begins_when_there_are_workers() {
    for (phase, verb) in [("paused", Verb::Resume("a".into())), ("failed", Verb::Retry("a".into()))] {
        let mut world = in_phase(phase);
        world.ask(verb).unwrap();
        world.join("w2", Device::Cpu);
        assert_eq!((world.job("a").phase, world.members("a")), (Phase::Running, vec!["w2".into()]));
    }
}

#[test]
fn who_resumes_a_job_on_its_way_to_a_pause_has_it_queued_again() {
    let mut world = in_phase("pausing");
    world.ask(Verb::Resume("a".into())).unwrap();
    world.say("w1", trained(true));
    assert_eq!(world.job("a").phase, Phase::Running);
}

#[test]
fn asking_twice_to_cancel_does_not_wait_for_a_checkpoint() {
    let mut world = in_phase("cancelling");
    world.ask(Verb::Cancel("a".into())).unwrap();
    assert_eq!(world.told("w1"), [Order::Abort]);
    assert_eq!(world.job("a").phase, Phase::Cancelled);
}
