//! Generated logs, read back.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use twinspire_generate::{GenerateSpec, generate, job_yaml};

fn small() -> GenerateSpec {
    GenerateSpec { users: 300, items: 400, events: 9_000, ..GenerateSpec::default() }
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = fs::File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

fn contents(dir: &Path) -> HashMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    entries.map(|e| (e.file_name().to_string_lossy().into_owned(), fs::read(e.path()).unwrap())).collect()
}

#[test]
fn a_log_has_exactly_the_events_asked_for_within_the_days_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let summary = generate(&small(), dir.path(), &|_| ()).unwrap();
    assert_eq!((summary.users, summary.items, summary.events), (300, 400, 9_000));
    let batches = read(&dir.path().join("events-00000.parquet"));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 9_000);
    let users: std::collections::HashSet<String> = batches
        .iter()
        .flat_map(|b| {
            b["user_id"].as_string::<i32>().iter().map(|u| u.unwrap().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(users.len(), 300);
    let times: Vec<i64> =
        batches.iter().flat_map(|b| b["timestamp"].as_primitive::<Int64Type>().values().to_vec()).collect();
    let spec = small();
    let days = (times.iter().max().unwrap() - spec.start_ms) / 86_400_000;
    assert!(*times.iter().min().unwrap() >= spec.start_ms && days <= i64::from(spec.days) + 1);
}

#[test]
fn the_catalogue_describes_every_item_and_lacks_some_pictures() {
    let dir = tempfile::tempdir().unwrap();
    generate(&small(), dir.path(), &|_| ()).unwrap();
    let items = &read(&dir.path().join("items.parquet"))[0];
    assert_eq!(items.num_rows(), 400);
    let missing = items["image_vectors"].null_count();
    assert!((10..120).contains(&missing), "{missing} of 400");
    assert_eq!(items["item_id"].as_string::<i32>().value(17), "i0000017");
}

#[test]
fn the_same_spec_gives_the_same_bytes_on_any_number_of_threads() {
    let (one, four) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let spec = GenerateSpec { users: 2_000, items: 300, events: 1_200_000, ..GenerateSpec::default() };
    generate(&GenerateSpec { threads: 1, ..spec.clone() }, one.path(), &|_| ()).unwrap();
    let summary = generate(&GenerateSpec { threads: 4, ..spec }, four.path(), &|_| ()).unwrap();
    assert_eq!(summary.event_files, 2);
    assert!(contents(one.path()) == contents(four.path()));
}

#[test]
fn another_spec_replaces_what_was_generated_and_other_files_are_never_touched() {
    let dir = tempfile::tempdir().unwrap();
    let spec = GenerateSpec { users: 2_000, items: 300, events: 1_200_000, ..GenerateSpec::default() };
    generate(&spec, dir.path(), &|_| ()).unwrap();
    generate(&small(), dir.path(), &|_| ()).unwrap();
    assert!(!dir.path().join("events-00001.parquet").exists());

    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("events-00000.parquet"), "mine").unwrap();
    let why = generate(&small(), foreign.path(), &|_| ()).unwrap_err();
    assert_eq!(why.code(), "TW2091");
    assert_eq!(fs::read(foreign.path().join("events-00000.parquet")).unwrap(), b"mine");
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    for (spec, field) in [
        (GenerateSpec { users: 1, ..small() }, "users"),
        (GenerateSpec { items: 3, ..small() }, "items"),
        (GenerateSpec { events: 10, ..small() }, "events"),
        (GenerateSpec { days: 0, ..small() }, "days"),
    ] {
        let why = generate(&spec, dir.path(), &|_| ()).unwrap_err();
        assert_eq!(why.code(), "TW2090");
        assert!(why.to_string().starts_with(field), "{why}");
    }
}

#[test]
fn the_job_file_knows_the_length_of_the_vectors() {
    let dir = tempfile::tempdir().unwrap();
    generate(&GenerateSpec { vector_dim: 16, ..small() }, dir.path(), &|_| ()).unwrap();
    assert!(job_yaml(dir.path()).contains("dim: 16"));
}

#[test]
fn the_job_file_names_the_files_that_were_written() {
    let text = job_yaml(Path::new("data/demo"));
    assert!(text.contains("data/demo/events-*.parquet") && text.contains("data/demo/items.parquet"));
    assert!(text.contains("name: demo\n"));
    assert!(job_yaml(Path::new("..")).contains("name: generated\n"));
}
