//! Storage in trouble of every kind while a job trains: it trains on, says what is wrong, and nothing is lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use twinspire_test_s3::Fault;
use twinspire_tests::{Cloud, Ended, Place, Process, no_small_disks, one_at_a_time, until};

/// What a server does to writes, with the reason that a person is told and the code in the worker's log.
const FAULTS: [(Fault, &str, &str); 8] = [
    (Fault::InternalError, "InternalError", "TW3009"),
    (Fault::TooManyRequests, "TooManyRequests", "TW3009"),
    (Fault::ExpiredToken, "ExpiredToken", "TW3011"),
    (Fault::AccessDenied, "AccessDenied", "TW3007"),
    (Fault::Full, "StorageFull", "TW3008"),
    (Fault::Silent, "timed out", "TW3009"),
    (Fault::CutOff, "out of reach or failing", "TW3009"),
    (Fault::AnswerLost, "out of reach or failing", "TW3009"),
];

/// What is said once when checkpoints cannot be written, and when they are again.
const DELAYED: &str = "cannot be written; trying on, and training: ";
const AGAIN: &str = "checkpoints are written again";

/// Steps that are trained while a fault lasts.
const MEANWHILE: u64 = 15;

/// How long a disk is full.
const WHILE: Duration = Duration::from_secs(4);

/// A table so large that a worker's part of a checkpoint is sent in several parts.
const LARGE: &str = "towers.item.hash={rows: 200000, dim: 16}";

/// `coordinator VERB FILE`, with fields set.
fn command<'a>(verb: &'a str, file: &'a str, fields: &[&'a str]) -> Vec<&'a str> {
    [verb, file].into_iter().chain(fields.iter().flat_map(|field| ["--set", *field])).collect()
}

/// With clients that wait so long for an answer, and say so when they got none twice.
fn impatient(cloud: &Cloud, wait: &str, arguments: &[&str]) -> Process {
    let limits = [("AWS_MAX_ATTEMPTS", "2"), ("AWS_TIMEOUT", wait)];
    cloud.coordinator(arguments).environment(&limits.map(|(name, limit)| (name.into(), limit.into()))).start()
}

fn said(running: &Process, text: &str) -> usize {
    running.stderr().matches(text).count()
}

/// Waits until something was said more than `times`.
fn says(running: &mut Process, text: &str, times: usize, what: &str) {
    until(&format!("{what}: `{text}` is to be said"), || {
        assert!(!running.has_ended(), "{what}: it ended:\n{}", running.stderr());
        (said(running, text) > times).then_some(())
    });
}

/// Waits until a job has trained to this step.
fn trains_to(running: &mut Process, place: &Place, job: &str, step: u64) {
    running.wait_until(&format!("{job} trains to step {step}"), || place.trained(job) >= step);
}

/// Asserts that every row was trained once, and that the newest checkpoint is whole and of this step.
#[track_caller]
fn assert_nothing_is_lost(step: u64, ask: impl Fn(&str) -> Ended) {
    let audit = ask("audit").expect_exit(0).json();
    let report = &audit["report"];
    assert_eq!(report["steps"], step, "{audit:#}");
    assert!(report["expected"].as_u64() > Some(0), "{audit:#}");
    assert_eq!(report["trained"], report["expected"], "{audit:#}");
    assert_eq!([&report["twice"], &report["never"], &report["unexpected"]], [0, 0, 0], "{audit:#}");
    let checkpoints = ask("checkpoints").expect_exit(0).json();
    let newest = &checkpoints["checkpoints"][0];
    assert_eq!(
        (newest["step"].as_u64(), newest["state"].as_str()),
        (Some(step), Some("whole")),
        "{newest:#}"
    );
}

#[test]
fn whatever_becomes_of_writes_it_trains_on_and_checkpoints_are_written_again() {
    let _alone = one_at_a_time();
    let cloud = Cloud::empty(Place::with_log(300, 200, 12_000));
    // However fast it is: it ends when it is told to.
    let endless = ["train.steps=1000000", "train.log_every=1"];
    let often = ["checkpoint.every=300ms", "checkpoint.every_steps=0"];
    let fields = [&["name=struck", "runs=s3://team/runs", "workers=2"], &endless[..], &often].concat();
    let mut running = impatient(&cloud, "2s", &command("local", "ids.yaml", &fields));
    let newest = || cloud.checkpoints("runs/struck/checkpoints").last().copied().unwrap_or(0);
    running.wait_until("a checkpoint", || newest() > 0);

    for (fault, reason, code) in FAULTS {
        let what = format!("{fault:?}");
        let (delayed, again) = (said(&running, DELAYED), said(&running, AGAIN));
        cloud.server.set_fault(fault);
        says(&mut running, DELAYED, delayed, &what);
        let trained = cloud.place.trained("struck");
        trains_to(&mut running, &cloud.place, "struck", trained + MEANWHILE);
        let stderr = running.stderr();
        assert_eq!(said(&running, AGAIN), again, "{what}: it was over too early:\n{stderr}");
        let told = stderr.lines().rfind(|line| line.contains(DELAYED)).unwrap();
        assert!(told.contains(reason), "{what}: `{reason}` is not in `{told}`");
        assert!(is_logged(&cloud.place, code, reason), "{what}: {code} is in no worker's log");
        cloud.server.set_fault(Fault::None);
        says(&mut running, AGAIN, again, &what);
    }

    cloud.server.set_fault(Fault::Slow);
    let (trained, written) = (cloud.place.trained("struck"), newest());
    trains_to(&mut running, &cloud.place, "struck", trained + MEANWHILE);
    running.wait_until("a slow server has another checkpoint", || newest() > written);
    cloud.server.set_fault(Fault::None);

    running.interrupt();
    running.wait().expect_exit(130);
    assert_nothing_is_lost(newest(), |verb| {
        cloud.coordinator(&[&command(verb, "ids.yaml", &fields)[..], &["-o", "json"]].concat()).run()
    });
}

