//! What faults cost.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use serde::Serialize;
use twinspire_dataset::audit::AuditReport;

use super::{
    Struck,
    strike::{Strike, seconds},
};
use crate::display::number;

/// Parameters of a disturbed run may be so far from those of an undisturbed one: sums of floating-point numbers in
/// another order differ by so much after many steps, a row lost or repeated by far more.
pub(crate) const TOLERANCE: f64 = 1e-4;

/// What faults cost, and whether anything was lost.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) job: String,
    pub(crate) seed: u64,
    pub(crate) outcome: Outcome,
    /// By kind of fault; `regrouped` is each time workers joined, or left in good order.
    pub(crate) costs: BTreeMap<String, Cost>,
    /// Why there were fewer faults than asked for.
    pub(crate) cut_short: Option<String>,
    /// Whether every row was trained once; none before the job is over.
    pub(crate) audit: Option<AuditReport>,
    /// How far the parameters are from those of another run.
    pub(crate) difference: Option<Apart>,
    pub(crate) strikes: Vec<Strike>,
}

/// Whether all went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Training went on after every fault, and nothing was lost as far as that was looked at.
    Passed,
    /// It did not, or something was.
    Failed,
}

/// The distance to another run.
#[derive(Debug, Serialize)]
pub(crate) struct Apart {
    pub(crate) from: String,
    /// Relative, of the tensor where it is largest.
    pub(crate) relative: f64,
    pub(crate) tensor: String,
}

/// Times in milliseconds.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Cost {
    pub(crate) count: u64,
    pub(crate) p50_ms: u64,
    pub(crate) p99_ms: u64,
    pub(crate) longest_ms: u64,
    /// Times that training never went on.
    pub(crate) never: u64,
    pub(crate) steps_redone: u64,
}

impl Report {
    pub(crate) fn new(job: &str, seed: u64, struck: Struck) -> Report {
        let Struck { strikes, cut_short, is_lost } = struck;
        let mut kinds: BTreeMap<String, Vec<&Strike>> = BTreeMap::new();
        for strike in &strikes {
            kinds.entry(strike.fault.to_string()).or_default().push(strike);
        }
        let mut costs: BTreeMap<String, Cost> = BTreeMap::new();
        for (kind, strikes) in kinds {
            let times = strikes.iter().filter_map(|strike| strike.recovery_ms).collect();
            let redone = strikes.iter().map(|strike| strike.steps_redone).sum();
            costs.insert(kind, Cost::of(times, strikes.len(), redone));
        }
        let regrouped: Vec<u64> = strikes.iter().flat_map(|strike| strike.regrouped_ms.clone()).collect();
        if !regrouped.is_empty() {
            let count = regrouped.len();
            costs.insert("regrouped".into(), Cost::of(regrouped, count, 0));
        }
        let never = costs.values().any(|cost| cost.never > 0);
        Report {
            job: job.into(),
            seed,
            outcome: if never || is_lost || strikes.is_empty() { Outcome::Failed } else { Outcome::Passed },
            costs,
            cut_short,
            audit: None,
            difference: None,
            strikes,
        }
    }

    /// Takes in how the job ended.
    pub(crate) fn ended(&mut self, phase: &str) {
        if phase != "succeeded" {
            self.outcome = Outcome::Failed;
            self.cut_short = Some(format!("the job is {phase}"));
        }
    }

    /// Takes in what the audit says.
    pub(crate) fn audited(&mut self, audit: AuditReport) {
        if !audit.passed() {
            self.outcome = Outcome::Failed;
        }
        self.audit = Some(audit);
    }

