//! Invariant 5, seen from outside: training goes on while nobody can decide anything, and what was trained meanwhile
//! counts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use twinspire_test_etcd::Cluster;
use twinspire_tests::{Service, one_at_a_time, until};

const JOB: &str = "long";

/// Steps that are trained while a fault lasts.
const MEANWHILE: u64 = 30;

/// Trains until it is told to stop; every step is in the metrics.
const FIELDS: [&str; 5] =
    ["workers=2", "train.steps=1000000", "train.log_every=1", "checkpoint.every=1s", "chaos=true"];

fn trains_on(service: &Service) {
    service.wait_until_trained(JOB, service.trained(JOB) + MEANWHILE);
}

/// Waits until a coordinator knows of all that was trained up to now.
fn is_known(service: &Service) {
    let trained = service.trained(JOB);
    service.wait_for_job(JOB, &format!("known to be at step {trained}"), |job| {
        job["training"]["step"].as_u64() >= Some(trained) && job["phase"] == "running"
    });
}

#[test]
fn training_goes_on_without_etcd_members_quorum_or_the_coordinator_that_leads() {
    let _alone = one_at_a_time();
    let Some(mut etcd) = Cluster::start(3).expect("three etcd servers") else { return };
    let mut service = Service::new(2, &["--state", &etcd.place("twinspire")], Vec::new());
    service.add_workers("node", 2);
    service.submit(JOB, &FIELDS, &[]).expect_exit(0);
    service.wait_for_job(JOB, "at a checkpoint", |job| job["checkpoint_step"].as_u64() > Some(0));

    let first = etcd.leader();
    etcd.kill(first);
    trains_on(&service);
    is_known(&service);

    let second = (first + 1) % 3;
    etcd.kill(second);
    trains_on(&service);
    until("nobody leads without a quorum", || (!service.leads()).then_some(()));
    trains_on(&service);
    for member in [first, second] {
        etcd.restart(member).expect("etcd");
    }
    until("a coordinator is to lead again", || service.leads().then_some(()));
    is_known(&service);

    let chaos = ["chaos", JOB, "kill-coordinator", "--most", "1", "--every", "1s", "--no-wait", "-o", "json"];
    let report = service.run(&chaos).expect_exit(0).json();
    assert_eq!(report["strikes"][0]["fault"], "kill-coordinator", "{report:#}");
    assert!(report["strikes"][0]["recovery_ms"].is_u64(), "{report:#}");
    trains_on(&service);
    is_known(&service);

    assert_eq!(service.began_at(JOB), [0], "training was never interrupted");
    service.run(&["cancel", JOB]).expect_exit(0);
    service.wait_for_phase(JOB, "cancelled");
    assert_eq!(service.assert_all_rows_were_trained_once(JOB), service.trained(JOB));
}
