//! Jobs given to a coordinator that serves: what people can ask of it, and what they are told.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{collections::BTreeSet, thread};

use serde_json::Value;
use twinspire_tests::{Service, one_at_a_time};

/// Trains until it is told to stop.
const ENDLESS: &str = "train.steps=1000000";
/// Every step is in the metrics.
const WATCHED: &str = "train.log_every=1";
/// No checkpoint but the last, or that of a stop.
const SELDOM: &str = "checkpoint.every_steps=1000000";

/// Texts of a JSON list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// When something of a kind happened to a job whose message begins like this: the first time.
fn when(service: &Service, job: &str, kind: &str, begins: &str) -> u64 {
    let events = service.events(job);
    let is_it = |event: &&Value| {
        event["kind"] == kind && event["message"].as_str().is_some_and(|said| said.starts_with(begins))
    };
    let found = events.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} `{begins}` in {events:#?}"));
    found["at_ms"].as_u64().expect("a time")
}

#[test]
fn a_job_is_done_and_submitted_again_it_is_the_same_job() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(2);
    let fields = ["train.steps=30", "workers=2"];
    let done = service.submit("first", &fields, &["--wait", "-o", "json"]).expect_exit(0).json();
    assert_eq!([&done["name"], &done["phase"]], ["first", "succeeded"]);
    assert_eq!(done["checkpoint_step"], 30);
    let evaluation = &done["evaluation"];
    assert_eq!([&evaluation["split"], &evaluation["step"]], [&Value::from("test"), &Value::from(30)]);
    assert!(evaluation["model"]["ndcg"]["10"].as_f64().is_some(), "{evaluation:#}");
    let exported = texts(&done["exported"]);
    assert!(exported.contains(&"item-embeddings.parquet"), "{exported:?}");
    for file in exported {
        assert!(service.place.path("runs/first/export").join(file).is_file(), "{file}");
    }
    assert_eq!(service.assert_all_rows_were_trained_once("first"), 30);

    let again = service.submit("first", &fields, &[]).expect_exit(0);
    assert!(again.stdout.contains("first was submitted before; it is succeeded"), "{}", again.stdout);
    let again = service.submit("first", &fields, &["--wait", "-o", "json"]).expect_exit(0).json();
    assert_eq!(again, done);

    // Another job of that name is not taken for it; with a key of its own, a request is what its key is.
    let other = ["train.steps=31", "workers=2"];
    let refused = service.submit("first", &other, &[]).expect_exit(2);
    assert!(
        refused.stderr.contains("TW5301") && refused.stderr.contains("delete first"),
        "{}",
        refused.stderr
    );
    assert_eq!(service.job("first").expect("a job"), done);
    let key = ["--idempotency-key", "today"];
    service.submit("keyed", &["train.steps=5"], &[&key[..], &["--wait"]].concat()).expect_exit(0);
    let again = service.submit("keyed", &["train.steps=6"], &key).expect_exit(0);
    assert!(again.stdout.contains("submitted before"), "{}", again.stdout);
    assert_eq!(service.job("keyed").expect("a job")["checkpoint_step"], 5);

    let followed = service.submit("followed", &["train.steps=5"], &["--follow"]).expect_exit(0);
    let (logs, status) = followed.stdout.split_once("job          followed").expect("its status at the end");
    assert!(status.contains("phase        succeeded"), "{status}");
    assert!(logs.lines().all(|line| line.starts_with("pool/")) && logs.contains("assigned"), "{logs}");
}

#[test]
fn whoever_waits_for_a_job_is_shown_all_that_came_of_it() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(1);
    // When one is done, the next begins at that moment.
    thread::scope(|scope| {
        for job in ["a", "b", "c", "d", "e"] {
            let service = &service;
            scope.spawn(move || {
                let wait = ["--wait", "-o", "json"];
                let done = service.submit(job, &["train.steps=3"], &wait).expect_exit(0).json();
                assert_eq!(done["phase"], "succeeded");
                assert_eq!(done["evaluation"]["step"], 3, "{done:#}");
                assert!(texts(&done["exported"]).contains(&"item-embeddings.parquet"), "{done:#}");
            });
        }
    });
}

