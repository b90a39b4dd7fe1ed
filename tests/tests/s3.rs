//! Everything in a bucket: the log, the dataset, checkpoints, audit records, the export.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, Int64Array};
use twinspire_test_s3::Fault;
use twinspire_tests::{Cloud, Place, gzip, one_at_a_time, parquet, texts};

/// With the generated log in the bucket.
fn with_log() -> Cloud {
    let cloud = Cloud::empty(Place::with_log(300, 200, 12_000));
    std::fs::create_dir_all(cloud.bucket("logs")).expect("a directory");
    for file in cloud.place.files("log") {
        let name = file.file_name().expect("a file");
        std::fs::copy(&file, cloud.bucket("logs").join(name)).expect("a copy");
    }
    cloud
}

/// With the logs of [`write_logs`] in the bucket, and a job on the Parquet one of them.
fn with_small_logs() -> Cloud {
    let cloud = Cloud::empty(Place::new());
    write_logs(&cloud.bucket(""));
    let job = "name: cloud\nruns: s3://team/runs\nlog: {uri: s3://team/logs/*.parquet}\n";
    cloud.place.write("job.yaml", job);
    cloud
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
    let cloud = with_log();
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
    let cloud = with_log();
    let places = ["--set", "checkpoint.uri=s3://team/checkpoints", "--set", "export.uri=s3://team/export"];
    let command = [&["local", "ids.yaml", "--set", "train.steps=20"][..], &places].concat();
    cloud.coordinator(&command).run().expect_exit(0);
    assert!(cloud.manifests("checkpoints") >= 1);
    assert!(cloud.bucket("export/item-embeddings.parquet").is_file());
    assert!(cloud.place.path("runs/ids/metrics.jsonl").is_file());
    assert!(!cloud.place.path("runs/ids/export").exists());
}

#[test]
fn storage_that_ignores_conditions_is_warned_of() {
    let _alone = one_at_a_time();
    let cloud = with_log();
    let places = ["local", "ids.yaml", "--set", "train.steps=5"];
    let warning = "does not honour conditional writes";
    let told = |name: &str| {
        let set = [format!("name={name}"), format!("checkpoint.uri=s3://team/{name}")];
        let command = [&places[..], &["--set", &set[0], "--set", &set[1]]].concat();
        let ended = cloud.coordinator(&command).run().expect_exit(0);
        ended.stderr.contains(warning)
    };
    assert!(!told("sound"));
    cloud.server.set_fault(Fault::NoConditions);
    assert!(told("unsound"));
}

#[test]
fn what_another_job_keeps_in_the_same_place_survives_a_fresh_start() {
    let _alone = one_at_a_time();
    let cloud = with_log();
    let run = |name: &str, steps: &str, fresh: bool| {
        let set = [format!("name={name}"), format!("train.steps={steps}")];
        let mut command = vec!["local", "ids.yaml", "--set", "checkpoint.uri=s3://team/shared"];
        set.iter().for_each(|set| command.extend(["--set", set.as_str()]));
        command.extend(fresh.then_some("--fresh"));
        cloud.coordinator(&command).run()
    };
    run("one", "10", false).expect_exit(0);
    let theirs = cloud.manifests("shared");
    assert!(theirs >= 1);
    run("two", "20", true);
    assert!(cloud.manifests("shared") >= theirs, "the other job's checkpoints are gone");
    let checkpoints = cloud
        .coordinator(&["checkpoints", "ids.yaml", "--set=name=one", "--set=checkpoint.uri=s3://team/shared"])
        .run()
        .expect_exit(0);
    assert!(checkpoints.stdout.contains("10"), "{}", checkpoints.stdout);
}

