//! What [`Collective`] promises, kept by `Solo` and by `Gloo` with 1, 2, 3 and 4 processes; and what `Gloo` does
//! when a process dies, freezes, leaves or never comes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod faults;
mod processes;
mod suite;

use twinspire_collective::Solo;

#[test]
fn solo_keeps_the_promises() {
    suite::run(&Solo);
}

#[test]
fn gloo_keeps_the_promises_with_1_process() {
    processes::conform(1);
}

#[test]
fn gloo_keeps_the_promises_with_2_processes() {
    processes::conform(2);
}

#[test]
fn gloo_keeps_the_promises_with_3_processes() {
    processes::conform(3);
}

#[test]
fn gloo_keeps_the_promises_with_4_processes() {
    processes::conform(4);
}

/// Where the processes that the tests start come in.
#[test]
#[ignore = "a rank of a group that another test starts"]
fn rank_of_a_group() {
    processes::be_a_rank();
}
