//! Everything in a bucket: the log, the dataset, checkpoints, audit records, the export.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use tokio::runtime::Runtime;
use twinspire_test_s3::{Fault, S3Server};
use twinspire_tests::{Coordinator, Place, one_at_a_time};

/// A place whose commands reach a server with a bucket `team`, and in it the generated log.
struct Cloud {
    place: Place,
    server: S3Server,
    _runtime: Runtime,
}

impl Cloud {
    fn new() -> Cloud {
        let runtime = Runtime::new().expect("a runtime");
        let server = runtime.block_on(S3Server::start(&["team"])).expect("a server");
        let place = Place::with_log(300, 200, 12_000);
        let cloud = Cloud { place, server, _runtime: runtime };
        std::fs::create_dir_all(cloud.bucket("logs")).expect("a directory");
        for file in cloud.place.files("log") {
            let name = file.file_name().expect("a file");
            std::fs::copy(&file, cloud.bucket("logs").join(name)).expect("a copy");
        }
        cloud
    }

    fn coordinator(&self, arguments: &[&str]) -> Coordinator {
        self.place.coordinator(arguments).environment(&self.server.environment())
    }

    /// Where an object lies as a file.
    fn bucket(&self, name: impl AsRef<Path>) -> PathBuf {
        self.server.bucket_path("team").join(name)
    }

    fn manifests(&self, name: &str) -> usize {
        let mut count = 0;
        let mut directories = vec![self.bucket(name)];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                count += usize::from(entry.file_name() == "manifest.json");
                directories.push(entry.path());
            }
        }
        count
    }
}

const EVERYTHING: [&str; 8] = [
    "features.yaml",
    "--set",
    "runs=s3://team/runs",
    "--set",
    "log.uri=s3://team/logs/events-*.parquet",
    "--set",
    "catalogue.uri=s3://team/logs/items.parquet",
    "--set=train.steps=60",
];

fn everything<'a>(verb: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[verb][..], &EVERYTHING, more].concat()
}

#[test]
fn a_job_lives_in_a_bucket_and_resumes_from_it() {
    let _alone = one_at_a_time();
    let cloud = Cloud::new();
    let mut running = cloud.coordinator(&everything("local", &["--workers", "2"])).start();
    running.wait_until("two checkpoints", || cloud.manifests("runs/features/checkpoints") >= 2);
    running.kill_all();

    let ended = cloud.coordinator(&everything("local", &["--workers", "1"])).run().expect_exit(0);
    assert!(ended.stderr.contains("resuming features at step"), "{}", ended.stderr);
    for object in [
        "runs/features/export/item-embeddings.parquet",
        "runs/features/export/weights.safetensors",
        "runs/features/export/user-tower.pt",
        "runs/features/evaluation-test.json",
    ] {
        assert!(cloud.bucket(object).metadata().is_ok_and(|file| file.len() > 0), "no {object}");
    }
    assert_eq!(cloud.manifests("runs/datasets"), 1);

    let audit = cloud.coordinator(&everything("audit", &["-o", "json"])).run().expect_exit(0).json();
    let report = &audit["report"];
    assert_eq!([&report["twice"], &report["never"], &report["unexpected"]], [0, 0, 0], "{audit:#}");
    assert!(report["expected"].as_u64() > Some(0));
    let checkpoints = cloud.coordinator(&everything("checkpoints", &[])).run().expect_exit(0);
    assert!(checkpoints.stdout.contains("whole"), "{}", checkpoints.stdout);

    // The same job on this machine's disk is the same model.
    let local = cloud.place.run(&["local", "features.yaml", "--set", "train.steps=60", "--set", "runs=here"]);
    local.expect_exit(0);
    let here = twinspire_tests::StateTensors::newest(&cloud.place.path("here/features/checkpoints"));
    let there = twinspire_tests::StateTensors::newest(&cloud.bucket("runs/features/checkpoints"));
    let difference = here.difference(&there);
    assert!(difference.relative <= 1e-4, "{difference}");
}

#[test]
fn checkpoints_and_export_alone_can_be_in_a_bucket() {
    let _alone = one_at_a_time();
    let cloud = Cloud::new();
    let places = ["--set", "checkpoint.uri=s3://team/checkpoints", "--set", "export.uri=s3://team/export"];
    let command = [&["local", "ids.yaml", "--set", "train.steps=20"][..], &places].concat();
    cloud.coordinator(&command).run().expect_exit(0);
    assert!(cloud.manifests("checkpoints") >= 1);
    assert!(cloud.bucket("export/item-embeddings.parquet").is_file());
    assert!(cloud.place.path("runs/ids/metrics.jsonl").is_file());
    assert!(!cloud.place.path("runs/ids/export").exists());
}

#[test]
fn a_bucket_that_refuses_or_is_not_there_is_named_in_the_error() {
    let _alone = one_at_a_time();
    let cloud = Cloud::new();
    let elsewhere = ["--set", "runs=s3://nobody/runs"];
    let ended = cloud.coordinator(&everything("local", &elsewhere)).run().expect_exit(2);
    assert!(ended.stderr.contains("TW3004") && ended.stderr.contains("nobody"), "{}", ended.stderr);

    // Of the log alone, which a worker reads.
    let elsewhere = ["--set", "log.uri=s3://nobody/events.parquet", "--set", "runs=here"];
    let ended = cloud.coordinator(&everything("local", &elsewhere)).run().expect_exit(2);
    assert!(ended.stderr.contains("TW3004") && ended.stderr.contains("nobody"), "{}", ended.stderr);

    cloud.server.set_fault(Fault::AccessDenied);
    let ended = cloud.coordinator(&everything("local", &["--set", "runs=here"])).run().expect_exit(2);
    assert!(ended.stderr.contains("TW3007") && ended.stderr.contains("team/logs"), "{}", ended.stderr);
    let ended = cloud.coordinator(&everything("local", &[])).run().expect_exit(2);
    assert!(ended.stderr.contains("TW3007") && ended.stderr.contains("team"), "{}", ended.stderr);
}
