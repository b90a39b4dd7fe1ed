//! Children that are small shell scripts.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use twinspire_processes::{Child, Exit, Signal, Supervisor, tail};

/// Far beyond what anything here should need.
const DEADLINE: Duration = Duration::from_secs(60);

fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("script");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn child(name: &str, directory: &Path) -> Child {
    Child { name: name.into(), log: Some(directory.join(format!("{name}.log"))), ..Child::default() }
}

async fn next(supervisor: &mut Supervisor) -> Exit {
    tokio::time::timeout(DEADLINE, supervisor.exits.recv()).await.expect("in time").expect("one more")
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < DEADLINE, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn how_a_child_ended_is_told_and_one_that_is_done_is_not_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "exit 0");
    let mut supervisor = Supervisor::start(program, vec![child("a", dir.path())]).unwrap();
    let exit = next(&mut supervisor).await;
    assert_eq!((exit.name.as_str(), exit.code, exit.again_in), ("a", 0, None));
    assert_eq!(exit.why, "its process ended with exit code 0");
    assert_eq!(supervisor.wait().await, 0);
    assert!(supervisor.exits.recv().await.is_none(), "all that there is to tell");
}

#[tokio::test]
async fn a_child_that_wants_to_be_started_again_is_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "echo life; test $(grep -c life $LOG) -ge 5 && exit 0; exit 75");
    let log = dir.path().join("a.log");
    let child = Child { env: vec![("LOG".into(), log.display().to_string())], ..child("a", dir.path()) };
    let mut supervisor = Supervisor::start(program, vec![child]).unwrap();
    for _ in 0..4 {
        let exit = next(&mut supervisor).await;
        assert_eq!((exit.code, exit.again_in), (75, Some(Duration::ZERO)));
    }
    assert_eq!(next(&mut supervisor).await.code, 0);
    assert_eq!(tail(&log, 9), ["life"], "of the last life only");
    assert_eq!(std::fs::read_to_string(&log).unwrap().matches("--- started").count(), 5);
}

#[tokio::test]
async fn a_child_that_is_killed_is_started_again_and_one_that_crashes_on_after_a_pause() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "kill -9 $$");
    let mut supervisor = Supervisor::start(program, vec![child("a", dir.path())]).unwrap();
    let first = next(&mut supervisor).await;
    assert_eq!(first.why, "its process was killed (signal 9; out of memory, perhaps)");
    assert_eq!((first.code, first.again_in), (137, Some(Duration::ZERO)));
    assert!(next(&mut supervisor).await.again_in > Some(Duration::ZERO));
    supervisor.end(Duration::ZERO).await;
}

#[tokio::test]
async fn a_signal_reaches_all_children_and_none_is_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    let names = ["a", "b"];
    let children = names.map(|name| child(name, dir.path()));
    let mut supervisor = Supervisor::start(program, children.into()).unwrap();
    until("both are ready", || {
        names.iter().all(|name| tail(&dir.path().join(format!("{name}.log")), 1) == ["ready"])
    })
    .await;
    supervisor.signal_all(Signal::TERM);
    assert_eq!(supervisor.wait().await, 3);
    for _ in names {
        assert_eq!(next(&mut supervisor).await.again_in, None);
    }
}

#[tokio::test]
async fn a_frozen_child_is_replaced_and_the_others_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "echo ready; kill -STOP $$");
    let names = ["a", "b"];
    let children = names.map(|name| child(name, dir.path()));
    let mut supervisor = Supervisor::start(program, children.into()).unwrap();
    until("both are frozen", || {
        names.iter().all(|name| tail(&dir.path().join(format!("{name}.log")), 1) == ["ready"])
    })
    .await;
    supervisor.replace("a");
    let exit = next(&mut supervisor).await;
    assert_eq!((exit.name.as_str(), exit.code, exit.again_in), ("a", 137, Some(Duration::ZERO)));
    assert!(exit.why.contains("did not answer"), "{}", exit.why);
    supervisor.end(Duration::ZERO).await;
    let mut starts = names.map(|name| {
        let log = std::fs::read_to_string(dir.path().join(format!("{name}.log"))).unwrap();
        log.matches("--- started").count()
    });
    starts.sort_unstable();
    assert!(starts[0] == 1 && starts[1] <= 2, "{starts:?}");
}

#[tokio::test]
async fn children_that_do_not_end_are_killed() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "trap '' TERM; exec sleep 600");
    let children = ["a", "b"].map(|name| child(name, dir.path()));
    let mut supervisor = Supervisor::start(program, children.into()).unwrap();
    supervisor.end(Duration::from_millis(10)).await;
    assert_eq!(next(&mut supervisor).await.code, 137);
    assert_eq!(next(&mut supervisor).await.again_in, None);
}

#[tokio::test]
async fn a_program_that_is_not_there_is_an_error_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let error = Supervisor::start(dir.path().join("absent"), vec![child("a", dir.path())]).err().unwrap();
    assert_eq!(error.code(), "TW5004");
    assert!(error.to_string().contains("absent"), "{error}");
}

#[tokio::test]
async fn a_program_that_vanishes_is_tried_again_until_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let program = script(dir.path(), "rm $0; exit 75");
    let mut supervisor = Supervisor::start(program, vec![child("a", dir.path())]).unwrap();
    assert_eq!(next(&mut supervisor).await.code, 75);
    let gone = next(&mut supervisor).await;
    assert_eq!((gone.code, gone.again_in), (127, Some(Duration::ZERO)));
    assert!(next(&mut supervisor).await.why.contains("cannot be started"));
    script(dir.path(), "exit 0");
    assert_eq!(next(&mut supervisor).await.code, 0);
    assert_eq!(supervisor.wait().await, 0);
}
