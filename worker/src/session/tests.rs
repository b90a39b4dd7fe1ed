//! A session with a coordinator that does what a test says, and tasks that do.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../tests/support/fake.rs"]
mod fake;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::{sync::mpsc, task::JoinHandle};
use twinspire_proto::v1::{
    Abort, CheckpointCommitted, CheckpointPart, Places, Prepared, Progress, RendezvousReady, Shutdown,
    StopAfterStep, TaskKind, task_done, worker_message::Body,
};

use self::fake::{Connection, Fake};
use super::*;
use crate::task::{Task, TaskError, Work};

/// A worker under test.
struct Worker {
    life: JoinHandle<End>,
    signals: mpsc::Sender<()>,
    begun: Arc<AtomicU32>,
}

impl Worker {
    fn start(
        urls: &[String],
        work: impl Fn(&Task) -> Result<task_done::Result, TaskError> + Send + Sync + 'static,
    ) -> Worker {
        Worker::with_pace(urls, Pace::default(), work)
    }

    fn with_pace(
        urls: &[String],
        pace: Pace,
        work: impl Fn(&Task) -> Result<task_done::Result, TaskError> + Send + Sync + 'static,
    ) -> Worker {
        let begun = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&begun);
        let work = move |task: &Task| {
            count.fetch_add(1, Ordering::SeqCst);
            work(task)
        };
        Worker { begun, ..Worker::doing(urls, pace, Arc::new(work)) }
    }

    fn doing(urls: &[String], pace: Pace, work: Arc<dyn Work>) -> Worker {
        let who =
            Who { name: "w".into(), incarnation: 42, device: "cpu".into(), memory: 1 << 30, beside: Some(1) };
        let addresses = Addresses::parse(urls).unwrap();
        let session = Session::new(addresses, who, work, JobLog::default());
        let session = Session { pace, ..session };
        let (signals, told) = mpsc::channel(4);
        Worker { life: tokio::spawn(session.run(told)), signals, begun: Arc::default() }
    }

    async fn end(self) -> End {
        tokio::time::timeout(fake::DEADLINE, self.life).await.expect("in time").unwrap()
    }
}

fn assign(job: &str) -> Order {
    let file = twinspire_job::JobFile::parse("name: x\nlog: {uri: x.parquet}\n", "job.yaml", &[]).unwrap();
    Order::Assign(Assign {
        job: job.into(),
        kind: TaskKind::Prepare.into(),
        spec_json: serde_json::to_string(&file.into_spec()).unwrap(),
        places: Some(Places::default()),
        world: 1,
        heartbeat_ms: 20,
        ..Assign::default()
    })
}

fn prepared() -> task_done::Result {
    task_done::Result::Prepared(Prepared { fingerprint: "f".into(), ..Prepared::default() })
}

/// A task that goes on until it is given up.
fn until_given_up(task: &Task) -> Result<task_done::Result, TaskError> {
    task.block_on(std::future::pending())
}

fn membership(job: &str, generation: u64) -> Option<Membership> {
    Some(Membership { job: job.into(), generation })
}

/// Waits until the worker has the task.
async fn begun(connection: &mut Connection, generation: u64) {
    while connection.message().await.expect("a connection").generation != generation {}
}

async fn idle(connection: &mut Connection, generation: u64) {
    let said = connection.next().await;
    assert!(matches!(said, (of, Body::Idle(_)) if of == generation), "{said:?}");
}

async fn done(connection: &mut Connection, generation: u64) {
    let said = connection.next().await;
    assert!(matches!(said, (of, Body::TaskDone(_)) if of == generation), "{said:?}");
}

#[tokio::test]
async fn a_worker_says_who_it_is_does_its_task_and_ends_when_told() {
    let mut fake = Fake::start().await;
    let worker = Worker::start(&[fake.url()], |_| Ok(prepared()));
    let mut connection = fake.connection().await;
    let register = &connection.register;
    assert_eq!((register.name.as_str(), register.incarnation, register.device.as_str()), ("w", 42, "cpu"));
    assert_eq!(
        (register.memory, register.pid, register.host.as_str()),
        (1 << 30, std::process::id(), "127.0.0.1")
    );
    assert_eq!(register.running, None);
    connection.order(3, assign("job")).await;
    done(&mut connection, 3).await;
    connection.order(0, Order::Shutdown(Shutdown::default())).await;
    assert_eq!(worker.end().await, End::Told);
}