#[test]
fn jobs_that_wait_for_the_same_worker_go_by_priority() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(1);
    service.submit("holds", &[ENDLESS], &["--priority", "100"]).expect_exit(0);
    service.wait_for_phase("holds", "running");
    for (name, priority) in [("low", "-3"), ("high", "5"), ("late", "0")] {
        service.submit(name, &["train.steps=5"], &["--priority", priority]).expect_exit(0);
    }
    let ahead = |name: &str| {
        let job = service.job(name).expect("a job");
        assert_eq!(job["phase"], "pending");
        texts(&job["ahead"]).iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ahead("low"), ["high", "late"]);
    assert!(ahead("high").is_empty());
    let said = service.run(&["priority", "late", "7"]).expect_exit(0).stdout;
    assert!(said.contains("late: priority 7"), "{said}");
    assert_eq!(ahead("low"), ["late", "high"]);
    let said = service.run(&["explain", "low"]).expect_exit(0).stdout;
    for part in ["low is pending", "before it in the queue: late, high", "1 worker: 0 idle, 1 busy"] {
        assert!(said.contains(part), "`{part}` is not in:\n{said}");
    }

    service.run(&["cancel", "holds"]).expect_exit(0);
    for name in ["late", "high", "low"] {
        service.wait_for_phase(name, "succeeded");
    }
    let began = |name: &str| when(&service, name, "assigned", "");
    let ended = |name: &str| when(&service, name, "phase", "succeeded");
    assert!(when(&service, "holds", "phase", "cancelled") <= began("late"));
    assert!(ended("late") <= began("high") && ended("high") <= began("low"));
}

#[test]
fn a_more_important_job_gets_the_worker_at_once_and_the_other_goes_on_afterwards() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(1);
    let fields = [ENDLESS, WATCHED, SELDOM];
    service.submit("patient", &fields, &[]).expect_exit(0);
    service.wait_until_trained("patient", 5);
    service.submit("urgent", &["train.steps=5"], &["--priority", "1", "--wait"]).expect_exit(0);
    service.wait_for_phase("patient", "running");
    service.wait_for_job("patient", "trained on", |job| job["training"]["step"].as_u64() > Some(0));
    let [0, stopped_at] = service.began_at("patient")[..] else {
        panic!("{:?}", service.began_at("patient"))
    };
    assert!(stopped_at >= 5, "it went on from step {stopped_at}");
    let said = service.run(&["explain", "patient"]).expect_exit(0).stdout;
    assert!(said.contains("preempted by urgent (priority 1 over 0)"), "{said}");
    service.run(&["cancel", "patient"]).expect_exit(0);
    service.wait_for_phase("patient", "cancelled");
    assert!(service.assert_all_rows_were_trained_once("patient") > stopped_at);
}

#[test]
fn two_jobs_train_at_once_on_workers_of_their_own() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(2);
    for name in ["one", "other"] {
        service.submit(name, &[ENDLESS, WATCHED], &[]).expect_exit(0);
    }
    for name in ["one", "other"] {
        service.wait_until_trained(name, 5);
    }
    let workers = service.ask(&["workers"]);
    let mut jobs: Vec<&str> = workers.as_array().unwrap().iter().filter_map(|w| w["job"].as_str()).collect();
    jobs.sort_unstable();
    assert_eq!(jobs, ["one", "other"], "{workers:#}");
    for job in service.ask(&["list"]).as_array().expect("a list") {
        assert_eq!(job["phase"], "running");
        assert_eq!(texts(&job["workers"]).len(), 1, "{job:#}");
    }
    let before = service.trained("one");
    service.wait_until_trained("one", before + 5);
    // Several jobs in a command.
    let told = |job: &str| serde_json::json!({"job": job, "changed": true});
    assert_eq!(service.ask(&["cancel", "one", "other"]), Value::Array(vec![told("one"), told("other")]));
    for name in ["one", "other"] {
        service.wait_for_phase(name, "cancelled");
        service.assert_all_rows_were_trained_once(name);
    }
}

