//! Invariant 4, seen from outside: a worker's death costs the others the step in flight at most.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use twinspire_tests::{Place, Service, one_at_a_time};

const STEPS: u64 = 120;

/// To step 120 with three workers, and no checkpoint before.
fn arguments(name: &str) -> Vec<String> {
    let set =
        ["train.steps=120", name, "checkpoint.every_steps=10000", "train.log_every=1", "checkpoint.every=1h"];
    let mut arguments = vec!["local".to_owned(), "features.yaml".into(), "--workers".into(), "3".into()];
    set.iter().for_each(|set| arguments.extend(["--set".into(), (*set).into()]));
    arguments
}

/// Steps that were trained, as far as is written.
fn trained(place: &Place, job: &str) -> u64 {
    let metrics =
        std::fs::read_to_string(place.path(format!("runs/{job}/metrics.jsonl"))).unwrap_or_default();
    let steps = metrics.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()?["step"].as_u64());
    steps.max().unwrap_or(0)
}

#[test]
fn survivors_go_on_from_memory_and_nothing_is_lost_or_repeated() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let run = |arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        place.start(&arguments)
    };
    run(&arguments("name=whole")).wait().expect_exit(0);

    let mut running = run(&arguments("name=struck"));
    let mut struck_at = Vec::new();
    for (death, (at, rank)) in [(20, 1), (50, 0), (80, 2)].into_iter().enumerate() {
        running.wait_until("it trains on", || trained(&place, "struck") >= at);
        let workers = running.workers();
        assert_eq!(workers.len(), 3, "death {death}");
        struck_at.push(trained(&place, "struck"));
        let victim = Pid::from_raw(workers[rank].cast_signed()).expect("a process");
        kill_process(victim, Signal::KILL).expect("a worker of ours");
        let reached = *struck_at.last().expect("just pushed");
        running.wait_until("the others go on", || trained(&place, "struck") > reached + 2);
    }
    let ended = running.wait().expect_exit(0);

    let going_on: Vec<u64> = ended
        .stderr
        .lines()
        .filter_map(|line| line.split_once("going on at step ")?.1.split_once(' ')?.0.parse().ok())
        .collect();
    assert_eq!(going_on.len(), struck_at.len(), "{}", ended.stderr);
    for (from, struck) in going_on.iter().zip(&struck_at) {
        // Metrics are written before the next step begins.
        assert!(*from + 1 >= *struck, "went on at {from}, though {struck} steps were trained");
    }
    let audit = place.run(&["audit", "struck", "-o", "json"]).expect_exit(0).json();
    let report = &audit["report"];
    assert_eq!(report["steps"], STEPS);
    assert_eq!(report["trained"], report["expected"], "{audit:#}");
    assert_eq!([&report["twice"], &report["never"], &report["unexpected"]], [0, 0, 0], "{audit:#}");
    let difference = place.state("whole").difference(&place.state("struck"));
    println!("three deaths later the model differs by {difference}");
    assert!(difference.relative <= 1e-4, "{difference}");
}

/// In so many deaths, each of which comes sooner than a checkpoint is due, one is written.
const MOST_DEATHS: u32 = 20;

#[test]
fn checkpoints_come_in_time_however_often_the_company_changes() {
    let _alone = one_at_a_time();
    let mut service = Service::new(1, &["--settle", "1s"], Vec::new());
    service.add_workers("pool", 2);
    let fields = [
        "workers={min: 1, max: 2}",
        "train.steps=1000000",
        "checkpoint.every_steps=1000000",
        "checkpoint.every=10s",
    ];
    service.submit("long", &fields, &[]).expect_exit(0);
    let is_saved = |job: &Value| job["checkpoint_step"].is_u64();
    for death in 1.. {
        assert!(death <= MOST_DEATHS, "there is no checkpoint yet");
        let is_whole = |job: &Value| {
            let has_both = job["workers"].as_array().map(Vec::len) == Some(2);
            is_saved(job) || (has_both && job["training"]["step"].is_u64())
        };
        let job = service.wait_for_job("long", "on two workers", is_whole);
        if is_saved(&job) {
            println!("a checkpoint after {} deaths", death - 1);
            break;
        }
        // The one that came last: somebody has the state in memory.
        let victim = service.worker_processes().into_iter().max().expect("a worker");
        let victim = Pid::from_raw(victim.cast_signed()).expect("a process");
        kill_process(victim, Signal::KILL).expect("a worker of ours");
        let generation = job["generation"].as_u64();
        service.wait_for_job("long", "in another generation", |job| job["generation"].as_u64() > generation);
    }
    let from_the_start = service.began_at("long").into_iter().filter(|step| *step == 0).count();
    assert_eq!(from_the_start, 1, "it went on from memory");
    service.run(&["cancel", "long"]).expect_exit(0);
    service.wait_for_phase("long", "cancelled");
    service.assert_all_rows_were_trained_once("long");
}