#[tokio::test]
async fn a_task_goes_on_without_a_coordinator_and_the_next_one_hears_all_that_counts() {
    let mut fake = Fake::start().await;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let worker = Worker::start(&[fake.url()], move |task| {
        task.link.say(Body::RendezvousReady(RendezvousReady { host: "here".into(), port: 7 }));
        wait.lock().unwrap().recv().unwrap();
        assert!(!task.link.is_connected());
        for step in [10, 20, 30] {
            task.link.say(Body::Progress(Progress::default()));
            task.link.say(Body::CheckpointPart(CheckpointPart { step, part_json: "{}".into() }));
        }
        task.link.say(Body::CheckpointCommitted(CheckpointCommitted { step: 20 }));
        wait.lock().unwrap().recv().unwrap();
        Ok(prepared())
    });
    let mut first = fake.connection().await;
    first.order(1, assign("job")).await;
    assert!(matches!(first.next().await, (1, Body::RendezvousReady(_))));
    let address = fake.address;
    drop(first);
    fake.stop().await;
    // Its first try has failed by now, or will.
    tokio::time::sleep(Duration::from_millis(300)).await;
    go_on.send(()).unwrap();

    let mut fake = Fake::listen(address).await;
    let mut second = fake.connection().await;
    assert_eq!(second.register.running, membership("job", 1));
    assert_eq!(second.register.incarnation, 42);
    assert!(matches!(second.next().await, (1, Body::RendezvousReady(_))));
    assert!(matches!(second.next().await, (1, Body::CheckpointPart(part)) if part.step == 30));
    assert!(matches!(second.next().await, (1, Body::CheckpointCommitted(it)) if it.step == 20));
    go_on.send(()).unwrap();
    done(&mut second, 1).await;

    // A result that may not have arrived is told again, until it is known to have.
    drop(second);
    let mut third = fake.connection().await;
    assert_eq!(third.register.running, membership("job", 1));
    for _ in 0..3 {
        third.next().await;
    }
    done(&mut third, 1).await;
    third.order(1, Order::Abort(Abort {})).await;
    third.order(1, assign("another")).await;
    drop(go_on);
    // The abort needed no answer: the task was over. What comes is about the new one.
    assert!(matches!(third.next().await, (1, Body::RendezvousReady(_))));
    drop(worker);
}

