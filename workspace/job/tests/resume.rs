//! Which changes of a job file let a run go on; what names a dataset.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use twinspire_job::{JobFile, JobSpec, Override, resume_conflicts};

const JOB: &str = "
name: demo
log: {uri: a.parquet}
towers: {item: {id_embedding: table}}
train: {epochs: 10}
";

fn job(overrides: &[&str]) -> JobSpec {
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    JobFile::parse(JOB, "job.yaml", &overrides).unwrap().into_spec()
}

fn conflicts(old: &[&str], new: &[&str]) -> Vec<String> {
    resume_conflicts(&job(old), &job(new)).iter().map(ToString::to_string).collect()
}

#[test]
fn where_and_how_fast_a_job_runs_may_change() {
    let changes = [
        "workers=3",
        "device=cpu",
        "recovery_target=10s",
        "runs=elsewhere",
        "evaluate.k=[5]",
        "checkpoint.keep_last=9",
        "export.weights=false",
        "train.log_every=1",
        "train.threads=1",
        "train.graphs=recompute",
        "prepare.memory=1GB",
        "loss.tile_rows=7",
    ];
    assert_eq!(conflicts(&[], &changes), Vec::<String>::new());
}

#[test]
fn what_is_trained_may_not() {
    assert_eq!(
        conflicts(&[], &["seed=8", "train.global_batch=512", "towers.user.layers=1", "log.filter=x > 1"]),
        [
            "seed was 7 and is now 8",
            "log.filter was null and is now \"x > 1\"",
            "towers.user.layers was 6 and is now 1",
            "train.global_batch was 256 and is now 512",
        ]
    );
    let catalogue = ["catalogue.uri=i", "catalogue.features=[{name: a, type: text}]"];
    let [what, tower] = &conflicts(&[], &catalogue)[..] else { panic!("{:?}", conflicts(&[], &catalogue)) };
    assert!(what.starts_with("catalogue was null"), "{what}");
    assert_eq!(tower, "towers.item.encoder was \"id\" and is now \"transformer\"");
}

#[test]
fn training_may_grow_longer_and_not_shorter() {
    assert_eq!(conflicts(&[], &["train.epochs=20"]), Vec::<String>::new());
    assert_eq!(conflicts(&["train.steps=100"], &["train.steps=200"]), Vec::<String>::new());
    assert_eq!(conflicts(&[], &["train.epochs=5"]), ["train.epochs was 10 and is now 5"]);
    assert_eq!(
        conflicts(&[], &["train.steps=500"]),
        ["train.epochs was 10 and is now null", "train.steps was null and is now 500"]
    );
}

#[test]
fn a_fingerprint_is_of_the_values_and_not_of_how_they_were_given() {
    assert_eq!(job(&[]).fingerprint(), job(&["seed=7", "train.epochs=10"]).fingerprint());
    assert_ne!(job(&[]).fingerprint(), job(&["seed=8"]).fingerprint());
    assert_eq!(job(&[]).fingerprint().len(), 32);
}

#[test]
fn only_what_decides_the_dataset_names_it() {
    let inputs = |overrides: &[&str]| job(overrides).dataset_fingerprint_inputs();
    assert_eq!(inputs(&[]), inputs(&["seed=8", "prepare.memory=1GB", "prepare.threads=2", "towers.dim=8"]));
    for change in
        ["log.min_user_actions=5", "prepare.shard_actions=10", "log.filter=a", "split={kind: files, test: t}"]
    {
        assert_ne!(inputs(&[]), inputs(&[change]), "{change}");
    }
}
