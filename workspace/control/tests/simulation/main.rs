//! A coordinator among thousands of faults, in simulated time.
//!
//! ```text
//!   users ───────┐                               ┌──► store (what survives a coordinator)
//!   processes ◄──┴──► network ◄──► coordinator ──┤
//!      │  └── runs (what a generation truly does)└──► ledger (what was promised: the invariants)
//!      └───► storage (checkpoints)
//!   faults: kill, freeze, cut, partition, twin, SIGTERM, crash between two commands, frozen coordinator
//! ```
//! A seed draws a climate (sizes, rates, who does what), and everything else follows from it. After
//! every event the invariants A to H of the crate are checked, and what the coordinator believes
//! against what is true. Then the faults stop, and everything has to come to an end.
//!
//! ```console
//! cargo test -p twinspire-control --test simulation            # some thousands of seeds
//! SEED=123 cargo test -p twinspire-control --test simulation   # one seed, with a trace
//! SOAK=3600 cargo test -p twinspire-control --test simulation  # new seeds for an hour
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod agenda;
mod climate;
mod coordinator;
mod deeds;
mod fairness;
mod faults;
mod healing;
mod invariants;
mod ledger;
mod network;
mod process;
mod promises;
mod run;
mod users;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use world::{Summary, World};

/// Seeds of an ordinary test run.
const SEEDS: u64 = 3000;

/// Events shown of a seed that failed.
const SHOWN: usize = 150;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|value| value.parse().ok())
}

/// Runs a seed; what is wrong, if anything is.
fn run(seed: u64, traced: bool) -> Result<Summary, (String, Vec<String>)> {
    let mut world = World::new(seed, traced);
    match catch_unwind(AssertUnwindSafe(|| world.run())) {
        Ok(summary) => Ok(summary),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err((text.unwrap_or_default(), world.trace))
        }
    }
}

/// Runs seeds on two threads until there are no more, or one fails.
fn run_all(next: impl Fn() -> Option<u64> + Sync) -> Summary {
    let (failed, all) = (AtomicU64::new(u64::MAX), Mutex::new(Summary::default()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while failed.load(Ordering::Relaxed) == u64::MAX {
                    let Some(seed) = next() else { break };
                    match run(seed, false) {
                        Ok(summary) => all.lock().unwrap().add(&summary),
                        Err(_) => drop(failed.fetch_min(seed, Ordering::Relaxed)),
                    }
                }
            });
        }
    });
    match failed.into_inner() {
        u64::MAX => all.into_inner().unwrap(),
        seed => show(seed),
    }
}

/// Runs one seed again, with its trace.
fn show(seed: u64) -> Summary {
    match run(seed, true) {
        Ok(summary) => summary,
        Err((why, trace)) => {
            let from = trace.len().saturating_sub(if number("SEED").is_some() { usize::MAX } else { SHOWN });
            println!("{}", trace[from..].join("\n"));
            println!("seed {seed}: {why}");
            println!("replay: SEED={seed} cargo test -p twinspire-control --test simulation");
            panic!("seed {seed} failed");
        }
    }
}

#[test]
fn whatever_happens_the_invariants_hold_and_everything_comes_to_an_end() {
    let begun = Instant::now();
    // Panics of seeds are reported once, by `show`.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = catch_unwind(|| match (number("SEED"), number("SOAK")) {
        (Some(seed), _) => show(seed),
        (None, Some(seconds)) => {
            let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() << 24;
            let next = AtomicU64::new(first);
            run_all(|| {
                let goes_on = begun.elapsed() < Duration::from_secs(seconds);
                goes_on.then(|| next.fetch_add(1, Ordering::Relaxed))
            })
        }
        (None, None) => {
            let (next, last) = (AtomicU64::new(0), number("SEEDS").unwrap_or(SEEDS));
            run_all(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < last))
        }
    });
    std::panic::set_hook(hook);
    match outcome {
        Ok(summary) => println!("{:.1} s: {summary:?}", begun.elapsed().as_secs_f64()),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
