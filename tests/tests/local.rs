//! One command, from a log to trained towers and everything that is written on the way.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs::File, path::Path};

use arrow::array::{Array, AsArray, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use twinspire_tests::{Place, one_at_a_time};

fn parquet(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("Parquet");
    reader.map(|batch| batch.expect("Parquet")).collect()
}

/// Ids and embeddings of an export; checks that every embedding is `dim` finite floats.
fn embeddings(path: &Path, id: &str, dim: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for batch in parquet(path) {
        let column = batch.column_by_name("embedding").expect("a column `embedding`");
        for row in 0..batch.num_rows() {
            let values = match column.as_fixed_size_list_opt() {
                Some(list) => list.value(row),
                None => column.as_list::<i32>().value(row),
            };
            let values = values.as_primitive::<arrow::datatypes::Float32Type>();
            assert_eq!((values.len(), values.null_count()), (dim, 0), "row {row} of {}", path.display());
            assert!(values.values().iter().all(|value| value.is_finite()), "row {row} of {}", path.display());
        }
        let column = batch.column_by_name(id).unwrap_or_else(|| panic!("no column `{id}`"));
        ids.extend(column.as_string::<i32>().iter().map(|id| id.expect("an id").to_owned()));
    }
    ids
}

fn metrics(place: &Place, job: &str) -> Vec<Value> {
    let text = place.read(format!("runs/{job}/metrics.jsonl"));
    text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect()
}

#[test]
fn a_job_learns_more_than_popularity_and_writes_all_it_names() {
    let _alone = one_at_a_time();
    let place = Place::with_log(1000, 500, 60_000);
    let validate = ["--set", "evaluate.every_steps=100", "--set", "evaluate.best=ndcg"];
    let longer = ["local", "ids.yaml", "--workers", "2", "--set", "train.steps=300"];
    let ended = place.run(&[&longer[..], &validate, &["-o", "json"]].concat()).expect_exit(0);
    let result = ended.json();

    assert_eq!([&result["job"], &result["outcome"]], ["ids", "succeeded"]);
    assert_eq!(result["steps"], 300);
    let evaluation = &result["evaluation"];
    assert_eq!(evaluation["split"], "test");
    let [model, popularity] =
        ["model", "popularity"].map(|ranking| evaluation[ranking]["ndcg"]["10"].as_f64().expect("NDCG@10"));
    println!("NDCG@10 {model:.4}, popularity {popularity:.4}");
    assert!(model > 1.1 * popularity, "NDCG@10 {model}, popularity {popularity}");

    // All the files it names are there.
    let export: Vec<&str> =
        result["export"].as_array().expect("files").iter().filter_map(Value::as_str).collect();
    for file in ["item-embeddings.parquet", "user-embeddings.parquet", "weights.safetensors"] {
        assert!(export.contains(&file), "{export:?}");
    }
    for file in ["item-tower.pt", "user-tower.pt"] {
        assert!(export.contains(&file), "{export:?}");
    }
    for file in &export {
        assert!(
            place.path("runs/ids/export").join(file).metadata().is_ok_and(|file| file.len() > 0),
            "{file}"
        );
    }
    let on_disk: Value = serde_json::from_str(&place.read("runs/ids/evaluation-test.json")).expect("JSON");
    assert_eq!(&on_disk, evaluation);

    // One row an item, one a user.
    let items = embeddings(&place.path("runs/ids/export/item-embeddings.parquet"), "item_id", 32);
    let users = embeddings(&place.path("runs/ids/export/user-embeddings.parquet"), "user_id", 32);
    assert_eq!(items.len() as u64, evaluation["items"].as_u64().expect("a count"));
    assert_eq!(users.len(), 1000);
    for mut ids in [items, users] {
        let all = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id is there twice");
    }

    // Metrics are in the order of steps, and the loss falls.
    let metrics = metrics(&place, "ids");
    let of = |kind: &str| metrics.iter().filter(|line| line["kind"] == kind).collect::<Vec<_>>();
    let steps =
        |kind: &str| of(kind).iter().map(|line| line["step"].as_u64().expect("a step")).collect::<Vec<_>>();
    assert_eq!(steps("train"), (1..=30).map(|ten| 10 * ten).collect::<Vec<_>>());
    assert_eq!(steps("evaluation"), [100, 200, 300]);
    let losses: Vec<f64> = of("train").iter().map(|line| line["loss"].as_f64().expect("a loss")).collect();
    assert!(losses[29] < losses[0], "{losses:?}");
    let events = place.files("runs/ids/tensorboard");
    assert!(events.iter().any(|file| file.to_string_lossy().contains("tfevents")), "{events:?}");
}

#[test]
fn the_output_for_people_names_the_places() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let ended = place.run(&["local", "features.yaml", "--set", "train.steps=20"]).expect_exit(0);
    for said in [
        "features: done, 20 steps",
        "popularity",
        "ndcg@10",
        "runs/features/evaluation-test.json",
        "runs/features/checkpoints",
        "runs/features/metrics.jsonl",
        "runs/features/export",
    ] {
        assert!(ended.stdout.contains(said), "`{said}` is not in:\n{}", ended.stdout);
    }
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
    let items = embeddings(&place.path("runs/features/export/item-embeddings.parquet"), "item_id", 16);
    assert!(items.len() > 2 && items.len() <= 200);
}

