//! Makes a job suffer, and sees what that costs it.
//!
//! ```text
//! wait until it trains ─► choose a fault ─► inject ─► wait until it trains on ─► rest ─┐
//!        ▲                                                                            │
//!        └────────────────────────────────────────────────────────────────────────────┘
//! ```
//! Which fault, and at whom, is a function of the seed. What is measured is what a person would
//! see: from the fault to the next step that all workers have committed.

mod dice;
mod report;
mod strike;

use std::time::Duration;

use tokio::time::Instant;

use self::{
    dice::Dice,
    strike::{Over, Scene, Strike},
};
pub(crate) use self::{
    dice::Kind,
    report::{Apart, Outcome, Report},
};
use crate::{ControlError, client::Lasting, display::note};

/// What to do to a job.
#[derive(Clone, Debug)]
pub(crate) struct Chaos {
    /// Which faults.
    pub(crate) kinds: Vec<Kind>,
    /// Between two of them.
    pub(crate) every: Duration,
    /// For how long there are any.
    pub(crate) length: Duration,
    /// At most so many.
    pub(crate) most: Option<u32>,
    /// How long those last that end by themselves; three quarters of the job's `recovery_target` when not given.
    pub(crate) span: Option<Duration>,
    /// Seed of the choices.
    pub(crate) seed: u64,
    /// The directory of runs, of a local run.
    pub(crate) runs: Option<String>,
}

/// What came of it.
pub(crate) struct Struck {
    pub(crate) strikes: Vec<Strike>,
    /// The job was over, or did not train, before all was done.
    pub(crate) cut_short: Option<String>,
    /// The job failed, or somebody ended it.
    pub(crate) is_lost: bool,
}

impl Chaos {
    /// Does it; says on standard error what is done, and what that cost.
    pub(crate) async fn run(&self, service: Lasting, job: &str) -> Result<Struck, ControlError> {
        let mut scene = Scene::new(service, job, self.runs.as_deref());
        scene.begin().await?;
        let mut dice = Dice::new(self.seed, self.kinds.clone());
        let mut strikes: Vec<Strike> = Vec::new();
        let end = Instant::now() + self.length;
        let mut next = Instant::now();
        let is_enough = |done: usize| self.most.is_some_and(|most| done >= most as usize);
        while Instant::now() < end && !is_enough(strikes.len()) {
            tokio::time::sleep_until(next.min(end)).await;
            if next >= end {
                break;
            }
            // A job that lacks workers may wait for ever.
            let Ok(target) = tokio::time::timeout_at(end, scene.until_it_trains()).await else { break };
            let target = match target? {
                Ok(target) => target,
                Err(Over { why, .. }) if strikes.is_empty() => {
                    return Err(ControlError::NothingToStrike { why });
                }
                Err(Over { why, is_lost }) => return Ok(Struck { strikes, cut_short: Some(why), is_lost }),
            };
            next = Instant::now() + self.every;
            let span = self.span.unwrap_or(target.recovery_target.mul_f64(0.75));
            let (kind, worker) = dice.roll(&target.workers);
            let strike = match scene.strike(kind, worker, span, &target).await? {
                Ok(strike) => strike,
                Err(why) => {
                    note(format_args!("{job}: {kind} did not happen: {why}"));
                    continue;
                }
            };
            note(format_args!("{job}: {}/{}  {strike}", strikes.len() + 1, self.expected()));
            strikes.push(strike);
        }
        let expected = self.expected();
        let is_short = (strikes.len() as u64) < expected;
        let cut_short = is_short.then(|| format!("{} of {expected} faults were made in time", strikes.len()));
        Ok(Struck { strikes, cut_short, is_lost: false })
    }

    /// How many faults there will be, as far as can be told.
    fn expected(&self) -> u64 {
        let fit = self.length.as_millis().div_ceil(self.every.as_millis().max(1)) as u64;
        self.most.map_or(fit, |most| fit.min(most.into())).max(1)
    }
}
