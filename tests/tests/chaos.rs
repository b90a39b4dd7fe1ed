//! Faults on purpose, as `coordinator chaos` makes them: training goes on after each, and nothing is lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use twinspire_tests::{Place, one_at_a_time};

const STEPS: &str = "train.steps=600";

/// On up to three workers, one of which will do.
fn arguments(name: &'static str) -> Vec<&'static str> {
    let mut arguments = vec!["local", "features.yaml", "--workers", "3"];
    let set = [
        STEPS,
        name,
        "workers={min: 1, max: 3}",
        "recovery_target=5s",
        "checkpoint.every_steps=100",
        "chaos=true",
    ];
    set.into_iter().for_each(|set| arguments.extend(["--set", set]));
    arguments
}

fn has_begun(place: &Place, job: &str) -> bool {
    std::fs::read_to_string(place.path(format!("runs/{job}/metrics.jsonl")))
        .is_ok_and(|text| text.len() > 100)
}

#[test]
fn whatever_fails_the_model_is_the_same_and_every_row_is_trained_once() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    place.run(&arguments("name=whole")).expect_exit(0);

    let mut running = place.start(&arguments("name=struck"));
    running.wait_until("it trains", || has_begun(&place, "struck"));
    let chaos = [
        &["chaos", "struck", "kill-worker", "crash-worker", "pause-worker", "fail-storage"][..],
        &["--most", "6", "--every", "2s", "--span", "3s", "--seed", "3", "--against", "whole", "-o", "json"],
    ];
    let report = place.run(&chaos.concat());
    running.wait().expect_exit(0);
    let report = report.expect_exit(0).json();

    assert_eq!(report["outcome"], "passed", "{report:#}");
    let audit = &report["audit"];
    assert_eq!(audit["trained"], audit["expected"], "{report:#}");
    assert_eq!([&audit["twice"], &audit["never"]], [0, 0], "{report:#}");
    assert!(report["difference"]["relative"].as_f64().unwrap() <= 1e-4, "{report:#}");
    let strikes = report["strikes"].as_array().unwrap();
    assert!(strikes.len() >= 3, "{report:#}");
    assert!(strikes.iter().all(|strike| strike["recovery_ms"].is_u64()), "{report:#}");
}

#[test]
fn a_job_that_does_not_allow_it_is_left_alone() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let set = ["--set", "chaos=false", "--set", "name=calm"];
    let mut running = place.start(&[&arguments("name=calm")[..], &set].concat());
    running.wait_until("it trains", || has_begun(&place, "calm"));
    let refused = place.run(&["chaos", "calm", "--most", "1"]).expect_exit(2);
    assert!(
        refused.stderr.contains("TW5308") && refused.stderr.contains("chaos: true"),
        "{}",
        refused.stderr
    );
    let ended = running.wait().expect_exit(0);
    assert!(!ended.stderr.contains("trying again"), "{}", ended.stderr);
    let audit = place.run(&["audit", "calm", "-o", "json"]).expect_exit(0).json();
    assert_eq!([&audit["report"]["twice"], &audit["report"]["never"]], [0, 0], "{audit:#}");
}
