//! Invariant 3, seen from outside: a run that was broken off goes on as if nothing had happened.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use twinspire_tests::{Ended, Place, flip_a_byte, one_at_a_time};

const STEPS: u64 = 60;

fn place() -> Place {
    Place::with_log(300, 200, 12_000)
}

/// `coordinator local features.yaml` to step 60 under a name.
fn arguments<'a>(name: &'a str, workers: &'a str) -> Vec<&'a str> {
    vec!["local", "features.yaml", "--set", "train.steps=60", "--set", name, "--workers", workers]
}

/// Runs to about step 30 and kills the coordinator and its workers.
fn killed_at_about_step_30(place: &Place, name: &str, workers: &str) -> Ended {
    let mut running = place.start(&arguments(&format!("name={name}"), workers));
    running.wait_until("a checkpoint of step 30", || newest(place, name) >= 30);
    let ended = running.kill_all();
    assert!(newest(place, name) < STEPS, "it was killed too late");
    ended
}

fn newest(place: &Place, name: &str) -> u64 {
    place.checkpoints(name).last().copied().unwrap_or(0)
}

/// The same command again, which must say that it resumes.
fn resumed(place: &Place, name: &str, workers: &str) -> Ended {
    let from = newest(place, name);
    let ended = place.run(&arguments(&format!("name={name}"), workers)).expect_exit(0);
    let said = format!("resuming {name} at step {from} of {STEPS}");
    assert!(ended.stderr.contains(&said), "`{said}` was not said:\n{}", ended.stderr);
    ended
}

#[track_caller]
fn every_row_was_trained_once(place: &Place, name: &str) {
    let audit = place.run(&["audit", name, "-o", "json"]).expect_exit(0).json();
    let report = &audit["report"];
    assert_eq!(report["steps"], STEPS);
    assert!(report["expected"].as_u64() > Some(0), "{audit:#}");
    assert_eq!(report["trained"], report["expected"], "{audit:#}");
    assert_eq!([&report["twice"], &report["never"], &report["unexpected"]], [0, 0, 0], "{audit:#}");
}

#[test]
fn killing_everything_and_going_on_gives_the_same_bits() {
    let _alone = one_at_a_time();
    let place = place();
    place.run(&arguments("name=whole", "2")).expect_exit(0);
    killed_at_about_step_30(&place, "killed", "2");
    resumed(&place, "killed", "2");

    assert_eq!(place.state("killed").step, STEPS);
    let differing = place.state("whole").differing(&place.state("killed"));
    assert!(differing.is_empty(), "differ: {differing:?}");
    every_row_was_trained_once(&place, "whole");
    every_row_was_trained_once(&place, "killed");
}

#[test]
fn going_on_with_other_worker_counts_trains_the_same_model() {
    let _alone = one_at_a_time();
    let place = place();
    place.run(&arguments("name=whole", "1")).expect_exit(0);
    for (name, before, after) in [("grown", "1", "3"), ("shrunk", "3", "2")] {
        killed_at_about_step_30(&place, name, before);
        resumed(&place, name, after);
        every_row_was_trained_once(&place, name);
        let difference = place.state("whole").difference(&place.state(name));
        println!("{before} workers, then {after}, differ from one by {difference} after {STEPS} steps");
        assert!(difference.relative <= 1e-4, "{name}: {difference}");
    }
}

#[test]
fn ctrl_c_writes_a_checkpoint_and_the_same_command_goes_on() {
    let _alone = one_at_a_time();
    let place = place();
    // No checkpoint before the one of Ctrl-C.
    let seldom = ["--set", "checkpoint.every_steps=1000", "--set", "train.log_every=1"];
    let command = [&arguments("name=stopped", "2")[..], &seldom].concat();
    let metrics = place.path("runs/stopped/metrics.jsonl");

    let mut running = place.start(&command);
    running.wait_until("a few steps are trained", || {
        std::fs::read_to_string(&metrics).is_ok_and(|metrics| metrics.lines().count() >= 3)
    });
    running.interrupt();
    let ended = running.wait().expect_exit(130);
    assert!(ended.stderr.contains("the same command again goes on"), "{}", ended.stderr);
    let stopped_at = newest(&place, "stopped");
    assert!((3..STEPS).contains(&stopped_at), "a checkpoint of step {stopped_at}");

    let ended = place.run(&command).expect_exit(0);
    let said = format!("resuming stopped at step {stopped_at} of {STEPS}");
    assert!(ended.stderr.contains(&said), "`{said}` was not said:\n{}", ended.stderr);
    every_row_was_trained_once(&place, "stopped");

    place.run(&arguments("name=whole", "2")).expect_exit(0);
    let differing = place.state("whole").differing(&place.state("stopped"));
    assert!(differing.is_empty(), "differ: {differing:?}");
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_said_to_be() {
    let _alone = one_at_a_time();
    let place = place();
    killed_at_about_step_30(&place, "damaged", "2");
    let steps = place.checkpoints("damaged");
    let [.., earlier, newest] = steps[..] else { panic!("one checkpoint only: {steps:?}") };
    let parts = place.files(&format!("runs/damaged/checkpoints/step-{newest:09}"));
    let part = parts.iter().find(|file| file.extension().is_some_and(|ending| ending == "safetensors"));
    flip_a_byte(part.expect("a part of the checkpoint"));

    let ended = place.run(&arguments("name=damaged", "2")).expect_exit(0);
    for said in [
        format!("WARNING: passed over a damaged checkpoint: step {newest}"),
        format!("resuming damaged at step {earlier} of {STEPS}"),
    ] {
        assert!(ended.stderr.contains(&said), "`{said}` was not said:\n{}", ended.stderr);
    }
    every_row_was_trained_once(&place, "damaged");
}

#[test]
fn what_is_finished_is_not_done_again_and_can_be_trained_on() {
    let _alone = one_at_a_time();
    let place = place();
    place.run(&arguments("name=finished", "1")).expect_exit(0);
    let again = place.run(&arguments("name=finished", "1")).expect_exit(0);
    assert!(again.stdout.contains("finished is finished already"), "{}", again.stdout);

    let longer = ["local", "features.yaml", "--set", "train.steps=70", "--set", "name=finished"];
    let ended = place.run(&longer).expect_exit(0);
    assert!(ended.stderr.contains("resuming finished at step 60 of 70"), "{}", ended.stderr);
    assert_eq!(place.state("finished").step, 70);

    let other = [&longer[..], &["--set", "towers.dim=8"]].concat();
    let refused = place.run(&other).expect_exit(2);
    assert!(refused.stderr.contains("TW5010") && refused.stderr.contains("towers.dim"), "{}", refused.stderr);
}