#[test]
fn a_paused_job_goes_on_from_the_checkpoint_of_its_pause() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(2);
    let fields = ["train.steps=150", "workers=2", WATCHED, SELDOM];
    service.submit("paused", &fields, &[]).expect_exit(0);
    service.wait_until_trained("paused", 5);
    let said = service.run(&["pause", "paused"]).expect_exit(0).stdout;
    assert!(said.contains("paused: pausing"), "{said}");
    let job = service.wait_for_phase("paused", "paused");
    let step = job["checkpoint_step"].as_u64().expect("a checkpoint");
    assert!((5..150).contains(&step), "paused at step {step}");
    assert!(job["reason"].as_str().unwrap().contains(&format!("a checkpoint of step {step}")), "{job:#}");
    assert_eq!(service.place.checkpoints("paused"), [step]);
    let workers = service.ask(&["workers"]);
    assert!(workers.as_array().unwrap().iter().all(|worker| worker["state"] == "idle"), "{workers:#}");
    let said = service.run(&["pause", "paused"]).expect_exit(0).stdout;
    assert!(said.contains("is paused already"), "{said}");
    let again = serde_json::json!({"job": "paused", "changed": false});
    assert_eq!(service.ask(&["pause", "paused"]), again);
    // Whoever waits for a job that has stopped is told so.
    service.submit("paused", &fields, &["--wait"]).expect_exit(130);
    let refused = service.run(&["retry", "paused"]).expect_exit(2).stderr;
    assert!(refused.contains("TW5304") && refused.contains("`resume`"), "{refused}");

    service.run(&["resume", "paused"]).expect_exit(0);
    let done = service.submit("paused", &fields, &["--wait", "-o", "json"]).expect_exit(0).json();
    assert_eq!([&done["phase"], &done["checkpoint_step"]], [&Value::from("succeeded"), &Value::from(150)]);
    assert_eq!(service.began_at("paused"), [0, step]);
    assert_eq!(service.assert_all_rows_were_trained_once("paused"), 150);

    // It is the model of a run that nobody paused.
    let sets: Vec<&str> = fields.iter().flat_map(|field| ["--set", field]).collect();
    service.place.run(&[&["local", "ids.yaml", "--set", "runs=alone"][..], &sets].concat()).expect_exit(0);
    let alone = twinspire_tests::StateTensors::newest(&service.place.path("alone/ids/checkpoints"));
    let differing = alone.differing(&service.place.state("paused"));
    assert!(differing.is_empty(), "differ: {differing:?}");
}

#[test]
fn a_cancelled_job_can_be_tried_again_and_forgotten() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(1);
    let fields = ["train.steps=150", WATCHED, SELDOM];
    service.submit("ended", &fields, &[]).expect_exit(0);
    service.submit("behind", &fields, &[]).expect_exit(0);
    // One that waits is cancelled at once.
    service.run(&["cancel", "behind"]).expect_exit(0);
    assert_eq!(service.job("behind").expect("a job")["phase"], "cancelled");

    service.wait_until_trained("ended", 5);
    let refused = service.run(&["delete", "ended"]).expect_exit(2).stderr;
    assert!(refused.contains("TW5304") && refused.contains("`cancel` it first"), "{refused}");
    service.run(&["cancel", "ended"]).expect_exit(0);
    let job = service.wait_for_phase("ended", "cancelled");
    let step = job["checkpoint_step"].as_u64().expect("a checkpoint");
    assert!((5..150).contains(&step), "cancelled at step {step}");
    let said = service.run(&["cancel", "ended"]).expect_exit(0).stdout;
    assert!(said.contains("is cancelled already"), "{said}");
    service.submit("ended", &fields, &["--wait"]).expect_exit(130);
    let refused = service.run(&["resume", "ended"]).expect_exit(2).stderr;
    assert!(refused.contains("TW5304") && refused.contains("`retry`"), "{refused}");

    service.run(&["retry", "ended"]).expect_exit(0);
    service.submit("ended", &fields, &["--wait"]).expect_exit(0);
    assert_eq!(service.began_at("ended"), [0, step]);
    assert_eq!(service.assert_all_rows_were_trained_once("ended"), 150);
    for verb in ["cancel", "pause", "retry", "resume"] {
        let refused = service.run(&[verb, "ended"]).expect_exit(2).stderr;
        assert!(refused.contains("TW5304") && refused.contains("succeeded"), "{verb}: {refused}");
    }

    service.run(&["delete", "ended", "behind"]).expect_exit(0);
    assert_eq!(service.ask(&["list"]), Value::Array(Vec::new()));
    for command in [&["status", "ended"][..], &["events", "ended"], &["delete", "ended"]] {
        let refused = service.run(command).expect_exit(2).stderr;
        assert!(refused.contains("TW5302") && refused.contains("ended"), "{command:?}: {refused}");
    }
    assert!(service.place.path("runs/ended/export/item-embeddings.parquet").is_file());
    // A new job of that name goes on from what is there: nothing is left to train.
    service.submit("ended", &fields, &["--wait"]).expect_exit(0);
    assert_eq!(service.began_at("ended"), [150]);
}

