//! What deciding costs with 10,000 workers and 100 jobs:
//!
//! ```console
//! cargo run -p twinspire-control --example scale
//! ```
//! Every line is a kind of event: how many of them, and the processor time one takes, in
//! microseconds. (Time by the clock says more about who else uses the machine.)

use std::time::Duration;

use twinspire_control::{
    Command, Device, DeviceWish, Event, Failure, FailureKind, FromWorker, Generation, Incarnation, Job,
    Limits, Membership, Policy, Pool, Registration, Request, Session, Stage, State, TaskResult, Time,
    Timeouts, Verb,
};

const WORKERS: u64 = 10_000;
const JOBS: u64 = 100;

/// Processor time of this thread; zero where nobody says.
fn processor_time() -> Duration {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = said.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// A coordinator, and what its events cost.
struct Bench {
    state: State,
    now: u64,
    /// Records as the store has them.
    jobs: std::collections::BTreeMap<String, Job>,
    pool: Pool,
}

fn request(name: String, min: u32, max: u32) -> Request {
    Request {
        name: name.into(),
        key: String::new(),
        priority: 0,
        lanes: max,
        min_workers: min,
        max_workers: max,
        device: DeviceWish::Cpu,
        plan: vec![Stage::Train],
        generation: Generation(0),
        checkpoint: None,
        chaos: false,
        stragglers: Default::default(),
        timeouts: Timeouts {
            heartbeat: Duration::from_secs(2),
            lost: Duration::from_secs(9),
            blame: Duration::from_secs(3),
            let_go: Duration::from_secs(10),
            collective: Duration::from_secs(60),
        },
    }
}

/// One that takes on a job of all workers.
fn policy() -> Policy {
    Policy { limits: Limits { workers_per_job: None, ..Limits::default() }, ..Policy::default() }
}

fn registered(worker: u64, session: u64, running: Option<Membership>) -> Event {
    let registration = Registration {
        name: format!("node-{}/cuda:{}", worker / 8, worker % 8).into(),
        incarnation: Incarnation(worker),
        device: Device::Cpu,
        about: String::new(),
        running,
        state: None,
    };
    Event::Registered(Session(session), registration)
}

impl Bench {
    fn new() -> Bench {
        let state = State::new(policy());
        Bench { state, now: 1_000_000, jobs: Default::default(), pool: Pool::default() }
    }

    /// Applies events; prints what they cost.
    fn time(&mut self, what: &str, events: impl IntoIterator<Item = Event>) {
        let events: Vec<Event> = events.into_iter().collect();
        let count = events.len();
        let begun = processor_time();
        let decided: Vec<Command> =
            events.into_iter().flat_map(|event| self.state.apply(event, Time(self.now))).collect();
        let each = (processor_time() - begun).as_secs_f64() * 1e6 / count.max(1) as f64;
        println!("  {what:<40} {count:>6} x {each:>9.2} us, {:>6} commands", decided.len());
        for command in decided {
            match command {
                Command::Record(job) => drop(self.jobs.insert(job.name().to_string(), *job)),
                Command::RecordPool(pool) => self.pool = pool,
                _ => {}
            }
        }
    }

    fn said(&self, what: &FromWorker) -> Vec<Event> {
        let said = self.state.workers().map(|(_, worker)| Event::Said {
            session: worker.session,
            generation: worker.task.as_ref().map_or(Generation(0), |task| task.generation),
            what: what.clone(),
        });
        said.collect()
    }

    fn ticks(&mut self, what: &str) {
        for _ in 0..5 {
            // Everybody is heard of, so that nobody is lost.
            self.now += 1000;
            for event in self.said(&FromWorker::Heartbeat) {
                self.state.apply(event, Time(self.now));
            }
        }
        self.time(what, (0..200).map(|_| Event::Tick));
    }

    fn change_coordinators(&mut self) {
        let jobs: Vec<Job> = self.jobs.values().cloned().collect();
        let tasks: Vec<(u64, Option<Membership>)> =
            self.state.workers().map(|(_, worker)| (worker.incarnation.0, worker.task.clone())).collect();
        let begun = processor_time();
        self.state = State::restore(policy(), jobs, self.pool.clone(), Time(self.now));
        println!("  restore: {:.0} us", (processor_time() - begun).as_secs_f64() * 1e6);
        let back = tasks.into_iter().enumerate();
        let back: Vec<Event> =
            back.map(|(at, (worker, task))| registered(worker, at as u64 + 1, task)).collect();
        self.time("workers come back to another coordinator", back);
    }
}

fn submit(request: Request) -> Event {
    Event::Asked(Verb::Submit(Box::new(request)))
}

/// Many jobs, all workers busy.
fn many_jobs() {
    println!("{JOBS} jobs of {} workers", WORKERS / JOBS);
    let mut bench = Bench::new();
    let each = (WORKERS / JOBS) as u32;
    bench.time("submit", (0..JOBS).map(|job| submit(request(format!("job-{job}"), each, each))));
    bench.time("workers come, jobs begin", (0..WORKERS).map(|worker| registered(worker, worker + 1, None)));
    let heartbeats = bench.said(&FromWorker::Heartbeat);
    bench.time("heartbeat", heartbeats);
    bench.ticks("tick");
    let part = FromWorker::CheckpointPart { step: 100, part: "a part of some hundred bytes".repeat(8) };
    let parts = bench.said(&part);
    bench.time("part of a checkpoint", parts);
    bench.change_coordinators();
    bench.ticks("tick");
    let trained =
        TaskResult::Trained { step: 10, total_steps: 10, stopped: false, ended_early: String::new() };
    let done = bench.said(&FromWorker::Done(trained));
    bench.time("done", done);
}

/// Many jobs wait, none can begin.
fn many_waiting() {
    println!("{JOBS} jobs that wait for more workers than there are");
    let mut bench = Bench::new();
    let all = WORKERS as u32;
    bench.time("submit", (0..JOBS).map(|job| submit(request(format!("job-{job}"), all + 1, all + 1))));
    bench.time("workers come", (0..WORKERS).map(|worker| registered(worker, worker + 1, None)));
    bench.ticks("tick");
    let left = (0..WORKERS).map(|worker| Event::Left { session: Session(worker + 1), why: "reset".into() });
    bench.time("workers go", left);
}

/// One job of all workers, one of which dies.
fn one_job() {
    println!("1 job of {WORKERS} workers");
    let mut bench = Bench::new();
    bench.time("workers come", (0..WORKERS).map(|worker| registered(worker, worker + 1, None)));
    bench.time("submit, begin", [submit(request("large".into(), 1, WORKERS as u32))]);
    let part = FromWorker::CheckpointPart { step: 100, part: "a part of some hundred bytes".repeat(8) };
    let parts = bench.said(&part);
    bench.time("part of a checkpoint", parts);
    let lost = Failure {
        code: "TW4001".into(),
        message: "connection closed by peer".into(),
        kind: FailureKind::LostPeer,
        worker: None,
    };
    let lost = bench.said(&FromWorker::Failed(lost));
    bench.time("lost a peer", lost.into_iter().take(WORKERS as usize - 1));
    bench.time(
        "that peer's connection ends",
        [Event::Left { session: Session(WORKERS), why: "reset".into() }],
    );
    bench.time("time passes", (0..10).map(|_| Event::Tick));
    bench.change_coordinators();
}

fn main() {
    many_jobs();
    many_waiting();
    one_job();
}
