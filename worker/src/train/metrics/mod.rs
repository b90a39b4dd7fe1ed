//! What training tells about itself: progress to the coordinator, metrics to files. By rank 0;
//! losses and row counts are the global ones, reduced with the step.

mod files;

use std::{collections::BTreeMap, path::Path, time::Instant};

use twinspire_proto::v1::{Progress, TrainingProgress};
use twinspire_report::{EvaluationRecord, Record, TrainRecord};
use twinspire_towers::StepReport;

use self::files::{Entry, Files};
use super::spent::Spent;
use crate::task::{Reporter, Task, TaskError};

/// Steps added up since some moment.
#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    steps: u64,
    loss: f64,
    rows: u64,
    /// All that was spent before.
    before: Spent,
    spent: Spent,
}

impl Window {
    fn new(before: Spent) -> Window {
        Window { since: Instant::now(), steps: 0, loss: 0.0, rows: 0, before, spent: before }
    }

    fn add(&mut self, report: &StepReport, spent: &Spent) {
        self.steps += 1;
        self.loss += report.loss;
        self.rows += report.rows;
        self.spent = *spent;
    }

    fn mean_loss(&self) -> f64 {
        self.loss / self.steps.max(1) as f64
    }

    fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.since.elapsed().as_secs_f64().max(1e-9)
    }

    /// Share of the time that went into something.
    fn share(&self, of: impl Fn(&Spent) -> f64) -> f64 {
        (of(&self.spent) - of(&self.before)) / self.since.elapsed().as_secs_f64().max(1e-9)
    }
}

/// Progress and metrics of a training.
pub(super) struct Metrics {
    files: Option<Files>,
    reporter: Reporter,
    steps_per_epoch: u64,
    log_every: u64,
    logged: Window,
    reported: Window,
}

impl Metrics {
    /// Goes on after `step`: what an earlier run wrote of later steps is dropped. `spent` was until now.
    pub(super) fn new(
        task: &Task,
        steps_per_epoch: u64,
        step: u64,
        spent: Spent,
    ) -> Result<Metrics, TaskError> {
        let files = || Files::new(Path::new(&task.places.local), step);
        Ok(Metrics {
            files: task.is_first().then(files).transpose()?,
            reporter: Reporter::new(&task.link),
            steps_per_epoch,
            log_every: task.spec.train.log_every.max(1),
            logged: Window::new(spent),
            reported: Window::new(spent),
        })
    }

    /// A step was committed; `spent` is what all steps took.
    pub(super) fn step(&mut self, report: &StepReport, spent: &Spent) {
        let Some(files) = &mut self.files else { return };
        self.logged.add(report, spent);
        self.reported.add(report, spent);
        if report.step.is_multiple_of(self.log_every) {
            let window = std::mem::replace(&mut self.logged, Window::new(*spent));
            files.add(trained(report, self.steps_per_epoch, &window));
        }
        if self.reporter.is_due() {
            let window = std::mem::replace(&mut self.reported, Window::new(*spent));
            let training = TrainingProgress {
                step: report.step,
                epoch: epochs_done(report.step, self.steps_per_epoch),
                loss: window.mean_loss(),
                rows_per_second: window.rows_per_second(),
                learning_rate: report.learning_rate,
                spent: Some(spent.as_message()),
            };
            self.reporter.report(|| Progress {
                stage: "training".into(),
                done: report.step,
                unit: "steps".into(),
                training: Some(training),
                ..Progress::default()
            });
        }
    }

    /// The validation rows were measured after a step. The time it took is nobody's throughput.
    pub(super) fn validated(&mut self, step: u64, values: &BTreeMap<String, f64>) {
        self.logged = Window::new(self.logged.spent);
        self.reported = Window::new(self.reported.spent);
        let Some(files) = &mut self.files else { return };
        let plain = |name: &String| name.strip_prefix("validation.").unwrap_or(name).to_owned();
        let record = Record::Evaluation(EvaluationRecord {
            step,
            epoch: epochs_done(step, self.steps_per_epoch),
            split: "validation".into(),
            metrics: values.iter().map(|(name, value)| (plain(name), *value)).collect(),
        });
        let scalars = values.iter().map(|(name, value)| (format!("validation/{}", plain(name)), *value));
        files.add(Entry::new(step, record, scalars));
    }
}

fn trained(report: &StepReport, steps_per_epoch: u64, window: &Window) -> Entry {
    let values = [
        ("loss", window.mean_loss()),
        ("lr", report.learning_rate),
        ("rows_per_s", window.rows_per_second()),
        ("gradient_norm", report.gradient_norm),
        ("scale", report.scale),
        ("waiting_for_data", window.share(|spent| spent.data)),
        ("communicating", window.share(|spent| spent.communication)),
    ];
    let record = Record::Train(TrainRecord {
        step: report.step,
        epoch: epochs_done(report.step, steps_per_epoch),
        loss: window.mean_loss(),
        lr: report.learning_rate,
        rows_per_s: window.rows_per_second(),
        more: values[3..].iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
    });
    let scalars = values.map(|(name, value)| (format!("train/{name}"), value));
    Entry::new(report.step, record, scalars)
}

/// Epochs done after a step (counted from 1), the one under way in part.
fn epochs_done(step: u64, steps_per_epoch: u64) -> f64 {
    step as f64 / steps_per_epoch.max(1) as f64
}
