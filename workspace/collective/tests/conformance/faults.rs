//! Ranks that die, freeze, leave or never come.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};
use twinspire_collective::{Collective, CollectiveError, Gloo, Rendezvous, RendezvousHost};

use crate::processes::{self, HUNG, Rank, Role};

/// A peer's death is an error in the others within this, whatever the group's time-out, also on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Three ranks at work, on a time-out far beyond [`AT_ONCE`].
fn three_at_work(timeout: Duration) -> Vec<Rank> {
    let mut ranks = processes::start(&[Role::Work; 3], timeout);
    ranks.iter_mut().for_each(|rank| {
        rank.hear("working", Instant::now() + HUNG);
    });
    ranks
}

/// The codes with which the ranks fail, each before the deadline, and each for good.
fn failures(ranks: &mut [Rank], deadline: Instant) -> Vec<String> {
    let fail = |rank: &mut Rank| {
        let code = rank.hear("failed", deadline).split(' ').next().unwrap().to_owned();
        assert_eq!(rank.hear("then", Instant::now() + HUNG), "TW4105");
        code
    };
    ranks.iter_mut().map(fail).collect()
}

#[test]
fn a_killed_rank_is_an_error_in_the_others_at_once() {
    let mut ranks = three_at_work(HUNG);
    let killed = Instant::now();
    ranks[2].kill();
    assert_eq!(failures(&mut ranks[..2], killed + AT_ONCE), ["TW4104", "TW4104"]);
}

#[test]
fn a_killed_host_is_an_error_in_the_others_at_once() {
    let mut ranks = three_at_work(HUNG);
    let killed = Instant::now();
    ranks[0].kill();
    assert_eq!(failures(&mut ranks[1..], killed + AT_ONCE), ["TW4104", "TW4104"]);
}

#[test]
fn a_rank_that_leaves_is_an_error_in_the_others_at_once() {
    let mut ranks = processes::start(&[Role::Work, Role::Leave, Role::Work], HUNG);
    ranks[0].hear("working", Instant::now() + HUNG);
    ranks.remove(1);
    assert_eq!(failures(&mut ranks, Instant::now() + AT_ONCE), ["TW4104", "TW4104"]);
}

#[test]
fn a_frozen_rank_is_an_error_in_the_others_after_the_time_out() {
    let timeout = Duration::from_secs(1);
    let mut ranks = three_at_work(timeout);
    let frozen = Instant::now();
    ranks[1].freeze();
    ranks.swap(1, 2);
    let codes = failures(&mut ranks[..2], frozen + timeout + AT_ONCE);
    // Who waited out the time closes its connections, which is what another may see first.
    assert!(codes.contains(&"TW4103".to_owned()), "{codes:?}");
    assert!(codes.iter().all(|code| ["TW4103", "TW4104"].contains(&code.as_str())), "{codes:?}");
}

/// Two ranks in this process, rank 1 of which takes no part in anything.
fn with_an_idle_peer(timeout: Duration) -> (Gloo, Gloo) {
    let host = RendezvousHost::listen("127.0.0.1").unwrap();
    let rendezvous = &Rendezvous::new("127.0.0.1", host.port());
    let meet = |rank| Gloo::connect(rendezvous, rank, 2, "job/1", HUNG).unwrap().with_timeout(timeout);
    thread::scope(|scope| {
        let idle = scope.spawn(|| meet(1));
        (meet(0), idle.join().unwrap())
    })
}

type Operation = fn(&Gloo) -> Result<(), CollectiveError>;

/// Operations in which rank 0 waits for rank 1.
const OPERATIONS: [(&str, Operation); 6] = [
    ("all_reduce_sum", |group| group.all_reduce_sum(&mut Tensor::from(1.0))),
    ("all_gather", |group| group.all_gather(&Tensor::from_slice(&[1.0])).map(drop)),
    ("reduce_scatter_sum", |group| {
        group.reduce_scatter_sum(&[Tensor::from_slice(&[1.0]), Tensor::from_slice(&[1.0])]).map(drop)
    }),
    // Rank 0 only sends when it is the root, and is done when the system has taken the bytes.
    ("broadcast", |group| group.broadcast(&mut Tensor::from(1.0), 1)),
    // Far more than the system takes: the sender waits in the middle of it.
    ("broadcast", |group| group.broadcast(&mut Tensor::zeros([16_000_000], (Kind::Float, Device::Cpu)), 0)),
    ("barrier", Gloo::barrier),
];

