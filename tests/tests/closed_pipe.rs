//! Whoever reads what a command prints may stop reading at any moment: `coordinator … | head -1`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs::{self, File};

use twinspire_tests::{Place, closed_pipe, one_at_a_time};

#[test]
fn a_closed_pipe_ends_a_command_quietly_with_the_exit_code_it_would_have_had() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let job = "ids.yaml";
    let short = ["--set", "train.steps=3"];
    place.run(&["prepare", job]).expect_exit(0);
    let datasets = place.files("runs/datasets");
    let dataset = datasets.first().and_then(|file| file.parent()?.to_str()).expect("a dataset");
    let unheard = |exit: i32, arguments: &[&str]| {
        let ended = place.coordinator(arguments).stdout(closed_pipe()).run().expect_exit(exit);
        assert!(!ended.stderr.contains("panicked"), "{arguments:?}: {}", ended.stderr);
    };
    for output in ["text", "json"] {
        for arguments in [
            &["validate", job][..],
            &["generate", "other", "--users", "100", "--events", "1000", "--items", "64"],
            &["prepare", job],
            &["dataset", "describe", dataset],
            &[&["local", job][..], &short].concat(),
            // Again: it is finished.
            &[&["local", job][..], &short].concat(),
            &["checkpoints", "ids"],
            &["audit", "ids"],
            &["evaluate", "ids"],
            &["export", "ids"],
        ] {
            unheard(0, &[arguments, &["-o", output]].concat());
        }
        // The next turn trains again.
        fs::remove_dir_all(place.path("runs/ids")).expect("the run");
    }
    unheard(0, &["validate", "--schema"]);
    unheard(0, &["validate", job, "--explain"]);

    // What would have failed fails.
    place.run(&[&["local", job][..], &short].concat()).expect_exit(0);
    fs::remove_dir_all(place.path("runs/ids/audit")).expect("audit records");
    unheard(1, &["audit", "ids"]);
    unheard(1, &["audit", "ids", "-o", "json"]);
    unheard(2, &["validate", "nowhere.yaml"]);
}

#[test]
fn standard_error_may_be_closed_too() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let unseen =
        |arguments: &[&str]| place.coordinator(arguments).stderr(closed_pipe()).stdout(closed_pipe()).run();
    unseen(&["local", "ids.yaml", "--set", "train.steps=3"]).expect_exit(0);
    assert!(place.path("runs/ids/export/item-embeddings.parquet").is_file());
    unseen(&["validate", "nowhere.yaml"]).expect_exit(2);
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let place = Place::new();
    place.write("job.yaml", "name: full\nlog: {uri: log.csv}\n");
    let full = File::options().write(true).open("/dev/full").expect("Linux");
    let ended = place.coordinator(&["validate", "job.yaml", "--explain"]).stdout(full).run().expect_exit(1);
    assert!(ended.stderr.contains("TW5005") && ended.stderr.contains("standard output"), "{}", ended.stderr);
}
