//! A worker that cannot do what the others can: it is left out, and the job waits for others rather than fail.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;
use twinspire_tests::{Service, no_small_disks, one_at_a_time};

const JOB: &str = "long";

/// Trains until it is told to stop.
const FIELDS: [&str; 3] = ["workers={min: 1, max: 3}", "train.steps=1000000", "checkpoint.every=1s"];

#[test]
fn a_worker_that_does_not_see_the_dataset_never_fails_a_job_that_others_trained() {
    let _alone = one_at_a_time();
    if let Some(why) = no_small_disks() {
        return println!("skipped: {why}");
    }
    let mut service = Service::with_workers(1);
    service.submit(JOB, &FIELDS, &[]).expect_exit(0);
    service.wait_for_job(JOB, "at a checkpoint", |job| job["checkpoint_step"].as_u64() > Some(0));

    service.add_worker_blind_to("runs", "blind");
    let leaves_it_out = |job: &Value| job["left_out"][0]["worker"] == "blind";
    let job = service.wait_for_job(JOB, "without the blind one", leaves_it_out);
    assert_eq!((&job["phase"], &job["workers"][0]), (&"running".into(), &"pool".into()), "{job:#}");
    let workers = service.ask(&["workers"]);
    let blind = workers.as_array().unwrap().iter().find(|worker| worker["name"] == "blind").unwrap();
    assert_eq!(blind["left_out_of"][0], JOB, "{blind:#}");
    let told = |event: &&Value| event["kind"] == "not-ready";
    assert_eq!(service.events(JOB).iter().filter(told).count(), 1);

    service.take_workers().kill_all();
    let waits = |job: &Value| job["reason"].as_str().is_some_and(|reason| reason.contains("beside blind"));
    let job = service.wait_for_job(JOB, "waiting for others", waits);
    assert_eq!((&job["phase"], &job["failure"]), (&"pending".into(), &Value::Null), "{job:#}");
    service.add_workers("another", 1);
    let job = service.wait_for_phase(JOB, "running");
    assert_eq!(job["workers"][0], "another", "{job:#}");

    service.run(&["cancel", JOB]).expect_exit(0);
    service.wait_for_phase(JOB, "cancelled");
    service.assert_all_rows_were_trained_once(JOB);
}

#[test]
fn a_worker_that_may_not_write_checkpoints_is_not_let_in() {
    let _alone = one_at_a_time();
    if let Some(why) = no_small_disks() {
        return println!("skipped: {why}");
    }
    let mut service = Service::with_workers(1);
    service.submit(JOB, &FIELDS, &[]).expect_exit(0);
    let at_checkpoint = |job: &Value| job["checkpoint_step"].as_u64() > Some(0);
    service.wait_for_job(JOB, "at a checkpoint", at_checkpoint);

    service.add_worker_reading_only("runs", "reader");
    let leaves_it_out = |job: &Value| job["left_out"][0]["worker"] == "reader";
    let job = service.wait_for_job(JOB, "without the reader", leaves_it_out);
    assert_eq!(job["left_out"][0]["code"], "TW3007", "{job:#}");
    let newest = job["checkpoint_step"].as_u64();
    service.wait_for_job(JOB, "at a newer checkpoint", |job| job["checkpoint_step"].as_u64() > newest);

    service.run(&["cancel", JOB]).expect_exit(0);
    service.wait_for_phase(JOB, "cancelled");
    service.assert_all_rows_were_trained_once(JOB);
}