#[test]
fn training_goes_on_without_a_drained_worker() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(2);
    let fields = [ENDLESS, WATCHED, "workers={min: 1, max: 2}"];
    service.submit("drained", &fields, &[]).expect_exit(0);
    let state = |name: &str| {
        let workers = service.ask(&["workers"]);
        let worker = workers.as_array().unwrap().iter().find(|worker| worker["name"] == name);
        worker.unwrap_or_else(|| panic!("no {name} in {workers:#}"))["state"].as_str().unwrap().to_owned()
    };
    let goes_on_with = |workers: &[&str]| {
        let on = format!("running on {workers:?}");
        service.wait_for_job("drained", &on, |job| {
            texts(&job["workers"]) == workers && !job["training"]["step"].is_null()
        });
        let before = service.trained("drained");
        service.wait_until_trained("drained", before + 5);
    };
    goes_on_with(&["pool/0", "pool/1"]);
    service.run(&["drain", "pool/0"]).expect_exit(0);
    goes_on_with(&["pool/1"]);
    assert_eq!([state("pool/0"), state("pool/1")], ["drained", "busy"]);
    let said = service.run(&["drain", "pool/0"]).expect_exit(0).stdout;
    assert!(said.contains("was so already"), "{said}");

    // The job moves to the other one.
    service.run(&["undrain", "pool/0"]).expect_exit(0);
    service.run(&["drain", "pool/1"]).expect_exit(0);
    goes_on_with(&["pool/0"]);
    let refused = service.run(&["drain", "pool/7"]).expect_exit(2).stderr;
    assert!(refused.contains("TW5303") && refused.contains("pool/7"), "{refused}");
    service.run(&["cancel", "drained"]).expect_exit(0);
    service.wait_for_phase("drained", "cancelled");
    service.assert_all_rows_were_trained_once("drained");
}

#[test]
fn workers_that_are_told_to_end_leave_after_a_checkpoint_and_training_goes_on_with_the_others() {
    let _alone = one_at_a_time();
    let mut service = Service::alone();
    service.add_workers("leaves", 1);
    service.add_workers("stays", 1);
    let fields = [ENDLESS, WATCHED, SELDOM, "workers={min: 1, max: 2}"];
    service.submit("left", &fields, &[]).expect_exit(0);
    service.wait_for_job("left", "on both", |job| texts(&job["workers"]) == ["leaves", "stays"]);
    service.wait_until_trained("left", 5);
    let leaving = service.take_workers();
    leaving.terminate();
    leaving.wait().expect_exit(0);
    service.wait_for_job("left", "on one", |job| {
        texts(&job["workers"]) == ["stays"] && !job["training"]["step"].is_null()
    });
    let [0, step] = service.began_at("left")[..] else { panic!("{:?}", service.began_at("left")) };
    assert!(step >= 5, "it went on from step {step}");
    service.run(&["cancel", "left"]).expect_exit(0);
    service.wait_for_phase("left", "cancelled");
    assert!(service.assert_all_rows_were_trained_once("left") >= step);
}

