//! Who gets which workers, from counts alone.

use std::time::Duration;

use crate::{
    Device, Policy,
    crew::Memory,
    queue::{Decision, Excluded, Running, Waiting, decide},
    readiness::Newcomers,
    shares::Shares,
};

const CPU: &[Device] = &[Device::Cpu];
const ANY: &[Device] = &[Device::Cuda, Device::Cpu];
const LET_GO: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(1000);
const ALL_READY: Newcomers = Newcomers { ready: 100, waited: Duration::ZERO, unfit: 0 };
const A_WHILE: Duration = Duration::from_secs(10);

fn waiting(job: &str, priority: i32, min: u32, max: u32) -> Waiting {
    Waiting {
        job: job.into(),
        priority,
        min,
        max,
        kinds: CPU,
        waited: A_WHILE,
        memory: None,
        let_go: LET_GO,
        excluded: Excluded::default(),
    }
}

fn running(job: &str, priority: i32, sequence: u64, members: u32, min: u32) -> Running {
    let (max, age) = (members, LONG);
    Running {
        job: job.into(),
        priority,
        sequence,
        device: Device::Cpu,
        members,
        min,
        max,
        stoppable: true,
        age,
        newcomers: ALL_READY,
    }
}

/// `free` processors, and as many more in use as jobs have.
fn shares(free: u32, running: &[Running]) -> Shares {
    let mut shares = Shares::default();
    shares.free.set(Device::Cpu, free);
    shares.all.set(Device::Cpu, free + running.iter().map(|job| job.members).sum::<u32>());
    shares
}

/// Decisions in short: `a+2` begins with two, `a.` waits, `a-` is stopped.
fn decided(waiting: &[Waiting], running: &[Running], shares: &Shares) -> String {
    let short = |decision: Decision| match decision {
        Decision::Start { job, workers, .. } => format!("{job}+{workers}"),
        Decision::Wait { job, .. } => format!("{job}."),
        Decision::Stop { job, .. } => format!("{job}-"),
        Decision::Grow { job, .. } => format!("{job}^"),
        Decision::GetReady { job, workers } => format!("{job}~{workers}"),
    };
    let decisions = decide(waiting, running, shares, &Policy::default(), false);
    decisions.into_iter().map(short).collect::<Vec<_>>().join(" ")
}

#[test]
fn all_begin_with_their_fewest_before_any_gets_more() {
    let jobs = [waiting("a", 0, 1, 8), waiting("b", 0, 2, 8)];
    assert_eq!(decided(&jobs, &[], &shares(5, &[])), "a+3 b+2");
    assert_eq!(decided(&jobs, &[], &shares(20, &[])), "a+8 b+8");
    assert_eq!(decided(&jobs, &[], &shares(2, &[])), "a+2 b.");
}

#[test]
fn a_small_job_goes_ahead_of_a_large_one_that_has_not_waited_long() {
    let jobs = [waiting("large", 0, 4, 4), waiting("small", 0, 1, 1)];
    assert_eq!(decided(&jobs, &[], &shares(3, &[running("x", 0, 1, 4, 4)])), "small+1 large.");
}

#[test]
fn free_workers_are_held_for_who_is_out_of_patience() {
    let patient = Waiting { waited: LONG, ..waiting("large", 0, 4, 4) };
    let x = [running("x", 0, 1, 4, 4)];
    assert_eq!(decided(&[patient, waiting("small", 0, 1, 1)], &x, &shares(3, &x)), "large. small.");
}

#[test]
fn nothing_is_held_for_a_job_that_is_too_large_for_the_pool() {
    let huge = Waiting { waited: LONG, ..waiting("huge", 9, 40, 40) };
    assert_eq!(decided(&[huge.clone(), waiting("small", 0, 1, 1)], &[], &shares(3, &[])), "small+1 huge.");
    let grows = [Running { max: 8, ..running("x", 0, 1, 4, 4) }];
    assert_eq!(decided(&[huge], &grows, &shares(3, &grows)), "huge. x^");
}

#[test]
fn every_kind_that_will_do_is_held_for_who_is_out_of_patience() {
    let patient = Waiting { waited: LONG, kinds: ANY, ..waiting("large", 0, 4, 4) };
    let mut there = shares(3, &[running("x", 0, 1, 4, 4)]);
    there.free.set(Device::Cuda, 2);
    there.all.set(Device::Cuda, 4);
    let small = Waiting { kinds: ANY, ..waiting("small", 0, 1, 1) };
    assert_eq!(decided(&[patient, small], &[], &there), "large. small.");
}

