//! Defaults that depend on other fields.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use twinspire_job::{
    BestMetric, IdEmbedding, ItemEncoder, JobFile, JobSpec, LogQ, OptimizerKind, SplitSpec, TimeFeatures,
};

fn job(rest: &str) -> JobSpec {
    let text = format!("name: demo\ntowers: {{item: {{id_embedding: table}}}}\n{rest}");
    JobFile::parse(&text, "job.yaml", &[]).unwrap().into_spec()
}

#[test]
fn a_job_without_a_catalogue_knows_items_by_their_id() {
    let text = "name: my-job\nlog: {uri: events.parquet, columns: {user: u, item: i}}\n";
    let file = JobFile::parse(text, "job.yaml", &[]).unwrap();
    let item = &file.spec().towers.item;
    assert_eq!((item.encoder, item.id_embedding), (ItemEncoder::Id, IdEmbedding::Table));
    let explained = file.explain();
    assert!(
        explained.contains("encoder: id\n") && explained.contains("id_embedding: table\n"),
        "{explained}"
    );
}

#[test]
fn what_is_said_about_the_item_tower_is_kept() {
    let item = |rest: &str| {
        let text = format!("name: a\nlog: {{uri: a}}\n{rest}");
        let item = JobFile::parse(&text, "job.yaml", &[]).unwrap().into_spec().towers.item;
        (item.encoder, item.id_embedding)
    };
    let hashed = "towers: {item: {id_embedding: hash}}\n";
    assert_eq!(item(hashed), (ItemEncoder::Id, IdEmbedding::Hash));
    let mlp = "towers: {item: {encoder: mlp, id_embedding: table}}\n";
    assert_eq!(item(mlp), (ItemEncoder::Mlp, IdEmbedding::Table));
    let catalogue = "catalogue: {uri: i, features: [{name: title, type: text}]}\n";
    assert_eq!(item(catalogue), (ItemEncoder::Transformer, IdEmbedding::None));
    let ignored = format!("{catalogue}towers: {{item: {{encoder: id}}}}\n");
    assert_eq!(item(&ignored), (ItemEncoder::Id, IdEmbedding::Table));
}

#[test]
fn a_log_without_time_has_no_time_features_and_no_window() {
    let spec = job("log: {uri: a, columns: {timestamp: null, order: n}}\n");
    assert_eq!(spec.towers.user.time, TimeFeatures { absolute: false, since_latest: false, gap: false });
    assert_eq!(spec.towers.user.window.0, Duration::ZERO);
}

#[test]
fn a_log_with_all_columns_has_all_features() {
    let spec = job("log: {uri: a, columns: {action: a, surface: s, duration: d}}\n");
    let user = &spec.towers.user;
    assert_eq!(user.time, TimeFeatures { since_latest: false, ..TimeFeatures::default() });
    assert_eq!((user.action_dim, user.surface_dim, user.duration), (32, 8, true));
    assert_eq!(user.window.0, Duration::from_secs(28 * 86_400));
}

#[test]
fn only_an_objective_that_asks_at_the_end_is_told_the_time_since_the_latest_action() {
    let since_latest = |user: &str| {
        let text = format!("name: demo\nlog: {{uri: a}}\ntowers: {{user: {user}}}\n");
        JobFile::parse(&text, "job.yaml", &[]).unwrap().into_spec().towers.user.time.since_latest
    };
    assert!(since_latest("{objective: next_action}") && since_latest("{objective: all_action}"));
    assert!(!since_latest("{objective: sasrec}") && !since_latest("{objective: dense_all_action}"));
    assert!(since_latest("{objective: sasrec, time: {since_latest: true}}"), "as asked for");
}

#[test]
fn columns_a_log_does_not_have_are_not_read() {
    let spec = job("log: {uri: a}\n");
    let user = &spec.towers.user;
    assert_eq!((user.action_dim, user.surface_dim, user.duration), (0, 0, false));
}

#[test]
fn training_goes_on_for_ten_epochs_unless_told_otherwise() {
    assert_eq!(job("log: {uri: a}\n").train.epochs, Some(10));
    let steps = job("log: {uri: a}\ntrain: {steps: 5}\n").train;
    assert_eq!((steps.epochs, steps.steps), (None, Some(5)));
}

#[test]
fn the_feed_forward_block_is_four_times_as_wide_as_its_tower() {
    let text = "name: a\nlog: {uri: a}\ntowers: {item: {id_embedding: table, d_model: 64}, user: {d_model: 32, ffn: 0}}\n";
    let spec = JobFile::parse(text, "job.yaml", &[]).unwrap().into_spec();
    assert_eq!((spec.towers.item.ffn, spec.towers.user.ffn), (256, 128));
}

#[test]
fn modes_without_random_negatives_have_none() {
    let full = job("log: {uri: a}\nloss: {negatives: {mode: full}}\n").loss;
    assert_eq!((full.negatives.random, full.logq), (0, LogQ::Off));
    let in_batch = job("log: {uri: a}\nloss: {negatives: {mode: in_batch}}\n").loss;
    assert_eq!((in_batch.negatives.random, in_batch.logq), (0, LogQ::Sketch));
}

#[test]
fn sgd_has_no_momentum_unless_it_is_given() {
    let spec =
        job("log: {uri: a}\ntrain: {optimizer: {kind: sgd}, table_optimizer: {kind: sgd, beta1: 0.5}}\n");
    assert_eq!(spec.train.optimizer.kind, OptimizerKind::Sgd);
    assert_eq!(spec.train.optimizer.beta1, 0.0);
    assert_eq!(spec.train.table_optimizer.unwrap().beta1, 0.5);
}

#[test]
fn steps_between_evaluations_replace_epochs() {
    assert_eq!(job("log: {uri: a}\nevaluate: {every_steps: 100}\n").evaluate.every_epochs, 0);
    assert_eq!(
        job("log: {uri: a}\nevaluate: {every_steps: 100, every_epochs: 2}\n").evaluate.every_epochs,
        2
    );
}

#[test]
fn a_split_without_validation_rows_works_as_it_stands() {
    let spec = job("log: {uri: a, columns: {timestamp: null}}\nsplit: {kind: files, test: t}\n");
    assert_eq!(spec.split, SplitSpec::Files { validation: vec![], test: vec!["t".into()] });
    assert_eq!((spec.evaluate.best, spec.evaluate.every_epochs), (BestMetric::Last, 0));
}

#[test]
fn results_lie_beside_each_other_unless_told_otherwise() {
    let spec = job("log: {uri: a}\nruns: s3://bucket/runs/\nexport: {uri: out}\n");
    assert_eq!(spec.checkpoint_uri(), "s3://bucket/runs/demo/checkpoints");
    assert_eq!(spec.export_uri(), "out");
}