#[test]
fn the_verbs_look_at_what_a_job_left() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let set = ["--set", "train.steps=25", "--set", "checkpoint.keep_last=3"];
    let command = [&["local", "features.yaml", "--workers", "2"][..], &set].concat();
    place.run(&command).expect_exit(0);

    let checkpoints = place.run(&["checkpoints", "features", "-o", "json"]).expect_exit(0).json();
    let checkpoints = checkpoints["checkpoints"].as_array().expect("a list");
    let steps: Vec<u64> = checkpoints.iter().filter_map(|checkpoint| checkpoint["step"].as_u64()).collect();
    assert_eq!(steps, [25, 20, 10]);
    assert!(checkpoints.iter().all(|checkpoint| checkpoint["state"] == "whole"), "{checkpoints:?}");
    assert!(place.run(&["checkpoints", "features"]).expect_exit(0).stdout.contains("whole"));

    let audit = place.run(&["audit", "features", "-o", "json"]).expect_exit(0).json();
    let report = &audit["report"];
    assert_eq!(audit["passed"], true);
    assert_eq!(report["steps"], 25);
    assert!(report["expected"].as_u64() >= Some(300), "{audit:#}");
    assert_eq!(report["trained"], report["expected"]);
    assert_eq!([&report["twice"], &report["never"], &report["unexpected"]], [0, 0, 0], "{audit:#}");

    let all = ["evaluate", "features", "--set", "evaluate.seen=keep", "-o", "json"];
    let report = place.run(&all).expect_exit(0).json();
    assert_eq!([&report["split"], &report["step"]], [&Value::from("test"), &Value::from(25)]);
    assert_eq!(report["users"], 300);
    let earlier = ["evaluate", "features.yaml", "--step", "10", "--split", "validation", "-o", "json"];
    let report = place.run(&[&earlier[..], &set].concat()).expect_exit(0).json();
    assert_eq!([&report["split"], &report["step"]], [&Value::from("validation"), &Value::from(10)]);

    let manifests = place.files("runs/datasets");
    let manifest = manifests.iter().find(|file| file.ends_with("manifest.json")).expect("a dataset");
    let dataset = manifest.parent().and_then(Path::to_str).expect("a directory");
    let described = place.run(&["dataset", "describe", dataset, "--verify"]).expect_exit(0).stdout;
    assert!(described.contains("checksums") && described.contains("right"), "{described}");
    let described = place.run(&["dataset", "describe", dataset, "-o", "json"]).expect_exit(0).json();
    assert_eq!(described["users"], 300);

    place.run(&["export", "features", "--step", "10", "--set", "export.uri=earlier"]).expect_exit(0);
    assert_eq!(embeddings(&place.path("earlier/user-embeddings.parquet"), "user_id", 16).len(), 300);
}

