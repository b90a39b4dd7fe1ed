//! What is reported is what the towers can do: no figure is better than it should be, none is lost,
//! and whom it is about is said.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use twinspire_tests::{Place, one_at_a_time};

/// A log in CSV: each user walks through 40 items in a way of its own.
fn log(users: u32, rows_each: u32) -> String {
    let mut log = String::from("user_id,item_id,timestamp\n");
    for user in 0..users {
        for row in 0..rows_each {
            let item = (user * 7 + row * (user % 3 + 1)) % 40;
            log += &format!("u{user},i{item},{}\n", 1_700_000_000 + row * 3600 + user);
        }
    }
    log
}

const JOB: &str = "\
name: figures
device: cpu
log: {uri: log.csv}
towers: {dim: 16, user: {objective: sasrec, d_model: 16, layers: 1, heads: 2, max_actions: 10}}
train: {steps: 10, global_batch: 32, threads: 1}
workers: 1
";

#[test]
fn a_job_goes_on_with_the_dataset_it_began_with_and_says_when_the_log_has_changed() {
    let _alone = one_at_a_time();
    let place = Place::new();
    place.write("log.csv", log(40, 12));
    place.write("job.yaml", JOB);
    place.run(&["local", "job.yaml"]).expect_exit(0);
    let report = place.read("runs/figures/evaluation-test.json");

    place.write("log.csv", log(60, 12));
    let ended = place.run(&["local", "job.yaml", "--set", "train.steps=15"]).expect_exit(0);
    let said = "the log or the catalogue has changed since the job began";
    assert!(ended.stderr.contains(said) && ended.stderr.contains("--fresh"), "{}", ended.stderr);
    assert!(ended.stderr.contains("resuming figures at step 10 of 15"), "{}", ended.stderr);

    fs::remove_file(place.path("log.csv")).expect("a log");
    let ended = place.run(&["evaluate", "job.yaml", "--step", "15", "-o", "json"]).expect_exit(0);
    assert!(ended.stderr.contains("goes on with the dataset it began with"), "{}", ended.stderr);
    let before: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(ended.json()["users"], before["users"]);
    place.run(&["export", "job.yaml"]).expect_exit(0);

    // Another way to read the log is another job, and a fresh start reads what is there.
    place.write("log.csv", log(60, 12));
    let other = ["local", "job.yaml", "--set", "log.min_user_actions=2"];
    assert!(place.run(&other).expect_exit(2).stderr.contains("log.min_user_actions"));
    let ended = place.run(&["local", "job.yaml", "--fresh"]).expect_exit(0);
    assert!(!ended.stderr.contains(said), "{}", ended.stderr);
    let after: serde_json::Value =
        serde_json::from_str(&place.read("runs/figures/evaluation-test.json")).expect("JSON");
    assert_eq!((&before["users"], &after["users"]), (&40.into(), &60.into()));
}

#[test]
fn users_nobody_knows_anything_of_are_counted() {
    let _alone = one_at_a_time();
    let place = Place::new();
    // The last 10 of 40 users come after the training part has ended.
    let late: String = (0..10).map(|user| format!("late{user},i{},1800000000\n", user % 40)).collect();
    let here: String = (0..30).map(|user| format!("u{user},i{},1800000000\n", (user + 5) % 40)).collect();
    place.write("log.csv", log(30, 12) + &here + &late);
    let split = "split: {kind: by_time, validation: 2026-01-01, test: 2026-02-01}\n";
    place.write("job.yaml", format!("{JOB}{split}"));
    let ended = place.run(&["local", "job.yaml", "--workers", "2"]).expect_exit(0);
    assert!(ended.stdout.contains("(10 more have no history to go by)"), "{}", ended.stdout);
    let report: serde_json::Value =
        serde_json::from_str(&place.read("runs/figures/evaluation-test.json")).expect("JSON");
    assert_eq!(report["without_history"], 10);
    assert!(report["users"].as_u64().is_some_and(|users| users > 0 && users <= 30), "{report:#}");
}

#[test]
fn an_evaluation_is_kept_whatever_becomes_of_the_export() {
    let _alone = one_at_a_time();
    let place = Place::new();
    place.write("log.csv", log(40, 12));
    place.write("job.yaml", JOB);
    // Where the export is to be written there is a file already.
    place.write("taken", "not a directory");
    let ended = place.run(&["local", "job.yaml", "--set", "export.uri=taken/export"]);
    assert_ne!(ended.exit(), Some(0), "{}", ended.stderr);
    assert!(place.path("runs/figures/evaluation-test.json").exists(), "{}", ended.stderr);
}

#[test]
fn weights_that_teach_nothing_are_refused() {
    let _alone = one_at_a_time();
    let place = Place::new();
    let with_action: String = log(40, 12)
        .lines()
        .enumerate()
        .map(|(line, row)| format!("{row},{}\n", if line == 0 { "action" } else { "click" }))
        .collect();
    place.write("log.csv", with_action);
    let log = "log: {uri: log.csv, columns: {action: action}, actions: {click: {weight: 0}}}";
    place.write("job.yaml", JOB.replace("log: {uri: log.csv}", log));
    let ended = place.run(&["local", "job.yaml"]).expect_exit(2);
    assert!(ended.stderr.contains("weight"), "{}", ended.stderr);
}
