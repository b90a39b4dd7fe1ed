//! Coordinators that serve, workers that work for them, and people who ask them things.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    place::Place,
    process::{Ended, Process},
    programs::Program,
    wait::until,
};

/// Between two looks at a job: each starts a program.
const LOOK: Duration = Duration::from_millis(50);

/// Kilobytes of the empty disk that hides a directory.
const BLIND: u32 = 20_000;

/// The job file of a service's jobs; each is given a name of its own.
const JOB: &str = "ids.yaml";

/// One coordinator or several, with workers; all of them are killed when this is dropped.
///
/// Jobs are [`JOB`] under different names, in a place with a log of 300 users.
pub struct Service {
    environment: Vec<(String, String)>,
    servers: Mutex<Vec<Server>>,
    workers: Vec<Process>,
    /// Where all of them run.
    pub place: Place,
}

/// A coordinator that serves on a port of its own, also when it is started again.
struct Server {
    arguments: Vec<String>,
    address: String,
    process: Option<Process>,
}

impl Service {
    /// A coordinator whose state is in a file, without workers.
    pub fn alone() -> Service {
        Service::new(1, &[], Vec::new())
    }

    /// A coordinator whose state is in a file, and the workers `pool/0`, `pool/1`, …; one of them alone
    /// is called `pool`.
    pub fn with_workers(workers: u32) -> Service {
        let mut service = Service::alone();
        service.add_workers("pool", workers);
        service
    }

    /// Coordinators that are given these arguments beside their address. These variables are in the
    /// environment of everything that runs.
    pub fn new(coordinators: usize, arguments: &[&str], environment: Vec<(String, String)>) -> Service {
        Service::at("127.0.0.1:0", coordinators, arguments, environment)
    }

    /// The same, listening on another address.
    pub fn at(
        address: &str,
        coordinators: usize,
        arguments: &[&str],
        environment: Vec<(String, String)>,
    ) -> Service {
        let place = Place::with_log(300, 200, 9_000);
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let server = |_| Server { arguments: arguments.clone(), address: address.into(), process: None };
        let servers = Mutex::new((0..coordinators).map(server).collect());
        let service = Service { environment, servers, workers: Vec::new(), place };
        (0..coordinators).for_each(|number| service.start(number));
        until("a coordinator is to lead", || service.leads().then_some(()));
        service
    }

    /// Starts the workers of one machine called `name`, and waits until they are in the pool.
    pub fn add_workers(&mut self, name: &str, count: u32) {
        self.add_workers_as(name, count, |program| program);
    }

    /// Starts a worker in a network namespace, and waits until it is in the pool.
    pub fn add_worker_in(&mut self, namespace: &str, name: &str) {
        self.add_workers_as(name, 1, |program| program.in_network(namespace));
    }

    /// Starts a worker that does not see what is in this directory, and waits until it is in the pool.
    pub fn add_worker_blind_to(&mut self, directory: &str, name: &str) {
        let hidden = self.place.path(directory);
        self.add_workers_as(name, 1, |program| program.with_disk(&hidden, BLIND));
    }

    /// Starts a worker that can read this directory and not write it, and waits until it is in the pool.
    pub fn add_worker_reading_only(&mut self, directory: &str, name: &str) {
        let kept = self.place.path(directory);
        self.add_workers_as(name, 1, |program| program.reading_only(&kept));
    }

    fn add_workers_as(&mut self, name: &str, count: u32, started_as: impl FnOnce(Program) -> Program) {
        let (urls, workers) = (self.urls().join(","), count.to_string());
        let arguments = ["--coordinator", &urls, "--name", name, "--workers", &workers];
        let program = self.place.worker(&arguments).environment(&self.environment);
        self.workers.push(started_as(program).start());
        let registered = || {
            let names = self.names_of_workers()?;
            let of_this = names.iter().filter(|worker| worker.split('/').next() == Some(name)).count();
            (of_this == count as usize).then_some(())
        };
        until("all workers are to be in the pool", registered);
    }

    fn names_of_workers(&self) -> Option<Vec<String>> {
        let ended = self.run(&["workers", "-o", "json"]);
        let workers = (ended.exit() == Some(0)).then(|| ended.json())?;
        let names = workers.as_array()?.iter().filter_map(|worker| worker["name"].as_str());
        Some(names.map(str::to_owned).collect())
    }

    /// A machine's workers, in the order they were added: to be killed, or told to end.
    pub fn take_workers(&mut self) -> Process {
        self.workers.remove(0)
    }

    /// Process ids of all workers.
    pub fn worker_processes(&self) -> Vec<u32> {
        self.workers.iter().flat_map(Process::workers).collect()
    }

    /// Where the coordinators listen.
    pub fn urls(&self) -> Vec<String> {
        self.servers().iter().map(|server| format!("http://{}", server.address)).collect()
    }

    /// `kill -9` of a coordinator.
    pub fn kill(&self, coordinator: usize) {
        self.take(coordinator).kill();
    }

    /// Ends a coordinator in good order.
    pub fn end(&self, coordinator: usize) -> Ended {
        let process = self.take(coordinator);
        process.terminate();
        process.wait()
    }

    fn take(&self, coordinator: usize) -> Process {
        self.servers()[coordinator].process.take().expect("a coordinator that runs")
    }

