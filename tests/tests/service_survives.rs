//! Coordinators and workers that are killed: nothing is lost that anybody was told.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use twinspire_tests::{Ended, Service, one_at_a_time, until};

/// Trains until it is told to stop; every step is in the metrics.
const ENDLESS: [&str; 2] = ["train.steps=1000000", "train.log_every=1"];

/// Jobs of people that are to run to their end.
const SHORT: [&str; 2] = ["train.steps=5", "checkpoint.every_steps=2"];

/// How often the coordinator is killed.
const KILLS: u32 = 8;

/// What people were told of a job last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Submitted,
    Cancelled,
    Deleted,
    /// It was over before it could be cancelled.
    Over,
}

/// People who submit, cancel and delete jobs, whether a coordinator is there or not: who is given no
/// answer asks again.
struct People<'a> {
    service: &'a Service,
    /// Held while something is asked.
    told: Mutex<BTreeMap<String, Told>>,
    over: AtomicBool,
}

impl People<'_> {
    /// Asks until there is an answer that settles it, and keeps in mind what they are told then.
    fn ask(&self, job: &str, ask: impl Fn() -> Ended, settles: impl Fn(&Ended) -> Option<Told>) {
        let mut told = self.told.lock().unwrap();
        let now = until(&format!("the people are to be told about {job}"), || {
            let ended = ask();
            // 1: nobody is there, or goes away just now.
            (ended.exit() != Some(1)).then(|| settles(&ended))?
        });
        told.insert(job.to_owned(), now);
    }

    /// Goes on until it is over. Of every four jobs, one is to be done, as long as there are few.
    fn act(&self) {
        for number in 0.. {
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            let job = format!("job-{number}");
            let submit = || self.service.submit(&job, &SHORT, &["--priority=-1"]);
            self.ask(&job, submit, |ended| {
                assert_eq!(ended.exit(), Some(0), "{}", ended.stderr);
                Some(Told::Submitted)
            });
            if number % 4 == 0 && number < 24 {
                continue;
            }
            let cancel = || self.service.run(&["cancel", &job]);
            self.ask(&job, cancel, |ended| match ended.exit() {
                Some(0) => Some(Told::Cancelled),
                _ if ended.stderr.contains("it is over already") => Some(Told::Over),
                exit => panic!("{exit:?}: {}", ended.stderr),
            });
            if number % 4 == 1 {
                let delete = || self.service.run(&["delete", &job]);
                self.ask(&job, delete, |ended| match ended.exit() {
                    Some(0) => Some(Told::Deleted),
                    // They asked before, and had no answer.
                    _ if ended.stderr.contains("TW5302") => Some(Told::Deleted),
                    // It is about to stop.
                    _ if ended.stderr.contains("`cancel` it first") => None,
                    exit => panic!("{exit:?}: {}", ended.stderr),
                });
            }
        }
    }

    /// Holds what they were told against what there is.
    fn assert_nothing_is_lost(&self) {
        let told = self.told.lock().unwrap();
        let list = self.service.ask(&["list"]);
        let jobs = list.as_array().expect("a list").iter();
        let phases: BTreeMap<_, _> = jobs.map(|job| (job["name"].as_str(), job["phase"].as_str())).collect();
        for (job, told) in &*told {
            let phase = phases.get(&Some(job.as_str())).copied().flatten();
            let is_so = match told {
                Told::Submitted => !matches!(phase, None | Some("cancelled" | "failed")),
                // It may be at its last step.
                Told::Cancelled => matches!(phase, Some("cancelled" | "running")),
                Told::Deleted => phase.is_none(),
                Told::Over => phase == Some("succeeded"),
            };
            assert!(is_so, "{job} was {told:?}, and is {phase:?}");
        }
    }

    /// Jobs of which they were told this last.
    fn told(&self, what: Told) -> Vec<String> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|(_, told)| **told == what).map(|(job, _)| job.clone()).collect()
    }
}

