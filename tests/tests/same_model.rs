//! Invariant 1: the number of workers changes nothing but speed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use twinspire_tests::{Place, StateTensors, one_at_a_time};

/// Of the norm of each tensor: rounding, after a hundred steps.
const TOLERANCE: f64 = 1e-4;

fn is_the_same_model_at_every_worker_count(job: &str) {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let states: Vec<StateTensors> = [1, 2, 3]
        .map(|workers| {
            let (name, count) = (format!("{job}-{workers}"), workers.to_string());
            let (file, set) = (format!("{job}.yaml"), format!("name={name}"));
            place.run(&["local", &file, "--workers", &count, "--set", &set]).expect_exit(0);
            place.state(&name)
        })
        .into();
    for (state, workers) in states.iter().zip(1..) {
        assert_eq!(state.step, 100);
        let difference = states[0].difference(state);
        println!("{job}: {workers} workers differ from one by {difference} after {} steps", state.step);
        assert!(difference.relative <= TOLERANCE, "{job}, {workers} workers: {difference}");
    }
}

#[test]
fn a_feature_tower_with_sampled_negatives_is_the_same_at_every_worker_count() {
    is_the_same_model_at_every_worker_count("features");
}

#[test]
fn an_id_tower_with_the_full_softmax_is_the_same_at_every_worker_count() {
    is_the_same_model_at_every_worker_count("ids");
}