/// Whether a worker of the job has warned with this code of a checkpoint that could not be written for this reason.
fn is_logged(place: &Place, code: &str, reason: &str) -> bool {
    let logs = ["worker-0", "worker-1"].map(|name| place.read(format!("runs/struck/logs/{name}.log")));
    let said = ["training goes on", code, reason];
    logs.iter().flat_map(|log| log.lines()).any(|line| said.iter().all(|said| line.contains(said)))
}

#[test]
fn wrong_keys_when_a_job_begins_are_an_error_at_once() {
    let _alone = one_at_a_time();
    let cloud = Cloud::empty(Place::with_log(100, 64, 2_000));
    let wrong = [("AWS_SECRET_ACCESS_KEY".into(), "wrong".into())];
    for place in ["runs=s3://team/runs", "checkpoint.uri=s3://team/checkpoints"] {
        let ended = cloud.coordinator(&command("local", "ids.yaml", &[place])).environment(&wrong).run();
        let ended = ended.expect_exit(2);
        assert!(ended.stderr.contains("TW3006"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("trying again"), "{}", ended.stderr);
    }
}

#[test]
fn a_job_that_has_trained_waits_for_a_server_that_cuts_uploads_off_and_then_is_gone() {
    let _alone = one_at_a_time();
    let cloud = Cloud::empty(Place::with_log(300, 200, 12_000));
    let lasts = ["train.steps=60", "checkpoint.every_steps=20", "train.log_every=1"];
    let fields = [&["name=large", LARGE, "checkpoint.uri=s3://team/large"], &lasts[..]].concat();
    let mut running = impatient(&cloud, "30s", &command("local", "features.yaml", &fields));
    running.wait_until("a checkpoint", || !cloud.checkpoints("large").is_empty());
    cloud.server.set_fault(Fault::CutOff);
    says(&mut running, DELAYED, 0, "CutOff");
    trains_to(&mut running, &cloud.place, "large", 60);
    cloud.server.set_fault(Fault::Refused);
    let log = || cloud.place.read("runs/large/logs/worker-0.log");
    running.wait_until("connections are refused", || log().contains("Connection refused"));
    assert!(!cloud.checkpoints("large").contains(&60), "nobody could write it");
    let largest = cloud.files("large").iter().filter_map(|part| Some(part.metadata().ok()?.len())).max();
    assert!(largest > Some(32 << 20), "it is sent in one part: {largest:?} bytes");
    cloud.server.set_fault(Fault::None);

    running.wait().expect_exit(0);
    assert_nothing_is_lost(60, |verb| {
        cloud.coordinator(&[&command(verb, "features.yaml", &fields)[..], &["-o", "json"]].concat()).run()
    });
}

#[test]
fn a_worker_killed_while_it_writes_a_file_leaves_no_half_of_a_checkpoint() {
    let _alone = one_at_a_time();
    let place = Place::with_log(300, 200, 12_000);
    let fields = ["name=cut", LARGE, "train.steps=60", "checkpoint.every_steps=10"];
    let mut running = place.start(&command("local", "features.yaml", &fields));
    running.wait_until("a checkpoint", || !place.checkpoints("cut").is_empty());
    // A file that is not whole yet is called `name#123`.
    running.wait_until("a part is being written", || {
        let files = place.files("runs/cut/checkpoints");
        files.iter().any(|file| file.to_string_lossy().contains(".safetensors#"))
    });
    running.kill_workers();

    let ended = running.wait().expect_exit(0);
    assert!(ended.stderr.contains("signal 9"), "{}", ended.stderr);
    assert_nothing_is_lost(60, |verb| {
        place.run(&[&command(verb, "features.yaml", &fields)[..], &["-o", "json"]].concat())
    });
}

#[test]
fn a_disk_that_is_full_for_a_while_holds_up_nothing_but_checkpoints() {
    let _alone = one_at_a_time();
    let Some((place, disk)) = with_disk(Place::with_log(300, 200, 12_000)) else { return };
    let lasts = ["train.steps=150", "checkpoint.every_steps=50", "train.log_every=1"];
    let fields = [&["name=full"], &lasts[..]].concat();
    let there = [&fields[..], &["checkpoint.uri=disk/checkpoints"]].concat();
    let program = place.coordinator(&command("local", "ids.yaml", &there));
    let mut running = program.with_disk(&disk, 4_000).start();
    trains_to(&mut running, &place, "full", 1);
    let held = running.hold(&disk).expect("a directory");
    running.wait_until("a checkpoint", || {
        let files = place.files(&held.path("checkpoints").to_string_lossy());
        files.iter().any(|file| file.ends_with("manifest.json"))
    });
    fill(&held.path("filler"));
    says(&mut running, DELAYED, 0, "a full disk");
    assert!(running.stderr().contains("no space left"), "{}", running.stderr());
    trains_to(&mut running, &place, "full", 150);
    fs::remove_file(held.path("filler")).expect("a file");

    running.wait().expect_exit(0);
    let held = format!("checkpoint.uri={}", held.path("checkpoints").display());
    let fields = [&fields[..], &[&held]].concat();
    assert_nothing_is_lost(150, |verb| {
        place.run(&[&command(verb, "ids.yaml", &fields)[..], &["-o", "json"]].concat())
    });
}

/// Checkpoints, metrics and the coordinator's own records.
#[test]
fn a_full_disk_with_all_of_a_run_on_it_ends_no_training_and_loses_no_line() {
    let _alone = one_at_a_time();
    let Some((place, disk)) = with_disk(Place::with_log(300, 200, 12_000)) else { return };
    let often = ["checkpoint.every=300ms", "checkpoint.every_steps=0", "train.log_every=1"];
    let fields = [&["name=full", "train.steps=1000000"], &often[..]].concat();
    let there = [&fields[..], &["runs=disk/runs"]].concat();
    let program = place.coordinator(&command("local", "ids.yaml", &there));
    let mut running = program.with_disk(&disk, 40_000).start();
    let inside = || running.hold(&disk).ok().filter(|held| held.path("runs/full").exists());
    let held = until("it has a disk of its own", inside);
    let has_whole = |path: &Path| {
        let files = place.files(&path.to_string_lossy());
        files.iter().any(|file| file.ends_with("manifest.json"))
    };
    let (run, filler) = (held.path("runs/full"), held.path("filler"));
    running.wait_until("a checkpoint", || has_whole(&run.join("checkpoints")));

    fill(&filler);
    let full = now();
    says(&mut running, "WARNING: ", 0, "a full disk");
    std::thread::sleep(WHILE);
    let freed = now();
    fs::remove_file(&filler).expect("a file");
    running.wait_until("metrics are written again", || steps(&run).last().is_some_and(|(_, at)| *at > freed));
    // Its own end has the last checkpoint.
    running.interrupt();
    running.wait().expect_exit(130);

    let steps = steps(&run);
    assert!(
        steps.iter().zip(1..).all(|((step, _), expected)| *step == expected),
        "no line is lost or there twice"
    );
    let meanwhile = steps.iter().filter(|(_, at)| (full + 1.0..freed).contains(at)).count();
    assert!(meanwhile as u64 > MEANWHILE, "full at {full}, freed at {freed}: {steps:?}");
    let last = steps.last().expect("steps").0;
    let runs = format!("runs={}", held.path("runs").display());
    let fields = [&fields[..], &[&runs]].concat();
    assert_nothing_is_lost(last, |verb| {
        place.run(&[&command(verb, "ids.yaml", &fields)[..], &["-o", "json"]].concat())
    });
}

#[test]
fn who_is_told_to_end_twice_ends_though_the_disk_is_full() {
    let _alone = one_at_a_time();
    let Some((place, disk)) = with_disk(Place::with_log(100, 64, 2_000)) else { return };
    let fields = ["name=full", "train.steps=1000000", "runs=disk/runs", "checkpoint.every=300ms"];
    let program = place.coordinator(&command("local", "ids.yaml", &fields));
    let mut running = program.with_disk(&disk, 20_000).start();
    let metrics = "runs/full/metrics.jsonl";
    let inside = || running.hold(&disk).ok().filter(|held| held.path(metrics).exists());
    let held = until("it trains on a disk of its own", inside);
    fill(&held.path("filler"));
    says(&mut running, "WARNING: ", 0, "a full disk");
    running.interrupt();
    says(&mut running, "Ctrl-C again to kill", 0, "an interrupt");
    says(&mut running, "still stopping: no checkpoint can be written", 0, "an interrupt on a full disk");
    running.interrupt();
    running.wait().expect_exit(130);
}

/// A place with a directory for a disk of its own; none, with the reason printed, where there can be no such disks.
fn with_disk(place: Place) -> Option<(Place, PathBuf)> {
    if let Some(why) = no_small_disks() {
        println!("skipped: {why}");
        return None;
    }
    let disk = place.path("disk");
    fs::create_dir(&disk).expect("a directory");
    Some((place, disk))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// Steps in a run's metrics, and when they were trained.
fn steps(run: &Path) -> Vec<(u64, f64)> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let records = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    records.filter_map(|record| Some((record["step"].as_u64()?, record["time"].as_f64()?))).collect()
}

/// Writes until there is no room.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).expect("a file");
    while file.write_all(&[0; 4096]).is_ok() {}
}