#[test]
fn a_bucket_that_refuses_or_is_not_there_is_named_in_the_error() {
    let _alone = one_at_a_time();
    let cloud = with_log();
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

/// 20 users of a Parquet file and 10 of a gzipped CSV file, 10 rows each, in the same items.
fn write_logs(directory: &Path) {
    let row = |i: i64| (i / 10, (i * 7 + i / 10) % 12, 1_700_000_000 + i);
    for part in ["logs", "more"] {
        std::fs::create_dir_all(directory.join(part)).expect("a directory");
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("user_id", texts((0..200).map(|i| format!("u{}", row(i).0)))),
        ("item_id", texts((0..200).map(|i| format!("i{}", row(i).1)))),
        ("timestamp", std::sync::Arc::new(Int64Array::from_iter_values((0..200).map(|i| row(i).2)))),
    ];
    parquet(&directory.join("logs/part-0.parquet"), columns);
    let rows = (200..300).map(row).map(|(user, item, time)| format!("u{user},i{item},{time}\n"));
    let csv = format!("user_id,item_id,timestamp\n{}", rows.collect::<String>());
    std::fs::write(directory.join("more/part-1.csv.gz"), gzip(csv.as_bytes())).expect("a file");
}

#[test]
fn a_log_in_a_bucket_is_prepared_once_into_a_dataset_in_the_bucket() {
    let _alone = one_at_a_time();
    let cloud = with_small_logs();
    let prepare = ["prepare", "job.yaml", "-o", "json"];
    let ended = cloud.coordinator(&prepare).run().expect_exit(0);
    let made = ended.json();
    assert_eq!([&made["users"], &made["rows_read"]], [20, 200], "{made:#}");
    assert!(!cloud.place.path("runs/datasets").exists(), "the dataset is in the bucket alone");

    let uri = format!("s3://team/runs/datasets/{}", made["fingerprint"].as_str().expect("a name"));
    let describe = ["dataset", "describe", &uri, "--verify", "-o", "json"];
    assert_eq!(cloud.coordinator(&describe).run().expect_exit(0).json(), made);
    let again = cloud.coordinator(&prepare).run().expect_exit(0);
    assert!(again.stderr.contains(&format!("the dataset is there already: {uri}")), "{}", again.stderr);
    assert_eq!((again.json(), cloud.manifests("runs/datasets")), (made, 1));

    // Files of several formats, and the same from this machine's disk.
    let log = |root: &str| format!("log.uri=[{root}logs/*.parquet, {root}more/*.csv.gz]");
    let (there, here) = (log("s3://team/"), log(""));
    let both = cloud.coordinator(&[&prepare[..], &["--set", &there]].concat()).run().expect_exit(0).json();
    assert_eq!([&both["users"], &both["rows_read"]], [30, 300], "{both:#}");
    assert_eq!(cloud.manifests("runs/datasets"), 2);
    write_logs(&cloud.place.path(""));
    let here = [&prepare[..], &["--set", &here, "--set", "runs=here"]].concat();
    assert_eq!(cloud.place.run(&here).expect_exit(0).json()["files"], both["files"]);
}

#[test]
fn a_prepare_killed_before_its_manifest_leaves_no_dataset_in_the_bucket() {
    let _alone = one_at_a_time();
    let cloud = with_small_logs();
    // Where a dataset is made before it is sent.
    let temporary = cloud.place.path("tmp");
    std::fs::create_dir(&temporary).expect("a directory");
    let temporary = [("TMPDIR".to_owned(), temporary.display().to_string())];
    let prepare = || cloud.coordinator(&["prepare", "job.yaml", "-o", "json"]).environment(&temporary);

    cloud.server.set_fault(Fault::NoManifest);
    let mut running = prepare().start();
    let sent = || -> Vec<PathBuf> {
        let datasets = std::fs::read_dir(cloud.bucket("runs/datasets")).into_iter().flatten().flatten();
        datasets.map(|dataset| dataset.path()).filter(|path| path.join("rejects.jsonl").exists()).collect()
    };
    running.wait_until("all but the manifest is sent", || !sent().is_empty());
    assert_eq!(running.kill().exit(), None);
    assert_eq!(cloud.manifests("runs/datasets"), 0);
    let [dataset] = &sent()[..] else { panic!("{:?}", sent()) };
    let name = dataset.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let uri = format!("s3://team/runs/datasets/{name}");
    let ended = cloud.coordinator(&["dataset", "describe", &uri]).run().expect_exit(2);
    assert!(ended.stderr.contains("TW2101"), "{}", ended.stderr);

    cloud.server.set_fault(Fault::None);
    let made = prepare().run().expect_exit(0).json();
    assert_eq!(made["fingerprint"], name.as_str());
    cloud.coordinator(&["dataset", "describe", &uri, "--verify"]).run().expect_exit(0);
    assert!(cloud.place.files("tmp").is_empty(), "left: {:?}", cloud.place.files("tmp"));
}

#[test]
fn a_server_in_trouble_is_tried_again_and_the_workers_log_is_shown_once_and_at_the_end() {
    let _alone = one_at_a_time();
    let cloud = Cloud::empty(Place::new());
    cloud.place.write("job.yaml", "name: down\nlog: {uri: s3://team/logs/*.parquet}\n");
    cloud.server.set_fault(Fault::SlowDown);
    let impatient = [("AWS_MAX_ATTEMPTS".to_owned(), "1".to_owned())];
    let ended = cloud.coordinator(&["prepare", "job.yaml"]).environment(&impatient).run().expect_exit(1);
    for said in ["TW3009", "retry 1 of 3", "retry 3 of 3"] {
        assert!(ended.stderr.contains(said), "`{said}` is not in:\n{}", ended.stderr);
    }
    let parts: Vec<&str> = ended.stderr.split("the last lines of").collect();
    let [_, first, last] = &parts[..] else { panic!("shown {} times:\n{}", parts.len() - 1, ended.stderr) };
    for shown in [first, last] {
        let starts =
            shown.lines().filter(|line| line.contains("  | ") && line.contains("registered")).count();
        assert!(starts <= 1, "lines of several starts are shown:\n{}", ended.stderr);
        assert!(shown.contains("  | ") && shown.contains("TW3009"), "{}", ended.stderr);
    }
}