    /// Takes in how far the run is from another one.
    pub(crate) fn compared(&mut self, apart: Apart) {
        if apart.relative.is_nan() || apart.relative > TOLERANCE {
            self.outcome = Outcome::Failed;
        }
        self.difference = Some(apart);
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["FAULT", "COUNT", "P50", "P99", "LONGEST", "STEPS REDONE"]);
        for (kind, cost) in &self.costs {
            let never = match cost.never {
                0 => String::new(),
                never => format!(", {never} never"),
            };
            let times = [cost.p50_ms, cost.p99_ms].map(seconds);
            let longest = format!("{}{never}", seconds(cost.longest_ms));
            let [p50, p99] = times;
            table.add_row([kind.clone(), number(cost.count), p50, p99, longest, number(cost.steps_redone)]);
        }
        let mut lines = vec![table.to_string(), String::new()];
        if let Some(why) = &self.cut_short {
            lines.push(format!("cut short: {why}"));
        }
        if let Some(AuditReport { expected, trained, twice, never, .. }) = &self.audit {
            let [expected, trained, twice, never] = [*expected, *trained, *twice, *never].map(number);
            lines.push(format!(
                "rows        {expected} expected, {trained} trained, {twice} twice, {never} never"
            ));
        }
        if let Some(Apart { from, relative, tensor }) = &self.difference {
            lines.push(format!("parameters  {relative:.2e} from {from}, relative, at most (in `{tensor}`)"));
        }
        lines.push(match self.outcome {
            Outcome::Passed => "passed".into(),
            Outcome::Failed => "FAILED".into(),
        });
        lines.join("\n")
    }
}

impl Cost {
    /// Of `count` times, those of which that ended.
    fn of(mut times: Vec<u64>, count: usize, steps_redone: u64) -> Cost {
        times.sort_unstable();
        // The nearest rank.
        let percentile = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied().unwrap_or(0)
        };
        Cost {
            count: count as u64,
            p50_ms: percentile(50),
            p99_ms: percentile(99),
            longest_ms: times.last().copied().unwrap_or(0),
            never: (count - times.len()) as u64,
            steps_redone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::Kind;

    fn strike(recovery_ms: Option<u64>, regrouped_ms: &[u64]) -> Strike {
        Strike {
            fault: Kind::KillWorker,
            worker: "worker-0".into(),
            at_ms: 0,
            recovery_ms,
            steps_redone: 1,
            regrouped_ms: regrouped_ms.to_vec(),
        }
    }

    #[test]
    fn times_are_counted_by_kind() {
        let times = (1..=100).map(|ms| strike(Some(ms * 10), &[])).collect();
        let report = Report::new("beauty", 7, Struck { strikes: times, cut_short: None, is_lost: false });
        let cost =
            Cost { count: 100, p50_ms: 500, p99_ms: 990, longest_ms: 1000, never: 0, steps_redone: 100 };
        assert_eq!(report.costs["kill-worker"], cost);
        assert_eq!(report.outcome, Outcome::Passed);
        assert!(report.text().contains("kill-worker"), "{}", report.text());
    }

    #[test]
    fn what_was_never_got_over_fails_and_so_does_nothing_at_all() {
        let strikes = vec![strike(Some(10), &[3, 5]), strike(None, &[])];
        let report = Report::new("beauty", 7, Struck { strikes, cut_short: None, is_lost: false });
        assert_eq!((report.outcome, report.costs["kill-worker"].never), (Outcome::Failed, 1));
        assert_eq!(report.costs["regrouped"].count, 2);
        let nothing =
            Report::new("beauty", 7, Struck { strikes: Vec::new(), cut_short: None, is_lost: false });
        assert_eq!(nothing.outcome, Outcome::Failed);
    }

    #[test]
    fn a_run_that_ended_elsewhere_fails() {
        let apart = |relative| Apart { from: "whole".into(), relative, tensor: "w".into() };
        for (relative, outcome) in
            [(0.0, Outcome::Passed), (1e-3, Outcome::Failed), (f64::NAN, Outcome::Failed)]
        {
            let strikes = vec![strike(Some(10), &[])];
            let mut report = Report::new("beauty", 7, Struck { strikes, cut_short: None, is_lost: false });
            report.compared(apart(relative));
            assert_eq!(report.outcome, outcome, "{relative}");
        }
    }
}
