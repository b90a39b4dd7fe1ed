//! The train task.
//!
//! ```text
//! lanes ─► step ─► evaluate, when due ─► checkpoint, when due ─► stop, when told or done
//!            │            │                    │
//!        progress     validated       part, commit (background)
//! ```
//!
//! Training that stops to go on at once with other company waits for no checkpoint: what it has is in memory.
//!
//! What is due after a step is decided by the step's number and the control word alone, which are
//! the same on every rank: so all ranks do the same. An evaluation comes before the checkpoint of
//! the same step, so a checkpoint knows all that was measured up to its step and a resumed run
//! measures nothing twice.

mod checkpoints;
mod due;
mod kept;
mod ledger;
mod meeting;
mod metrics;
mod pace;
mod reach;
mod spent;
mod standing;

use std::time::{Duration, Instant};

use twinspire_dataset::{HeldOut as Part, LaneReader, LaneReaderSettings};
use twinspire_proto::v1::{FailureKind, Trained, TrainingStarted, Validated, worker_message::Body};
use twinspire_towers::{Told, evaluate::Evaluation};

pub(crate) use self::kept::Keep;
use self::{
    checkpoints::Checkpoints,
    due::Due,
    kept::{Kept, Towers},
    ledger::Ledger,
    metrics::Metrics,
    pace::Pace,
    standing::Standing,
};
use crate::{
    evaluate::{Measured, measure},
    model::{BestBy, Loaded},
    task::{Control, Task, TaskError},
};

/// Trains from where its ranks are in memory, from the newest checkpoint, or from the start, to the end or until told
/// to stop.
pub(crate) fn run(task: &Task, keep: &Keep) -> Result<Trained, TaskError> {
    let begun = Instant::now();
    let mut kept = keep.take(task).map_or_else(|| Kept::open(task), Ok)?;
    let outcome = train(task, &mut kept, begun);
    kept.loaded.part();
    let is_broken_off = match &outcome {
        Ok(trained) => trained.stopped,
        // What failed was beside the towers: they are where they were.
        Err(error) => {
            matches!(error.kind, FailureKind::LostPeer | FailureKind::Storage) || task.orders.is_aborted()
        }
    };
    if is_broken_off && kept.towers != Towers::BetweenStates {
        keep.put(task, kept);
    } else {
        task.link.has_no_state();
    }
    outcome
}

/// Opens what a training takes, so that it can begin at once.
pub(crate) fn get_ready(task: &Task, keep: &Keep) -> Result<(), TaskError> {
    let kept = keep.take(task).map_or_else(|| Kept::open(task), Ok)?;
    keep.put(task, kept);
    Ok(())
}

fn train(task: &Task, kept: &mut Kept, begun: Instant) -> Result<Trained, TaskError> {
    kept.loaded.join(task)?;
    let beginning = kept.begin(task)?;
    task.link.has_state();
    let Kept { loaded, standing, ledger, .. } = kept;
    let steps_per_epoch = loaded.plan.steps_per_epoch();
    let first = loaded.trainer.step_number();
    if task.is_first() {
        task.link.say(Body::TrainingStarted(TrainingStarted {
            step: first,
            total_steps: loaded.total_steps,
            steps_per_epoch,
            resumed_unix_ms: beginning.resumed_unix_ms,
            passed_over: beginning.passed_over,
            kept: beginning.kept,
        }));
    }
    // However often its company changes, what goes on in memory is saved in time.
    let unsaved = match beginning.kept {
        true => Duration::from_millis(task.assign.unsaved_ms) + begun.elapsed(),
        false => Duration::ZERO,
    };
    let mut training = Training {
        due: Due::new(&task.spec, steps_per_epoch, loaded.total_steps),
        metrics: Metrics::new(task, steps_per_epoch, first, standing.spent)?,
        checkpoints: Checkpoints::start(task, loaded, unsaved)?,
        task,
        loaded,
    };
    standing.spent.starting += begun.elapsed().as_secs_f64();
    training.run(beginning.kept, standing, ledger)
}

struct Training<'a> {
    task: &'a Task,
    loaded: &'a mut Loaded,
    due: Due,
    metrics: Metrics,
    checkpoints: Checkpoints,
}