#[test]
fn a_coordinator_killed_again_and_again_loses_nothing_and_stops_nobody() {
    let _alone = one_at_a_time();
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261);
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let service = Service::with_workers(2);
    service.submit("trains", &ENDLESS, &[]).expect_exit(0);
    let first = service.wait_for_job("trains", "trained", |job| job["checkpoint_step"].as_u64() > Some(0));
    let process = process_of(&service, "trains");

    let people = People { service: &service, told: Mutex::default(), over: AtomicBool::new(false) };
    thread::scope(|scope| {
        let acting = scope.spawn(|| people.act());
        let _stop = AtTheEnd(&people.over);
        for kill in 1..=KILLS {
            thread::sleep(Duration::from_millis(random.random_range(0..1500)));
            service.kill(0);
            // Nobody needs it to go on.
            let before = service.trained("trains");
            service.wait_until_trained("trains", before + 5);
            service.start(0);
            until("a coordinator is to lead", || service.leads().then_some(()));
            println!("killed {kill} times, at step {before}");
            assert!(!acting.is_finished(), "people were told something wrong");
            people.assert_nothing_is_lost();
        }
    });
    people.assert_nothing_is_lost();

    // The same training, by the same process, in the same generation.
    let job = service.wait_for_job("trains", "known", |job| !job["training"].is_null());
    assert_eq!([&job["phase"], &job["generation"]], [&first["phase"], &first["generation"]], "{job:#}");
    assert_eq!(job["retries"], 0);
    assert_eq!(process_of(&service, "trains"), process);
    assert_eq!(service.began_at("trains"), [0]);
    service.run(&["cancel", "trains"]).expect_exit(0);
    service.wait_for_phase("trains", "cancelled");
    service.assert_all_rows_were_trained_once("trains");

    let [submitted, cancelled, deleted] =
        [Told::Submitted, Told::Cancelled, Told::Deleted].map(|what| people.told(what));
    println!("{} jobs to be done, {} cancelled, {} deleted", submitted.len(), cancelled.len(), deleted.len());
    assert!(submitted.len() >= 2 && cancelled.len() >= 2 && !deleted.is_empty());
    for job in cancelled {
        service.wait_for_phase(&job, "cancelled");
    }
    for job in submitted {
        service.wait_for_phase(&job, "succeeded");
        assert_eq!(service.assert_all_rows_were_trained_once(&job), 5);
    }
    people.assert_nothing_is_lost();
}

/// The process that has rank 0 of a job.
fn process_of(service: &Service, job: &str) -> u64 {
    let workers = service.ask(&["workers"]);
    let worker = workers.as_array().expect("a list").iter().find(|worker| worker["job"] == job);
    worker.and_then(|worker| worker["pid"].as_u64()).unwrap_or_else(|| panic!("nobody in {workers:#}"))
}

/// Says that it is over when dropped: also when a test fails, so that nobody waits for the others.
struct AtTheEnd<'a>(&'a AtomicBool);

impl Drop for AtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn when_everything_was_killed_jobs_go_on_from_their_checkpoints() {
    let _alone = one_at_a_time();
    let mut service = Service::with_workers(2);
    let fields = ["train.steps=200", "workers=2", "train.log_every=1"];
    service.submit("killed", &fields, &[]).expect_exit(0);
    service.submit("waits", &SHORT, &["--priority=-1"]).expect_exit(0);
    service.wait_for_job("killed", "at a checkpoint", |job| job["checkpoint_step"].as_u64() >= Some(30));
    service.kill(0);
    service.take_workers().kill_all();
    let (trained, checkpoints) = (service.trained("killed"), service.place.checkpoints("killed"));
    let newest = *checkpoints.last().expect("a checkpoint");
    assert!(trained < 200, "it was killed too late");

    service.start(0);
    service.add_workers("pool", 2);
    let done = service.submit("killed", &fields, &["--wait", "-o", "json"]).expect_exit(0).json();
    assert_eq!(done["phase"], "succeeded");
    assert_eq!(done["checkpoint_step"], 200);
    let began = service.began_at("killed");
    assert_eq!(began, [0, newest], "checkpoints: {checkpoints:?}");
    assert_eq!(service.assert_all_rows_were_trained_once("killed"), 200);
    service.wait_for_phase("waits", "succeeded");
    assert_eq!(service.assert_all_rows_were_trained_once("waits"), 5);
}

#[test]
fn a_coordinator_that_is_told_to_end_does_so_in_good_order_and_the_next_takes_its_jobs_up() {
    let _alone = one_at_a_time();
    let service = Service::with_workers(1);
    service.submit("trains", &ENDLESS, &[]).expect_exit(0);
    service.wait_until_trained("trains", 5);
    let generation = service.job("trains").expect("a job")["generation"].clone();
    let ended = service.end(0).expect_exit(0);
    assert!(ended.stderr.contains("training goes on"), "{}", ended.stderr);
    let before = service.trained("trains");
    service.wait_until_trained("trains", before + 5);
    service.start(0);
    let job = service.wait_for_job("trains", "taken up", |job| !job["training"].is_null());
    assert_eq!(job["generation"], generation);
    service.run(&["cancel", "trains"]).expect_exit(0);
    service.wait_for_phase("trains", "cancelled");
    service.assert_all_rows_were_trained_once("trains");
}