    /// Held for a moment only: others want to know where to ask.
    fn servers(&self) -> MutexGuard<'_, Vec<Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a coordinator that was killed, on the port it had.
    pub fn start(&self, coordinator: usize) {
        let (arguments, address) = {
            let server = &self.servers()[coordinator];
            (server.arguments.clone(), server.address.clone())
        };
        // Somebody else's connection may have the port for a moment.
        let (address, process) =
            until("a coordinator is to listen", || self.try_to_start(&arguments, &address));
        let server = &mut self.servers()[coordinator];
        (server.address, server.process) = (address, Some(process));
    }

    fn try_to_start(&self, arguments: &[String], address: &str) -> Option<(String, Process)> {
        let mut command = vec!["serve", "--listen", address];
        command.extend(arguments.iter().map(String::as_str));
        let mut process = self.place.coordinator(&command).environment(&self.environment).start();
        let listens_on = |said: &str| {
            let (_, address) = said.split_once("listening on ")?;
            Some(address.split_once(',')?.0.to_owned())
        };
        let address = until("a coordinator is to listen or to end", || {
            let ended = process.has_ended();
            let address = listens_on(&process.stderr());
            (ended || address.is_some()).then_some(address)
        });
        let why = process.stderr();
        assert!(address.is_some() || why.contains("TW5003"), "{why}");
        Some((address?, process))
    }

    /// Whether a coordinator leads.
    pub fn leads(&self) -> bool {
        self.run(&["list"]).exit() == Some(0)
    }

    /// A command to be asked of whichever coordinator answers.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.run_at(&self.urls().join(","), arguments)
    }

    /// A command to be asked of the coordinator of this address.
    pub fn run_at(&self, url: &str, arguments: &[&str]) -> Ended {
        let address = [("TWINSPIRE_COORDINATOR".to_owned(), url.to_owned())];
        self.place.coordinator(arguments).environment(&self.environment).environment(&address).run()
    }

    /// What a command answers that succeeds, for programs.
    #[track_caller]
    pub fn ask(&self, arguments: &[&str]) -> Value {
        self.run(&[arguments, &["-o", "json"]].concat()).expect_exit(0).json()
    }

    /// The events of a job, in order.
    #[track_caller]
    pub fn events(&self, job: &str) -> Vec<Value> {
        let ended = self.run(&["events", job, "-o", "json"]).expect_exit(0);
        ended.stdout.lines().map(|line| serde_json::from_str(line).expect("an event a line")).collect()
    }

    /// The steps that training of a job began from, one for each time it began.
    #[track_caller]
    pub fn began_at(&self, job: &str) -> Vec<u64> {
        let step = |event: &Value| {
            let said = event["message"].as_str()?.strip_prefix("training from step ")?;
            said.split(' ').next()?.parse().ok()
        };
        self.events(job).iter().filter_map(step).collect()
    }

    /// Submits a job with these fields set.
    pub fn submit(&self, job: &str, fields: &[&str], more: &[&str]) -> Ended {
        self.submit_at(&self.urls().join(","), job, fields, more)
    }

    /// Submits a job to the coordinator of this address.
    pub fn submit_at(&self, url: &str, job: &str, fields: &[&str], more: &[&str]) -> Ended {
        let command = submission(job, fields);
        let command: Vec<&str> = command.iter().map(String::as_str).chain(more.iter().copied()).collect();
        self.run_at(url, &command)
    }

    /// A job as it is now; none when nobody can be asked.
    pub fn job(&self, job: &str) -> Option<Value> {
        let ended = self.run(&["status", job, "-o", "json"]);
        (ended.exit() == Some(0)).then(|| ended.json())
    }

    /// Waits until a job is as wanted.
    pub fn wait_for_job(&self, job: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(&format!("{job} is to be {what}"), || {
            let now = self.job(job);
            if now.is_none() || now.as_ref().is_some_and(|job| !wanted(job)) {
                thread::sleep(LOOK);
                return None;
            }
            now
        })
    }

    /// Waits until a job is in this phase.
    pub fn wait_for_phase(&self, job: &str, phase: &str) -> Value {
        self.wait_for_job(job, phase, |job| job["phase"] == phase)
    }

    /// The last step that a job has trained, as its metrics have it: no coordinator is asked. With
    /// `train.log_every=1` that is every step.
    pub fn trained(&self, job: &str) -> u64 {
        self.place.trained(job)
    }

    /// Waits until a job has trained so many steps.
    pub fn wait_until_trained(&self, job: &str, steps: u64) {
        until(&format!("{job} is to train to step {steps}"), || {
            thread::sleep(LOOK / 5);
            (self.trained(job) >= steps).then_some(())
        });
    }

    /// Audits a job; the steps that are committed.
    #[track_caller]
    pub fn assert_all_rows_were_trained_once(&self, job: &str) -> u64 {
        let audit = self.run(&["audit", job, "-o", "json"]).expect_exit(0).json();
        let report = &audit["report"];
        assert!(report["expected"].as_u64() > Some(0), "{audit:#}");
        assert_eq!(report["trained"], report["expected"], "{audit:#}");
        assert_eq!([&report["twice"], &report["never"], &report["unexpected"]], [0, 0, 0], "{audit:#}");
        report["steps"].as_u64().expect("a step")
    }
}

/// `submit` with its arguments.
fn submission(job: &str, fields: &[&str]) -> Vec<String> {
    let mut command = ["submit", JOB, "--set"].map(str::to_owned).to_vec();
    command.push(format!("name={job}"));
    for field in fields {
        command.extend(["--set".to_owned(), (*field).to_owned()]);
    }
    command
}
