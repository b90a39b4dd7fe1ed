//! A worker that the kernel kills for want of memory: the others go on from memory, and nothing is lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use twinspire_tests::{NoMemory, Place, one_at_a_time, until};

#[test]
fn a_worker_killed_for_want_of_memory_is_replaced_and_nothing_is_lost() {
    let _alone = one_at_a_time();
    let no_memory = match NoMemory::new() {
        Ok(group) => group,
        Err(why) => return println!("skipped: {why}"),
    };
    let place = Place::with_log(300, 200, 12_000);
    let mut arguments = vec!["local", "features.yaml"];
    let set = [
        "name=short",
        "workers={min: 1, max: 2}",
        "train.steps=300",
        "train.log_every=1",
        "checkpoint.every_steps=10000",
        "checkpoint.every=1h",
    ];
    set.iter().for_each(|set| arguments.extend(["--set", set]));
    let mut running = place.start(&arguments);
    running.wait_until("it trains", || place.trained("short") >= 20);
    let victim = *running.workers().last().expect("a worker");
    no_memory.take(victim).expect("a worker of ours");
    until("the kernel is to kill it", || (no_memory.killed() > 0).then_some(()));

    let ended = running.wait().expect_exit(0);
    assert!(ended.stderr.contains("out of memory, perhaps"), "{}", ended.stderr);
    let audit = place.run(&["audit", "short", "-o", "json"]).expect_exit(0).json();
    let report = &audit["report"];
    assert_eq!((&report["steps"], &report["trained"]), (&300.into(), &report["expected"]), "{audit:#}");
    assert_eq!([&report["twice"], &report["never"], &report["unexpected"]], [0, 0, 0], "{audit:#}");
}