#[tokio::test]
async fn a_task_assigned_twice_is_begun_once() {
    let mut fake = Fake::start().await;
    let worker = Worker::start(&[fake.url()], |task| {
        // Long enough for the second order to come: a task that is told to stop was told all before.
        while task.orders.control() == crate::task::Control::GO_ON {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(prepared())
    });
    let mut connection = fake.connection().await;
    let stop = || Order::StopAfterStep(StopAfterStep { checkpoint: true });
    connection.order(5, assign("job")).await;
    connection.order(5, assign("job")).await;
    // From a coordinator that is behind.
    connection.order(4, assign("job")).await;
    connection.order(5, stop()).await;
    done(&mut connection, 5).await;
    assert_eq!(worker.begun.load(Ordering::SeqCst), 1);
    // A pool whose records are gone counts from the start.
    connection.order(1, assign("job")).await;
    connection.order(1, stop()).await;
    done(&mut connection, 1).await;
}

#[tokio::test]
async fn orders_for_a_task_it_has_not_change_nothing_and_a_second_task_is_refused() {
    let mut fake = Fake::start().await;
    let _worker = Worker::start(&[fake.url()], until_given_up);
    let mut connection = fake.connection().await;
    connection.order(5, assign("job")).await;
    connection.order(4, Order::Abort(Abort {})).await;
    connection.order(9, assign("other")).await;
    let said = connection.next().await;
    assert!(matches!(&said, (9, Body::TaskFailed(failed)) if failed.code == "TW5205"), "{said:?}");
    connection.order(5, Order::Abort(Abort {})).await;
    idle(&mut connection, 5).await;
}

#[tokio::test]
async fn a_task_that_is_given_up_is_let_go_of_and_another_can_be_begun() {
    let mut fake = Fake::start().await;
    let worker = Worker::start(&[fake.url()], until_given_up);
    let mut connection = fake.connection().await;
    for generation in [1, 2, 3] {
        connection.order(generation, assign("job")).await;
        connection.order(generation, Order::Abort(Abort {})).await;
        idle(&mut connection, generation).await;
    }
    drop(connection);
    assert_eq!(fake.connection().await.register.running, None);
    assert_eq!(worker.begun.load(Ordering::SeqCst), 3);
}

/// Gets ready for as long as it may, and says in its tasks that it has.
struct Slow(std::sync::mpsc::Sender<&'static str>);

impl Work for Slow {
    fn perform(&self, _: &Task) -> Result<task_done::Result, TaskError> {
        let _ = self.0.send("performed");
        Ok(prepared())
    }

    fn get_ready(&self, task: &Task) -> Result<(), TaskError> {
        if task.assign.job == "endless" {
            let ended = task.block_on(std::future::pending());
            let _ = self.0.send("given up");
            return ended;
        }
        std::thread::sleep(Duration::from_millis(300));
        let _ = self.0.send("ready");
        Ok(())
    }
}

fn get_ready(job: &str) -> Order {
    match assign(job) {
        Order::Assign(assign) => Order::GetReady(assign),
        other => other,
    }
}

#[tokio::test]
async fn a_task_waits_for_what_it_gets_ready_for_and_gives_up_what_is_something_else() {
    let mut fake = Fake::start().await;
    let (did, what) = std::sync::mpsc::channel();
    let _worker = Worker::doing(&[fake.url()], Pace::default(), Arc::new(Slow(did)));
    let mut connection = fake.connection().await;
    connection.order(0, get_ready("job")).await;
    connection.order(0, get_ready("job")).await;
    connection.order(1, assign("job")).await;
    for _ in 0..2 {
        let said = connection.next().await;
        let is_ready =
            matches!(&said, (0, Body::Ready(ready)) if ready.job == "job" && ready.failed.is_none());
        assert!(is_ready, "{said:?}");
    }
    done(&mut connection, 1).await;
    connection.order(0, get_ready("endless")).await;
    connection.order(2, assign("job")).await;
    done(&mut connection, 2).await;
    assert_eq!(what.try_iter().collect::<Vec<_>>(), ["ready", "ready", "performed", "given up", "performed"]);
}

#[tokio::test]
async fn a_process_whose_task_does_not_end_does() {
    let mut fake = Fake::start().await;
    let pace = Pace { let_go: Duration::from_millis(200), ..Pace::default() };
    let worker = Worker::with_pace(&[fake.url()], pace, |_| {
        // As in a collective, with a rank that is gone.
        std::thread::sleep(Duration::from_secs(5));
        Ok(prepared())
    });
    let connection = fake.connection().await;
    connection.order(1, assign("job")).await;
    connection.order(1, Order::Abort(Abort {})).await;
    assert_eq!(worker.end().await, End::Stuck);
}

#[tokio::test]
async fn who_is_to_leave_says_so_and_goes_on_until_it_may_go() {
    let mut fake = Fake::start().await;
    let pace = Pace { leave: Duration::from_millis(400), ..Pace::default() };
    let worker = Worker::with_pace(&[fake.url()], pace, |task| {
        while task.orders.control() == crate::task::Control::GO_ON {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(prepared())
    });
    let mut connection = fake.connection().await;
    connection.order(1, assign("job")).await;
    begun(&mut connection, 1).await;
    worker.signals.send(()).await.unwrap();
    assert!(matches!(connection.next().await, (1, Body::Leaving(_))));
    // A coordinator that comes after hears of it too.
    drop(connection);
    let mut connection = fake.connection().await;
    assert!(matches!(connection.next().await, (1, Body::Leaving(_))));
    tokio::time::sleep(pace.leave * 3).await;
    connection.order(1, Order::StopAfterStep(StopAfterStep { checkpoint: true })).await;
    done(&mut connection, 1).await;
    connection.order(0, Order::Shutdown(Shutdown::default())).await;
    assert!(matches!(worker.end().await, End::Told | End::Left));
}

#[tokio::test]
async fn who_is_to_leave_and_is_not_needed_does_not_wait_for_ever() {
    let mut fake = Fake::start().await;
    let pace = Pace { leave: Duration::from_millis(100), ..Pace::default() };
    let worker = Worker::with_pace(&[fake.url()], pace, until_given_up);
    let _silent = fake.connection().await;
    worker.signals.send(()).await.unwrap();
    assert_eq!(worker.end().await, End::Left);
    // Nor without a coordinator.
    let worker = Worker::with_pace(&["http://127.0.0.1:9".into()], pace, until_given_up);
    worker.signals.send(()).await.unwrap();
    assert_eq!(worker.end().await, End::Left);
}

#[tokio::test]
async fn told_to_end_twice_it_ends_at_once() {
    let mut fake = Fake::start().await;
    let worker = Worker::start(&[fake.url()], until_given_up);
    let mut connection = fake.connection().await;
    connection.order(1, assign("job")).await;
    begun(&mut connection, 1).await;
    worker.signals.send(()).await.unwrap();
    assert!(matches!(connection.next().await, (_, Body::Leaving(_))));
    worker.signals.send(()).await.unwrap();
    assert_eq!(worker.end().await, End::Cut);
}

#[tokio::test]
async fn of_several_coordinators_the_one_that_answers_is_found() {
    let gone = Fake::start().await;
    let (mut first, mut second) = (Fake::start().await, Fake::start().await);
    let urls = [gone.url(), first.url(), second.url()];
    gone.stop().await;
    let _worker = Worker::start(&urls, until_given_up);
    let mut connection = first.connection().await;
    connection.order(1, assign("job")).await;
    begun(&mut connection, 1).await;
    drop(connection);
    first.stop().await;
    assert_eq!(second.connection().await.register.running, membership("job", 1));
}

#[tokio::test]
async fn heartbeats_come_as_often_as_the_task_wants_them() {
    let mut fake = Fake::start().await;
    let _worker = Worker::start(&[fake.url()], until_given_up);
    let mut connection = fake.connection().await;
    connection.order(1, assign("job")).await;
    let begun = Instant::now();
    let mut beats = 0;
    while beats < 20 {
        let message = connection.message().await.unwrap();
        beats += u32::from(message.generation == 1 && matches!(message.body, Some(Body::Heartbeat(_))));
    }
    assert!(begun.elapsed() >= Duration::from_millis(19 * 20) / 2, "not all at once");
}
