//! `kill -9` of `coordinator prepare`, at any moment: a dataset is there whole or not at all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use twinspire_tests::{Place, one_at_a_time};

/// Whether a file is the one to wait for.
type Awaited = fn(&Path) -> bool;

/// How far a run has come, by a file that it has written.
const MOMENTS: [(&str, Awaited); 4] = [
    ("the worker has begun", |file| file.ends_with("logs/worker-0.log")),
    ("the log is about to be read", |file| file.ends_with("lock")),
    ("rows are spilled to disk", |file| file.parent().is_some_and(|directory| directory.ends_with("spill"))),
    ("timelines are being written", |file| file.extension().is_some_and(|ending| ending == "parquet")),
];

/// What lies in a directory of datasets: those that look finished, and what broken-off runs left.
fn datasets(place: &Place, runs: &str) -> (Vec<String>, Vec<String>) {
    let entries = std::fs::read_dir(place.path(runs).join("datasets")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.partition(|name| !(name.starts_with('.') && name.ends_with(".partial")))
}

#[test]
fn nothing_that_looks_finished_is_left_and_the_same_command_succeeds() {
    let _alone = one_at_a_time();
    let place = Place::with_log(20_000, 2_000, 600_000);
    // Little memory, so that rows are spilled.
    let prepare = |runs: &str| {
        let runs = format!("runs={runs}");
        let command = ["prepare", "ids.yaml", "-o", "json", "--set", "prepare.memory=2MB", "--set", &runs];
        place.coordinator(&command)
    };
    let undisturbed = prepare("undisturbed").run().expect_exit(0).json();

    for (number, (moment, has_come)) in MOMENTS.into_iter().enumerate() {
        let runs = format!("killed-{number}");
        let mut running = prepare(&runs).start();
        running.wait_until(moment, || place.files(&runs).iter().any(|file| has_come(file)));
        let ended = running.kill();
        assert_eq!(ended.exit(), None, "{moment}: it ended before it was killed\n{}", ended.stderr);
        let (finished, _) = datasets(&place, &runs);
        assert!(finished.is_empty(), "{moment}: {finished:?}");

        let again = prepare(&runs).run().expect_exit(0);
        assert!(!again.stderr.contains("there already"), "{moment}: {}", again.stderr);
        assert_eq!(again.json(), undisturbed, "{moment}");
        let (finished, partial) = datasets(&place, &runs);
        let [dataset] = &finished[..] else { panic!("{moment}: {finished:?}") };
        assert!(partial.is_empty(), "{moment}: what the killed run left is still there: {partial:?}");
        place.run(&["dataset", "describe", dataset, "--runs", &runs, "--verify"]).expect_exit(0);
    }
}