#[test]
fn a_dataset_is_prepared_once() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let first = place.run(&["prepare", "ids.yaml", "-o", "json"]).expect_exit(0).json();
    let written = |files: &[std::path::PathBuf]| -> Vec<_> {
        files.iter().map(|file| file.metadata().and_then(|file| file.modified()).expect("a file")).collect()
    };
    let files = place.files("runs/datasets");
    let before = written(&files);
    let again = place.run(&["prepare", "ids.yaml"]).expect_exit(0);
    assert!(again.stderr.contains("the dataset is there already"), "{}", again.stderr);
    assert_eq!(place.files("runs/datasets"), files);
    assert_eq!(written(&files), before);

    // Elsewhere, later, the same bytes.
    let other =
        ["prepare", "ids.yaml", "--set", "runs=elsewhere", "--set", "prepare.threads=2", "-o", "json"];
    let second = place.run(&other).expect_exit(0).json();
    assert_eq!([&first["fingerprint"], &first["files"]], [&second["fingerprint"], &second["files"]]);
}

#[test]
fn a_log_is_all_a_job_needs() {
    let _alone = one_at_a_time();
    let place = Place::new();
    let rows = (0..400).map(|i| format!("u{},i{},{}\n", i % 20, (i * 7 + i / 20) % 15, 1_700_000_000 + i));
    place.write("log.csv", format!("who,what,when\n{}", rows.collect::<String>()));
    let job = "name: minimal\nlog: {uri: log.csv, columns: {user: who, item: what, timestamp: when}}\n";
    place.write("job.yaml", job);
    place.run(&["validate", "job.yaml"]).expect_exit(0);
    let explained = place.run(&["validate", "job.yaml", "--explain"]).expect_exit(0).stdout;
    assert!(
        explained.contains("encoder: id\n") && explained.contains("id_embedding: table\n"),
        "{explained}"
    );

    // Smaller than the defaults, for the test's sake.
    let small = ["towers.dim=16", "towers.user.d_model=16", "towers.user.layers=1", "train.steps=3"];
    let set: Vec<&str> = small.iter().flat_map(|set| ["--set", set]).collect();
    place.run(&[&["local", "job.yaml"][..], &set].concat()).expect_exit(0);
    let items = embeddings(&place.path("runs/minimal/export/item-embeddings.parquet"), "item_id", 16);
    assert_eq!(items.len(), 15);
}

#[test]
fn mistakes_and_failures_have_exit_codes_of_their_own() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    for (exit, said, command) in [
        (0, "", &["validate", "features.yaml"][..]),
        (2, "TW1001", &["validate", "nowhere.yaml"]),
        (2, "Usage", &["locla", "features.yaml"]),
        (2, "TW5011", &["local", "features.yaml", "--workers", "7"]),
        (2, "TW5009", &["audit", "nobody"]),
        (2, "TW5009", &["checkpoints", "nobody"]),
        (2, "TW1003", &["local", "features.yaml", "--set", "train.stpes=5"]),
        (2, "TW1008", &["local", "features.yaml", "--set", "train.steps=0"]),
        (2, "TW5208", &["evaluate", "features.yaml"]),
        (2, "TW5208", &["export", "features.yaml"]),
        (2, "TW2101", &["dataset", "describe", "log"]),
    ] {
        let ended = place.run(command).expect_exit(exit);
        assert!(ended.stderr.contains(said), "{command:?} does not say {said}:\n{}", ended.stderr);
    }
}

#[test]
fn a_second_coordinator_of_the_same_job_is_refused() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let mut first = place.start(&["local", "features.yaml"]);
    first.wait_until("a checkpoint", || !place.checkpoints("features").is_empty());
    let second = place.run(&["local", "features.yaml"]).expect_exit(1);
    assert!(second.stderr.contains("TW5007"), "{}", second.stderr);
    first.wait().expect_exit(0);
}

#[test]
fn fresh_starts_over() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let command = ["local", "ids.yaml", "--set", "train.steps=20"];
    place.run(&command).expect_exit(0);
    let state = place.state("ids");
    let again = place.run(&[&command[..], &["--fresh"]].concat()).expect_exit(0);
    assert!(again.stderr.contains("starting over"), "{}", again.stderr);
    assert!(state.differing(&place.state("ids")).is_empty(), "the same job from the start is the same model");
    let steps: Vec<u64> = metrics(&place, "ids").iter().filter_map(|line| line["step"].as_u64()).collect();
    assert!(steps.is_sorted(), "metrics of the first run are still there: {steps:?}");
}
