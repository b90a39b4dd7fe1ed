//! Datasets after they were made: what they say to their owner, and what is said when they are
//! damaged.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};

use serde_json::Value;
use twinspire_tests::{Place, flip_a_byte, one_at_a_time};

/// The one dataset under `runs`.
fn dataset(place: &Place) -> String {
    let files = place.files("runs/datasets");
    let manifest = files.iter().find(|file| file.ends_with("manifest.json")).expect("a dataset");
    manifest.parent().and_then(|directory| directory.to_str()).expect("a directory").to_owned()
}

#[test]
fn what_its_owner_should_know_is_said_again_whenever_a_dataset_is_used() {
    let _alone = one_at_a_time();
    let place = Place::new();
    let rows = (0..200).map(|i| format!("u{},i{},{}\n", i % 20, (i * 7 + i / 20) % 10, 1_700_000_000 + i));
    place.write("log.csv", format!("user_id,item_id,timestamp\n{}", rows.collect::<String>()));
    let items: String = (0..9).map(|item| format!("i{item},the title of {item}\n")).collect();
    place.write("items.csv", format!("item_id,title\n{items}"));
    place.write(
        "job.yaml",
        "name: told\nlog: {uri: log.csv}\n\
         catalogue: {uri: items.csv, features: [{name: title, type: text}]}\n",
    );
    let warning = "1 of 10 items of the log have no row in the catalogue (`i9` is one)";

    for reused in [false, true] {
        let ended = place.run(&["prepare", "job.yaml"]).expect_exit(0);
        assert_eq!(ended.stderr.contains("there already"), reused, "{}", ended.stderr);
        for printed in [&ended.stderr, &ended.stdout] {
            assert!(printed.contains("WARNING") && printed.contains(warning), "reused {reused}: {printed}");
        }
    }
    let dataset = dataset(&place);
    let describe = |output: &str| place.run(&["dataset", "describe", &dataset, "-o", output]).expect_exit(0);
    assert!(describe("text").stdout.contains(warning), "{}", describe("text").stdout);
    let described = describe("json").json();
    assert!(described["warnings"][0].as_str().is_some_and(|told| told.contains(warning)), "{described:#}");

    // Datasets made before warnings were kept have none.
    let manifest = place.path(&dataset).join("manifest.json");
    let mut old: Value = serde_json::from_str(&place.read(&manifest)).expect("JSON");
    old.as_object_mut().and_then(|old| old.remove("warnings")).expect("warnings");
    fs::write(&manifest, old.to_string()).expect("a manifest");
    assert!(!describe("text").stdout.contains("WARNING"), "{}", describe("text").stdout);
    place.run(&["prepare", "job.yaml"]).expect_exit(0);
}

#[test]
fn a_damaged_dataset_is_a_failure_and_nobodys_mistake() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let local = ["local", "ids.yaml", "--set", "train.steps=3"];
    place.run(&["prepare", "ids.yaml"]).expect_exit(0);
    let dataset = dataset(&place);
    let timelines = place.path(&dataset).join("timelines-00000.parquet");
    let whole = fs::read(&timelines).expect("timelines");
    let fails = |arguments: &[&str], code: &str, names: &str| {
        let ended = place.run(arguments).expect_exit(1);
        assert!(ended.stderr.contains(code), "{arguments:?}: not {code}: {}", ended.stderr);
        assert!(ended.stderr.contains(names), "{arguments:?}: {names} is not named: {}", ended.stderr);
        ended
    };

    File::options()
        .write(true)
        .open(&timelines)
        .and_then(|file| file.set_len(100))
        .expect("a file cut short");
    fails(&["dataset", "describe", &dataset], "TW2104", "timelines-00000.parquet");
    let ended = fails(&local, "TW2104", "timelines-00000.parquet");
    // The worker's log is shown, as nobody but Twinspire is to blame: this start's, not that of the
    // run before.
    let shown: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("  | ")).collect();
    let prepares = shown.iter().filter(|line| line.contains("TASK_KIND_PREPARE")).count();
    assert_eq!(prepares, 1, "{}", ended.stderr);
    assert!(shown.iter().any(|line| line.contains("TW2104")), "{}", ended.stderr);

    fs::write(&timelines, &whole).expect("timelines");
    flip_a_byte(&timelines);
    fails(&["dataset", "describe", &dataset, "--verify"], "TW2105", "timelines-00000.parquet");

    fs::write(&timelines, &whole).expect("timelines");
    let manifest = place.path(&dataset).join("manifest.json");
    let text = place.read(&manifest);
    fs::write(&manifest, &text[..text.len() / 2]).expect("half a manifest");
    fails(&["dataset", "describe", &dataset], "TW2102", &dataset);
    fails(&local, "TW2102", &dataset);

    // Without a manifest it is no dataset: to look at it is a mistake, to prepare it again is not.
    fs::remove_file(&manifest).expect("a manifest");
    let ended = place.run(&["dataset", "describe", &dataset]).expect_exit(2);
    assert!(ended.stderr.contains("TW2101"), "{}", ended.stderr);
    place.run(&local).expect_exit(0);
}
