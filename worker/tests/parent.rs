//! `worker` as people start it: one process that keeps those of its machine running.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use twinspire_processes::ONE_REQUEST;
use twinspire_proto::v1::{Shutdown, coordinator_message::Body as Order, worker_message::Body};

use self::support::{fake::Fake, until};

struct Parent(Child);

impl Parent {
    fn start(arguments: &[&str], log: &Path) -> Parent {
        let child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args(arguments)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn();
        Parent(child.unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    async fn end(mut self) -> Option<i32> {
        let mut status = None;
        until("the parent ends", || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.and_then(|status| status.code())
    }
}

fn is_gone(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.contains("State:\tZ") || status.contains("State:\tX")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workers_of_a_machine_are_kept_running_and_leave_together() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut fake = Fake::start().await;
    let parent = Parent::start(
        &["--coordinator", &fake.url(), "--name", "node", "--devices", "cpu", "--workers", "2"],
        &log,
    );
    let (one, other) = (fake.connection().await, fake.connection().await);
    let mut names = [&one, &other].map(|connection| connection.register.name.as_str());
    names.sort_unstable();
    assert_eq!(names, ["node/0", "node/1"]);
    assert!([&one, &other].iter().all(|connection| connection.register.device == "cpu"));

    let killed = one.register.clone();
    kill_process(Pid::from_raw(killed.pid as i32).unwrap(), Signal::KILL).unwrap();
    let again = fake.connection().await;
    assert_eq!(again.register.name, killed.name);
    assert_ne!(again.register.incarnation, killed.incarnation);

    parent.signal(Signal::TERM);
    for mut connection in [again, other] {
        assert!(matches!(connection.next().await, (0, Body::Leaving(_))));
        connection.order(0, Order::Shutdown(Shutdown::default())).await;
    }
    assert_eq!(parent.end().await, Some(0));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("was killed (signal 9") && log.contains("it is started again"), "{log}");
    assert!(log.lines().any(|line| line.starts_with("node/0 ") && line.contains("registered")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_end_with_their_parent_however_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut fake = Fake::start().await;
    let parent = Parent::start(&["--coordinator", &fake.url(), "--name", "node"], &dir.path().join("log"));
    let connection = fake.connection().await;
    assert!(connection.register.name.starts_with("node"), "{}", connection.register.name);
    parent.signal(Signal::KILL);
    until("the worker hears of it", || is_gone(connection.register.pid)).await;
    parent.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_does_not_wait_for_the_coordinator() {
    let dir = tempfile::tempdir().unwrap();
    let mut fake = Fake::start().await;
    let parent = Parent::start(&["--coordinator", &fake.url(), "--devices", "cpu"], &dir.path().join("log"));
    let mut connection = fake.connection().await;
    parent.signal(Signal::INT);
    assert!(matches!(connection.next().await, (0, Body::Leaving(_))));
    // Closer together they would be one.
    tokio::time::sleep(ONE_REQUEST).await;
    parent.signal(Signal::INT);
    assert_eq!(parent.end().await, Some(0), "it had nothing to do");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_once_and_not_by_every_child_again_and_again() {
    let dir = tempfile::tempdir().unwrap();
    let url = "http://127.0.0.1:9";
    for (arguments, what) in [
        (["--coordinator", "localhost:7070", "--devices", "cpu"], "TW5202"),
        (["--coordinator", url, "--devices", "cuda:17"], "TW5212"),
        (["--coordinator", url, "--workers", "0"], "TW5212"),
        (["--coordinator", url, "--devices", "gpu"], "`gpu` is no device"),
    ] {
        let log = dir.path().join("log");
        assert_eq!(Parent::start(&arguments, &log).end().await, Some(2), "{arguments:?}");
        let log = std::fs::read_to_string(&log).unwrap();
        assert!(log.contains(what), "{arguments:?}: {log}");
    }
}