/// Fails unless all of these are in a text.
#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn what_there_is_is_shown_to_people_and_programs() {
    let _alone = one_at_a_time();
    let mut service = Service::alone();
    let shown = |service: &Service, command: &[&str]| service.run(command).expect_exit(0).stdout;
    assert_eq!(shown(&service, &["list"]), "there are no jobs\n");
    assert_says(&shown(&service, &["workers"]), &["there are no workers", "worker --coordinator URL"]);
    assert_eq!(
        [service.ask(&["list"]), service.ask(&["workers"])],
        [Value::Array(vec![]), Value::Array(vec![])]
    );
    let submitted = service.submit("done", &["train.steps=20"], &[]).expect_exit(0).stdout;
    assert_says(&submitted, &["done submitted", "coordinator status done"]);
    assert_says(&shown(&service, &["explain", "done"]), &["done is pending", "needs 1 worker", "has 0"]);

    service.add_workers("pool", 2);
    service.submit("done", &["train.steps=20"], &["--wait"]).expect_exit(0);
    let fields = [ENDLESS, "workers={min: 2, max: 4}"];
    service.submit("trains", &fields, &["--priority", "3"]).expect_exit(0);
    service.submit("waits", &["workers=3"], &[]).expect_exit(0);
    service.wait_for_job("trains", "trained", |job| {
        job["training"]["step"].as_u64() > Some(0) && job["checkpoint_step"].as_u64() > Some(0)
    });

    // list
    let list = shown(&service, &["list"]);
    assert_says(
        &list,
        &["NAME", "PHASE", "REASON", "done", "succeeded", "trains", "running", "/1,000,000", "2/4"],
    );
    let wide = shown(&service, &["ls", "-o", "wide"]);
    assert_says(&wide, &["GENERATION", "ROWS/S", "runs/trains"]);
    let list = service.ask(&["list"]);
    let of = |field: &str| list.as_array().unwrap().iter().map(|job| job[field].clone()).collect::<Vec<_>>();
    assert_eq!(of("name"), ["done", "trains", "waits"]);
    assert_eq!(of("phase"), ["succeeded", "running", "pending"]);
    assert_eq!(of("priority"), [0, 3, 0]);
    let pending = service.ask(&["list", "--phase", "pending"]);
    let pending: Vec<&Value> = pending.as_array().unwrap().iter().map(|job| &job["name"]).collect();
    assert_eq!(pending, ["waits"]);

    // status, describe, explain
    let status = shown(&service, &["status", "trains"]);
    assert_says(
        &status,
        &["job          trains", "phase        running", "2 of 2 to 4  pool/0, pool/1", "loss", "ETA"],
    );
    let status = service.ask(&["status", "trains"]);
    assert_eq!([&status["min_workers"], &status["max_workers"], &status["lanes"]], [2, 4, 6]);
    assert_eq!(status["training"]["total_steps"], 1_000_000);
    assert!(status["training"]["loss"].as_f64() > Some(0.0), "{status:#}");
    assert_eq!(status["run"], service.place.path("runs/trains").to_str().expect("a path"));
    let yaml = shown(&service, &["status", "trains", "-o", "yaml"]);
    assert_says(&yaml, &["name: \"trains\"\n", "workers:\n  - \"pool/0\"\n  - \"pool/1\"\n"]);
    let described = shown(&service, &["describe", "trains"]);
    assert_says(&described, &["spec:\n", "steps: 1000000\n", "events:\n", "training from step 0 to 1000000"]);
    assert_says(
        &shown(&service, &["explain", "waits"]),
        &["waits is pending: waiting for 1 more worker", "2 busy"],
    );
    let watched = shown(&service, &["status", "done", "--watch"]);
    assert_says(&watched, &["phase        succeeded"]);

    // events
    let events = service.events("done");
    let sequence: Vec<u64> = events.iter().filter_map(|event| event["sequence"].as_u64()).collect();
    assert_eq!(sequence, (1..=events.len() as u64).collect::<Vec<_>>());
    assert!(events.is_sorted_by_key(|event| event["at_ms"].as_u64()), "{events:#?}");
    let said = shown(&service, &["events", "done", "--watch"]);
    let phases = ["submitted", "preparing", "running", "evaluating", "exporting", "succeeded"];
    let mut rest = said.as_str();
    for phase in phases {
        rest = rest.split_once(phase).unwrap_or_else(|| panic!("no `{phase}`, or not in order:\n{said}")).1;
    }

    // logs: what a worker wrote is there a moment after it ended.
    let logs = shown(&service, &["logs", "done", "--follow"]);
    assert_says(&logs, &["pool/", " | ", "assigned", "TASK_KIND_TRAIN", "TASK_KIND_EXPORT"]);
    let last = shown(&service, &["logs", "done", "--tail", "2"]);
    assert!(last.lines().count() == 2 && logs.ends_with(&last), "{last}");
    let of_one = |worker: &str| {
        let logs = shown(&service, &["logs", "done", "--worker", worker]);
        assert!(logs.lines().all(|line| line.starts_with(&format!("{worker} | "))), "{logs}");
        logs.lines().count()
    };
    assert_eq!(of_one("pool/0") + of_one("pool/1"), logs.lines().count());
    assert_eq!(of_one("pool/2"), 0);

    // workers
    let workers = shown(&service, &["workers", "-o", "wide"]);
    assert_says(&workers, &["NAME", "STATE", "RANK", "SILENT", "pool/0", "busy", "trains", "cpu"]);
    let workers = service.ask(&["workers"]);
    let pids = workers.as_array().unwrap().iter().filter_map(|worker| worker["pid"].as_u64());
    let processes = service.worker_processes().into_iter().map(u64::from);
    assert_eq!(pids.collect::<BTreeSet<_>>(), processes.collect::<BTreeSet<_>>());
    for (rank, worker) in workers.as_array().unwrap().iter().enumerate() {
        assert_eq!(worker["name"], format!("pool/{rank}"));
        assert_eq!([&worker["state"], &worker["job"]], ["busy", "trains"]);
        assert_eq!(worker["rank"], rank);
    }
}