#[test]
fn the_preferred_kind_is_taken_if_there_are_enough_of_it() {
    let mut there = shares(4, &[]);
    there.free.set(Device::Cuda, 1);
    there.all.set(Device::Cuda, 1);
    let device = |min: u32| {
        let job = Waiting { kinds: ANY, ..waiting("a", 0, min, min) };
        match &decide(&[job], &[], &there, &Policy::default(), false)[..] {
            [Decision::Start { device, .. }] => *device,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((device(1), device(2)), (Device::Cuda, Device::Cpu));
}

#[test]
fn the_least_important_and_latest_give_way_first_and_no_more_of_them_than_needed() {
    let jobs = [running("a", 1, 1, 2, 1), running("b", 0, 2, 2, 1), running("c", 0, 3, 2, 1)];
    let there = shares(0, &jobs);
    assert_eq!(decided(&[waiting("new", 5, 1, 1)], &jobs, &there), "c- new.");
    assert_eq!(decided(&[waiting("new", 5, 3, 3)], &jobs, &there), "b- c- new.");
    assert_eq!(decided(&[waiting("new", 5, 5, 5)], &jobs, &there).matches('-').count(), 3);
}

#[test]
fn nobody_gives_way_in_vain() {
    let jobs = [running("a", 9, 1, 2, 1), running("b", 0, 2, 2, 1)];
    assert_eq!(decided(&[waiting("new", 5, 3, 3)], &jobs, &shares(0, &jobs)), "new.");
}

#[test]
fn equals_give_what_they_have_beyond_their_fewest() {
    let jobs = [running("a", 0, 1, 4, 2)];
    assert_eq!(decided(&[waiting("new", 0, 2, 2)], &jobs, &shares(0, &jobs)), "a- new.");
    assert_eq!(decided(&[waiting("new", 0, 3, 3)], &jobs, &shares(0, &jobs)), "new.");
    assert_eq!(decided(&[waiting("new", -1, 1, 1)], &jobs, &shares(0, &jobs)), "new.");
}

#[test]
fn what_one_victim_gives_beyond_what_is_missing_serves_the_next() {
    let jobs = [running("a", 0, 1, 8, 1), running("b", 0, 2, 8, 1)];
    let new = [waiting("x", 5, 2, 2), waiting("y", 5, 2, 2)];
    assert_eq!(decided(&new, &jobs, &shares(0, &jobs)), "b- x. y.");
}

#[test]
fn nobody_is_stopped_for_workers_that_return_anyway() {
    let jobs = [running("a", 0, 1, 4, 1)];
    let mut there = shares(0, &jobs);
    there.returning.set(Device::Cpu, 2);
    assert_eq!(decided(&[waiting("new", 5, 2, 2)], &jobs, &there), "new.");
    assert_eq!(decided(&[waiting("new", 5, 3, 3)], &jobs, &there), "a- new.");
}

#[test]
fn another_kind_is_reclaimed_when_the_preferred_one_cannot_be() {
    let jobs = [Running { device: Device::Cuda, ..running("gpu", 9, 1, 4, 4) }, running("cpu", 0, 2, 4, 4)];
    let mut there = shares(0, &jobs[1..]);
    there.all.set(Device::Cuda, 4);
    let new = Waiting { kinds: ANY, ..waiting("new", 5, 2, 2) };
    assert_eq!(decided(&[new], &jobs, &there), "cpu- new.");
}

#[test]
fn who_has_just_begun_to_wait_does_not_begin_small_while_others_come_back() {
    let fresh = Waiting { waited: Duration::ZERO, ..waiting("a", 0, 1, 4) };
    let mut there = shares(2, &[]);
    there.returning.set(Device::Cpu, 1);
    assert_eq!(decided(&[fresh.clone(), waiting("b", 0, 1, 1)], &[], &there), "a. b.");
    let not_fresh = Waiting { waited: Policy::default().reconnect, ..fresh.clone() };
    assert_eq!(decided(&[not_fresh], &[], &there), "a+2");
    let full = Waiting { max: 2, ..fresh };
    assert_eq!(decided(&[full], &[], &there), "a+2");
}

#[test]
fn a_job_waits_a_moment_for_those_who_have_its_state_though_others_are_free() {
    let fresh = Waiting {
        waited: Duration::ZERO,
        memory: Some(Memory::of(Device::Cpu, 0, 2)),
        ..waiting("a", 0, 1, 2)
    };
    let mut there = shares(4, &[]);
    there.returning.set(Device::Cpu, 1);
    assert_eq!(decided(&[fresh.clone(), waiting("b", 0, 2, 2)], &[], &there), "b+2 a.");
    let not_fresh = Waiting { waited: LET_GO, ..fresh };
    assert_eq!(decided(&[not_fresh], &[], &there), "a+2");
}

#[test]
fn nobody_begins_small_while_a_coordinator_is_young() {
    let begins = |free: u32| {
        let job = [waiting("a", 0, 1, 4)];
        let decisions = decide(&job, &[], &shares(free, &[]), &Policy::default(), true);
        matches!(decisions[..], [Decision::Start { .. }])
    };
    assert_eq!((begins(3), begins(4)), (false, true));
}

#[test]
fn the_most_important_job_grows_first_and_one_at_a_time() {
    let a = Running { max: 8, ..running("a", 0, 1, 2, 1) };
    let b = Running { max: 8, ..running("b", 1, 2, 2, 1) };
    let jobs = [a, b];
    assert_eq!(decided(&[], &jobs, &shares(12, &jobs)), "b^");
    assert_eq!(decided(&[], &jobs[..1], &shares(0, &jobs)), "");
    let young = [Running { age: Duration::ZERO, ..jobs[0].clone() }];
    assert_eq!(decided(&[], &young, &shares(3, &young)), "a~3", "they can get ready meanwhile");
    let mut returning = shares(3, &jobs);
    returning.returning.set(Device::Cpu, 1);
    assert_eq!(decided(&[], &jobs, &returning), "", "somebody is growing already");
}

#[test]
fn who_is_ready_joins_once_all_are_or_has_waited_long_enough() {
    let with = |workers, waited, unfit| {
        let newcomers = Newcomers { ready: workers, waited, unfit };
        let job = [Running { max: 8, newcomers, ..running("a", 0, 1, 2, 1) }];
        decided(&[], &job, &shares(3, &job))
    };
    assert_eq!(with(0, Duration::ZERO, 0), "a~3");
    assert_eq!(with(2, Duration::ZERO, 0), "a~3");
    assert_eq!(with(3, Duration::ZERO, 0), "a^");
    assert_eq!(with(2, Duration::ZERO, 1), "a^", "nobody waits for who cannot get ready");
    assert_eq!(with(1, A_WHILE, 0), "a^");
    assert_eq!(with(0, Duration::ZERO, 3), "");
}

#[test]
fn nobody_grows_on_what_somebody_waits_for() {
    let jobs = [Running { max: 8, ..running("a", 5, 1, 2, 2) }];
    assert_eq!(decided(&[waiting("b", 0, 4, 4)], &jobs, &shares(3, &jobs)), "b.");
}

/// A job that leaves workers out: free ones, and those at another job.
fn without(job: Waiting, free: u32, at: &[Running]) -> Waiting {
    let shares = shares(free, at);
    let at = at.iter().map(|at| (at.job.clone(), at.members)).collect();
    Waiting { excluded: Excluded { shares, names: Vec::new(), at }, ..job }
}

#[test]
fn workers_that_cannot_do_its_work_do_not_count() {
    let job = [without(waiting("a", 0, 2, 3), 1, &[]), waiting("b", 0, 1, 1)];
    assert_eq!(decided(&job, &[], &shares(2, &[])), "b+1 a.");
    assert_eq!(decided(&job, &[], &shares(3, &[])), "a+2 b+1");
}

#[test]
fn nobody_is_stopped_for_workers_that_cannot_do_the_work() {
    let jobs = [running("b", 0, 1, 2, 1)];
    let of_them = [Running { members: 1, ..jobs[0].clone() }];
    assert_eq!(decided(&[without(waiting("a", 9, 2, 2), 0, &of_them)], &jobs, &shares(1, &jobs)), "b- a.");
    assert_eq!(decided(&[without(waiting("a", 9, 2, 2), 0, &of_them)], &jobs, &shares(0, &jobs)), "a.");
}