impl Training<'_> {
    fn run(
        &mut self,
        kept: bool,
        standing: &mut Standing,
        ledger: &mut Ledger,
    ) -> Result<Trained, TaskError> {
        let total_steps = self.loaded.total_steps;
        let lanes: Vec<u32> = self.task.lanes().collect();
        let mut step = self.loaded.trainer.step_number();
        let settings = LaneReaderSettings::of(&self.task.spec, &self.loaded.dataset);
        let (dataset, plan) = (&self.loaded.dataset, &self.loaded.plan);
        let mut reader = LaneReader::start(dataset, plan, &settings, &lanes, step..total_steps.max(step))?;

        let mut goes_on_at_once = false;
        let mut pace = Pace::new(&self.task.link, lanes.len());
        let mut stopped = false;
        if kept {
            // A fault may have come between a step and what is due after it.
            let is_due = self.due.evaluates(step) && !standing.has_measured(step);
            let best = standing.is_unsaved_best(step, self.task.assign.newest_checkpoint)
                || (is_due && self.validate(step, standing)?);
            let is_last =
                standing.why_stop(self.task.spec.evaluate.patience).is_some() || step == total_steps;
            if is_last || (best && self.task.spec.checkpoint.keep_best) {
                self.checkpoints.begin(self.task, self.loaded, standing, ledger, is_last)?;
            }
        }
        let mut ended_early = standing.why_stop(self.task.spec.evaluate.patience);
        while step < total_steps && !stopped && ended_early.is_none() {
            self.task.orders.crash_if_told();
            let asked = Instant::now();
            let batches = reader.next()?;
            let waited = asked.elapsed();
            let wish = self.task.orders.control().and(self.checkpoints.wish(self.task));
            let told = Told { control: wish.word(), committed: self.checkpoints.visible() };
            let met = self.loaded.communication.spent();
            let report = self.loaded.trainer.step(&batches, told)?;
            step = report.step;
            let (took, met) = (asked.elapsed(), self.loaded.communication.spent() - met);
            standing.spent.step(took, waited, met);
            pace.step(took.saturating_sub(waited + met));
            ledger.step(&report, self.task.generation);
            self.checkpoints.trained(&batches);
            self.metrics.step(&report, &standing.spent);
            let control = Control::from_word(report.control);

            let evaluating = Instant::now();
            let best = self.due.evaluates(step) && self.validate(step, standing)?;
            standing.spent.evaluation += evaluating.elapsed().as_secs_f64();
            ended_early = standing.why_stop(self.task.spec.evaluate.patience);
            stopped = control.stops();
            let wanted = control.checkpoints()
                || ended_early.is_some()
                || (best && self.task.spec.checkpoint.keep_best)
                || self.due.checkpoints(step);
            goes_on_at_once = stopped && !wanted;
            if wanted {
                let is_last = stopped || ended_early.is_some() || step == total_steps;
                let copying = Instant::now();
                self.checkpoints.begin(self.task, self.loaded, standing, ledger, is_last)?;
                standing.spent.checkpoint += copying.elapsed().as_secs_f64();
            }
        }
        if !goes_on_at_once {
            self.checkpoints.finish(self.task)?;
        }
        Ok(Trained {
            step,
            total_steps,
            stopped: stopped && step < total_steps && ended_early.is_none(),
            ended_early: ended_early.unwrap_or_default(),
        })
    }

    /// Measures on the validation rows; whether none before was better.
    fn validate(&mut self, step: u64, standing: &mut Standing) -> Result<bool, TaskError> {
        let max_users = u64::from(self.task.spec.evaluate.max_users);
        let Measured { evaluation, .. } = measure(self.task, self.loaded, Part::Validation, max_users)?;
        if evaluation.users == 0 {
            tracing::warn!("no user has validation rows");
            return Ok(false);
        }
        let values = crate::report::named("validation", &evaluation);
        let by = BestBy::of(&self.task.spec);
        let best = match by.as_ref().and_then(|by| values.get(&by.key)) {
            Some(value) => standing.validated(step, *value, values.clone()),
            None => standing.measured(step, values.clone()),
        };
        self.tell(step, best, by, &evaluation);
        self.metrics.validated(step, &values);
        Ok(best)
    }

    fn tell(&self, step: u64, best: bool, by: Option<BestBy>, evaluation: &Evaluation) {
        if !self.task.is_first() {
            return;
        }
        let (metric, key) = match by {
            Some(BestBy { label, key }) => (label, key),
            None => {
                let label = format!("NDCG@{}", evaluation.k.first().copied().unwrap_or_default());
                (label.clone(), format!("validation.{}", label.to_lowercase()))
            }
        };
        let value = crate::report::named("validation", evaluation).get(&key).copied().unwrap_or(f64::NAN);
        let epoch = self.due.epoch(step);
        self.task.link.say(Body::Validated(Validated { step, epoch, metric, value, best }));
    }
}
