//! Which fault, and at whom.

use std::fmt;

use clap::ValueEnum;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use twinspire_proto::v1;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// kill -9 of a worker.
    KillWorker,
    /// A worker's task panics; its process goes on.
    CrashWorker,
    /// A worker is frozen for a while (SIGSTOP, SIGCONT).
    PauseWorker,
    /// kill -9 of the coordinator that leads.
    KillCoordinator,
    /// Whatever a worker writes to storage fails for a while.
    FailStorage,
}

impl Kind {
    /// As the protocol names it.
    pub(super) fn fault(self) -> v1::Fault {
        match self {
            Kind::KillWorker => v1::Fault::KillWorker,
            Kind::CrashWorker => v1::Fault::CrashWorker,
            Kind::PauseWorker => v1::Fault::PauseWorker,
            Kind::KillCoordinator => v1::Fault::KillCoordinator,
            Kind::FailStorage => v1::Fault::FailStorage,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::KillWorker => "kill-worker",
            Kind::CrashWorker => "crash-worker",
            Kind::PauseWorker => "pause-worker",
            Kind::KillCoordinator => "kill-coordinator",
            Kind::FailStorage => "fail-storage",
        })
    }
}

/// The same seed makes the same choices.
pub(super) struct Dice {
    random: ChaCha8Rng,
    kinds: Vec<Kind>,
    /// Kinds to come before any comes again, the next one last.
    deck: Vec<Kind>,
}

impl Dice {
    /// Each of `kinds` comes as often as the others.
    pub(super) fn new(seed: u64, mut kinds: Vec<Kind>) -> Dice {
        kinds.sort();
        kinds.dedup();
        Dice { random: ChaCha8Rng::seed_from_u64(seed), kinds, deck: Vec::new() }
    }

    /// A fault, and the worker that suffers it; none for what happens to the coordinator.
    pub(super) fn roll(&mut self, workers: &[String]) -> (Kind, String) {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.kinds);
            self.deck.shuffle(&mut self.random);
        }
        let kind = self.deck.pop().unwrap_or(Kind::KillWorker);
        // One number for each choice, whatever is chosen: who is there may differ from run to run.
        let place: u64 = self.random.random();
        let worker = match kind {
            Kind::KillCoordinator => String::new(),
            _ => workers.get((place % workers.len().max(1) as u64) as usize).cloned().unwrap_or_default(),
        };
        (kind, worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rolls(seed: u64, kinds: &[Kind], workers: &[String]) -> Vec<(Kind, String)> {
        let mut dice = Dice::new(seed, kinds.to_vec());
        (0..1000).map(|_| dice.roll(workers)).collect()
    }

    #[test]
    fn a_seed_chooses_the_same_and_in_the_long_run_everything() {
        let workers: Vec<String> = (0..3).map(|number| format!("worker-{number}")).collect();
        let kinds = [Kind::KillWorker, Kind::PauseWorker, Kind::KillCoordinator];
        let rolled = rolls(7, &kinds, &workers);
        assert_eq!(rolled, rolls(7, &[kinds[2], kinds[0], kinds[1], kinds[0]], &workers));
        assert_ne!(rolled, rolls(8, &kinds, &workers));
        for round in rolled.chunks_exact(kinds.len()) {
            assert!(kinds.iter().all(|kind| round.iter().any(|(rolled, _)| rolled == kind)), "{round:?}");
        }
        for kind in [Kind::KillWorker, Kind::PauseWorker] {
            for worker in &workers {
                assert!(rolled.contains(&(kind, worker.clone())), "{kind} at {worker}");
            }
        }
        assert!(rolled.contains(&(Kind::KillCoordinator, String::new())));
        let other_crew = rolls(7, &kinds, &workers[..1]);
        let kinds_of = |rolled: &[(Kind, String)]| rolled.iter().map(|(kind, _)| *kind).collect::<Vec<_>>();
        assert_eq!(kinds_of(&rolled), kinds_of(&other_crew), "whoever is there");
    }
}