#[test]
fn every_operation_ends_when_a_peer_does_not_come_to_it() {
    let timeout = Duration::from_millis(200);
    for (name, operation) in OPERATIONS {
        let (group, _idle) = with_an_idle_peer(timeout);
        let began = Instant::now();
        let error = operation(&group).unwrap_err();
        assert_eq!(error.code(), "TW4103", "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
        assert!(began.elapsed() < timeout + AT_ONCE, "{name} took {:?}", began.elapsed());
        assert_eq!(operation(&group).unwrap_err().code(), "TW4105", "{name}");
    }
}

#[test]
fn every_operation_ends_when_it_is_broken_off() {
    for (name, operation) in OPERATIONS {
        let (group, idle) = with_an_idle_peer(HUNG);
        let breaker = group.breaker();
        let began = Instant::now();
        let waiting = Duration::from_millis(100);
        let error = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(waiting);
                breaker.break_off();
            });
            operation(&group).unwrap_err()
        });
        assert_eq!(error.code(), "TW4104", "{name}: {error}");
        assert!(began.elapsed() >= waiting, "{name} did not wait: {error}");
        assert!(began.elapsed() < waiting + AT_ONCE, "{name} took {:?}", began.elapsed());
        assert_eq!(operation(&group).unwrap_err().code(), "TW4105", "{name}");
        // The other rank learns of it.
        assert_eq!(idle.barrier().unwrap_err().code(), "TW4104", "{name}");
    }
}

#[test]
fn what_was_broken_off_between_operations_fails_in_the_next() {
    let (group, _idle) = with_an_idle_peer(HUNG);
    let breaker = group.breaker();
    breaker.break_off();
    breaker.break_off();
    assert_eq!(group.barrier().unwrap_err().code(), "TW4104");
    // The group is gone, and there is nothing left to break.
    drop(group);
    breaker.break_off();
}

#[test]
fn a_frozen_rank_holds_up_nobody_who_breaks_off() {
    let (mut ranks, began) =
        (processes::start(&[Role::Work, Role::Work, Role::Impatient], HUNG), Instant::now());
    ranks[2].hear("working", Instant::now() + HUNG);
    ranks[1].freeze();
    ranks.remove(1);
    assert_eq!(failures(&mut ranks, Instant::now() + processes::PATIENCE + AT_ONCE), ["TW4104", "TW4104"]);
    assert!(began.elapsed() < HUNG);
}

#[test]
fn a_rank_that_never_comes_is_an_error_in_time() {
    let host = RendezvousHost::listen("127.0.0.1").unwrap();
    let timeout = Duration::from_millis(500);
    let began = Instant::now();
    let error =
        Gloo::connect(&Rendezvous::new("127.0.0.1", host.port()), 0, 2, "job/1", timeout).err().unwrap();
    assert_eq!(error.code(), "TW4102", "{error}");
    assert!(error.to_string().contains("rank 0 of 2"), "{error}");
    assert!(began.elapsed() < timeout + AT_ONCE, "it took {:?}", began.elapsed());
}

#[test]
fn a_host_that_never_comes_is_an_error_in_time() {
    // A port that was free a moment ago, and on which nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let timeout = Duration::from_millis(500);
    let began = Instant::now();
    let error = Gloo::connect(&Rendezvous::new("127.0.0.1", port), 1, 2, "job/1", timeout).err().unwrap();
    assert_eq!(error.code(), "TW4102", "{error}");
    assert!(began.elapsed() < timeout + AT_ONCE, "it took {:?}", began.elapsed());
}

#[test]
fn two_generations_at_one_host_do_not_mix() {
    let host = RendezvousHost::listen("127.0.0.1").unwrap();
    let rendezvous = &Rendezvous::new("127.0.0.1", host.port()).bind("127.0.0.1");
    let sum = |generation: i64, rank: usize| {
        let group = Gloo::connect(rendezvous, rank, 2, &format!("job/{generation}"), HUNG).unwrap();
        let mut tensor = Tensor::from(generation);
        group.all_reduce_sum(&mut tensor).unwrap();
        i64::try_from(tensor).unwrap()
    };
    thread::scope(|scope| {
        let members = [(1, 0), (2, 0), (1, 1), (2, 1)];
        let sums = members.map(|(generation, rank)| scope.spawn(move || sum(generation, rank)));
        assert_eq!(sums.map(|sum| sum.join().unwrap()), [2, 4, 2, 4]);
    });
}
