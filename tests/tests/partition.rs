//! A worker that is cut off from everybody: the others go on from memory, and it comes back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value;
use twinspire_tests::{Network, Service, one_at_a_time};

/// Three times the job's `recovery_target`, in seconds: other things run here too.
const GENEROUS: f64 = 30.0;

#[test]
fn a_worker_that_is_cut_off_does_no_harm_and_comes_back() {
    let _alone = one_at_a_time();
    let network = match Network::new(3) {
        Ok(network) => network,
        Err(why) => return println!("skipped: {why}"),
    };
    let address = format!("{}:0", network.host());
    let mut service = Service::at(&address, 1, &["--settle", "2s"], Vec::new());
    for machine in 0..3 {
        service.add_worker_in(network.machine(machine), &format!("w{machine}"));
    }
    let fields = [
        "workers={min: 1, max: 3}",
        "train.steps=900",
        "train.log_every=1",
        "recovery_target=10s",
        "checkpoint.every_steps=1000000",
        "checkpoint.every=1h",
    ];
    service.submit("cut", &fields, &[]).expect_exit(0);
    let of = |workers: usize| move |job: &Value| job["workers"].as_array().map(Vec::len) == Some(workers);
    service.wait_for_job("cut", "on three workers", of(3));
    service.wait_until_trained("cut", 20);

    network.cut(1);
    service.wait_for_job("cut", "on two workers", of(2));
    let without = service.trained("cut");
    service.wait_until_trained("cut", without + 20);
    network.mend(1);
    service.wait_for_job("cut", "on three workers again", of(3));

    let done = service.wait_for_phase("cut", "succeeded");
    let began = service.began_at("cut");
    assert!(began.len() >= 3, "{began:?}");
    assert!(began.iter().skip(1).all(|step| *step >= 20), "there was no checkpoint to go back to: {began:?}");
    let stood_still = longest_pause(&service.place.read("runs/cut/metrics.jsonl"));
    println!("with a worker cut off training stood still for {stood_still:.1} s");
    assert!(stood_still < GENEROUS, "{stood_still} s");
    assert_eq!(service.assert_all_rows_were_trained_once("cut"), 900, "{done:#}");
}

/// The longest time between two steps, in seconds.
fn longest_pause(metrics: &str) -> f64 {
    let times: Vec<f64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["time"].as_f64().unwrap())
        .collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max)
}
