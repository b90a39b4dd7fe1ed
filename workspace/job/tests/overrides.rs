//! `--set FIELD=VALUE`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use twinspire_job::{FeatureKind, JobError, JobFile, JobSpec, Override, Workers};

const JOB: &str = "
name: demo
log: {uri: a.parquet, columns: {action: kind}}
workers: 2
catalogue:
  uri: items.parquet
  features:
    - {name: title, type: text}
    - {name: image, type: vector, dim: 32}
train: {epochs: 3}
";

fn set(overrides: &[&str]) -> Result<JobSpec, JobError> {
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    JobFile::parse(JOB, "job.yaml", &overrides).map(JobFile::into_spec)
}

#[track_caller]
fn refused(overrides: &[&str], expected: &str) {
    let message = set(overrides).unwrap_err().to_string();
    assert!(message.contains(expected), "`{expected}` is not in `{message}`");
}

#[test]
fn any_field_can_be_set() {
    let spec = set(&[
        "seed=9",
        "towers.item.features=[title]",
        "catalogue.features[1].dim=64",
        "catalogue.features.0.column=headline",
        "train.optimizer={kind: sgd, lr: 0.1}",
        "workers.min=1",
        "workers.max=4",
        "recovery_target=10s",
        "log.uri=[x.parquet, y.parquet]",
        "loss.negatives.random=16",
        "evaluate.k=[5]",
    ])
    .unwrap();
    assert_eq!(spec.seed, 9);
    assert_eq!(spec.towers.item.features, Some(vec!["title".to_owned()]));
    let catalogue = spec.catalogue.unwrap();
    assert_eq!(catalogue.features[1].kind, FeatureKind::Vector { dim: 64 });
    assert_eq!(catalogue.features[0].column(), "headline");
    assert_eq!(spec.train.optimizer.lr, 0.1);
    assert_eq!(spec.train.optimizer.beta1, 0.0, "SGD without momentum, as it was not asked for");
    assert_eq!(spec.workers, Workers::Range { min: 1, max: 4 });
    assert_eq!(spec.log.uri, ["x.parquet", "y.parquet"]);
}

#[test]
fn text_is_taken_as_it_stands() {
    let spec = set(&[
        "log.filter=kind = 'x: y' # and more",
        "log.uri=*.parquet",
        "name=123",
        "log.columns.user={id}",
        "catalogue.features[0].name='title'",
        "towers.item.features=['title']",
    ])
    .unwrap();
    assert_eq!(spec.log.filter.unwrap(), "kind = 'x: y' # and more");
    assert_eq!(spec.log.uri, ["*.parquet"]);
    assert_eq!(spec.name, "123");
    assert_eq!(spec.log.columns.user, "{id}");
    assert_eq!(spec.catalogue.unwrap().features[0].name, "title");
}

#[test]
fn keys_of_the_users_own_can_be_quoted() {
    let spec = set(&["log.actions.\"add.to.cart\".weight=2", "log.actions.view.positive=false"]).unwrap();
    assert_eq!(spec.log.actions["add.to.cart"].weight, 2.0);
    assert!(!spec.log.actions["view"].positive);
}

#[test]
fn lists_grow_by_one_at_their_end() {
    let spec = set(&["log.uri[1]=b.parquet", "evaluate.k[0]=3"]).unwrap();
    assert_eq!(spec.log.uri, ["a.parquet", "b.parquet"]);
    assert_eq!(spec.evaluate.k, [3]);
    refused(&["catalogue.features[5].dim=3"], "there is no entry 5, the list has 2");
}

#[test]
fn null_takes_a_field_away() {
    assert!(set(&["catalogue=null", "towers.item.id_embedding=table"]).unwrap().catalogue.is_none());
    refused(
        &["lanes=null"],
        "--set lanes=null: lanes: this must be a whole number from 1 to 65536, not nothing (null)",
    );
}

#[test]
fn steps_take_the_place_of_epochs_and_the_other_way_round() {
    let spec = set(&["train.steps=100"]).unwrap();
    assert_eq!((spec.train.steps, spec.train.epochs), (Some(100), None));
    refused(&["train.steps=100", "train.epochs=3"], "both steps and epochs are given");
}

#[test]
fn the_last_of_two_overrides_holds() {
    assert_eq!(set(&["seed=1", "seed=2"]).unwrap().seed, 2);
}

#[test]
fn a_wrong_override_names_itself_and_the_nearest_field() {
    refused(
        &["train.stpes=1"],
        "--set train.stpes=1: train.stpes: `stpes` is not a field of `train`: did you mean `train.steps`? [TW1003]",
    );
    refused(&["steps=1"], "did you mean `train.steps`?");
    refused(&["lr=1"], "`lr` is not a field of a job");
    refused(&["name.x=1"], "`name` has no fields: it is text");
    refused(&["seed[0]=1"], "`seed` is not a list");
    refused(&["train.steps=many"], "--set train.steps=many: train.steps: this must be");
    refused(
        &["train.global_batch=102"],
        "--set train.global_batch=102: train.global_batch: 102 is not a multiple of lanes (4)",
    );
    refused(&["evaluate.k=[1"], "[TW1012]");
    refused(&["split.kind=by_time"], "`validation` is missing");
}

#[test]
fn several_wrong_overrides_are_told_at_once() {
    let error = set(&["sed=1", "lanes=x", "train.steps=100"]).unwrap_err();
    assert_eq!(error.problems().len(), 2, "{error}");
}

#[test]
fn what_is_no_override_says_how_one_is_written() {
    for text in ["train.steps", "=5", "a..b=1", "a[x]=1", ""] {
        let message = text.parse::<Override>().unwrap_err();
        assert!(message.contains("--set train.steps=100"), "{message}");
    }
}

#[test]
fn overrides_alone_make_a_job() {
    let overrides: Vec<Override> = ["name=a", "log.uri=x", "towers.item.id_embedding=table"]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    assert_eq!(JobFile::parse("", "job.yaml", &overrides).unwrap().spec().name, "a");
}

proptest! {
    #[test]
    fn numbers_come_back_as_they_were_set(seed: u64, lr in 1e-12f64..1e3, bytes in 1_000_000u64..) {
        let spec = set(&[
            &format!("seed={seed}"),
            &format!("train.optimizer.lr={lr:e}"),
            &format!("prepare.memory={bytes}B"),
        ]).unwrap();
        prop_assert_eq!(spec.seed, seed);
        prop_assert_eq!(spec.train.optimizer.lr, lr);
        prop_assert_eq!(spec.prepare.memory.0, bytes);
    }

    #[test]
    fn filters_come_back_as_they_were_set(filter in "[a-z(][ -~äß]{0,40}[a-z)]") {
        prop_assume!(filter != "null");
        let spec = set(&[&format!("log.filter={filter}")]).unwrap();
        prop_assert_eq!(spec.log.filter.unwrap(), filter);
    }

    /// Whatever is passed, there is an answer and no panic.
    #[test]
    fn any_text_is_an_override_or_an_error(text in "\\PC{0,60}") {
        if let Ok(change) = text.parse::<Override>() {
            let _ = JobFile::parse(JOB, "job.yaml", &[change]);
        }
    }
}