#[test]
fn bad_input_is_refused_before_anything_is_stored() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(1);
    let long = format!(
        "log.uri=[{}]",
        (0..2500).map(|i| format!("/logs/part-{i:025}.csv")).collect::<Vec<_>>().join(", ")
    );
    let key = "k".repeat(120_000);
    let cases: &[(&[&str], &[&str])] = &[
        (&["submit", "nowhere.yaml"], &["TW1001", "nowhere.yaml"]),
        (&["submit", "ids.yaml", "--set", "train.stepz=3"], &["TW1003", "train.steps"]),
        (&["submit", "ids.yaml", "--set", "name=No/Name"], &["TW1014", "no-name"]),
        (&["submit", "ids.yaml", "--set", "workers=7"], &["workers", "lanes"]),
        (&["submit", "ids.yaml", "--set", "workers={min: 3, max: 2}"], &["workers"]),
        (&["submit", "ids.yaml", "--set", "runs=s3://x/runs"], &["TW1011", "runs"]),
        (&["submit", "ids.yaml", "--set", &long], &["TW5014", "log/*.parquet"]),
        (&["submit", "ids.yaml", "--idempotency-key", &key], &["TW5014", "key"]),
        (&["submit", "ids.yaml", "--priority", "high"], &["--priority"]),
        (&["list", "-o", "xml"], &["xml"]),
        (&["list", "--phase", "runing"], &["runing", "running", "cancelled"]),
        (&["status", "nobody"], &["TW5302", "nobody"]),
        (&["cancel"], &["JOB"]),
        (&["cancel", "nobody"], &["TW5302", "nobody"]),
        (&["pause", "nobody"], &["TW5302"]),
        (&["resume", "nobody"], &["TW5302"]),
        (&["retry", "nobody"], &["TW5302"]),
        (&["delete", "nobody"], &["TW5302"]),
        (&["priority", "nobody", "1"], &["TW5302"]),
        (&["describe", "nobody"], &["TW5302"]),
        (&["explain", "nobody"], &["TW5302"]),
        (&["events", "nobody"], &["TW5302"]),
        (&["logs", "nobody"], &["TW5302"]),
        (&["undrain", "nobody"], &["TW5303", "nobody"]),
    ];
    for (command, says) in cases {
        let ended = service.run(command).expect_exit(2);
        assert_says(&ended.stderr, says);
        assert!(ended.stdout.is_empty(), "{command:?}: {}", ended.stdout);
    }
    assert_eq!(service.ask(&["list"]), Value::Array(Vec::new()));
    let left: Vec<_> = service.place.files("runs");
    assert_eq!(left, [service.place.path("runs/state.redb")]);

    // Nobody to ask is no mistake in what was asked.
    let ended = service.run_at("http://127.0.0.1:1", &["list"]).expect_exit(1);
    assert_says(&ended.stderr, &["TW5016", "http://127.0.0.1:1", "coordinator serve"]);
    // What only a worker can find out is told by the job; the exit code is the same.
    let ended = service.submit("blind", &["log.uri=nowhere/*.csv"], &["--wait"]).expect_exit(2);
    assert_says(&ended.stdout, &["phase        failed", "[TW2001]", "nowhere/*.csv"]);
    let failure = &service.job("blind").expect("a job")["failure"];
    assert_eq!([&failure["code"], &failure["worker"]], ["TW2001", "pool"]);
}
