//! Evaluation reports, kept in a job's run directory.

use std::{sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use twinspire_control::{JobName, Notice, Split, TaskResult};
use twinspire_report::EvaluationReport;
use twinspire_storage::Location;

use super::{Board, Places};
use crate::{ControlError, display::number};

/// An evaluation report and where it is kept.
pub struct ReportFile {
    report: EvaluationReport,
    name: String,
    uri: String,
}

impl ReportFile {
    /// Keeps a run's final report as `evaluation-{split}.json`.
    pub async fn write(places: &Places, split: Split, report: &str) -> Result<ReportFile, ControlError> {
        ReportFile::of(places, report, |_| name_of(split))?.kept(places).await
    }

    /// Keeps another report as `evaluation-{split}-step-{step}.json`, beside the run's own.
    pub async fn write_by_step(
        places: &Places,
        split: Split,
        report: &str,
    ) -> Result<ReportFile, ControlError> {
        ReportFile::by_step(places, split, report)?.kept(places).await
    }

    /// A report that a service keeps as `evaluation-{split}-step-{step}.json`.
    pub fn by_step(places: &Places, split: Split, report: &str) -> Result<ReportFile, ControlError> {
        let name = |step| format!("evaluation-{}-step-{step}.json", word_of(split));
        ReportFile::of(places, report, name)
    }

    /// Whether it is of held-out rows of this split, and of this step if one is given.
    pub fn is_of(&self, split: Split, step: Option<u64>) -> bool {
        let of = match self.report.split {
            twinspire_report::Split::Validation => Split::Validation,
            twinspire_report::Split::Test => Split::Test,
        };
        of == split && step.is_none_or(|step| step == self.report.step)
    }

    fn of(places: &Places, report: &str, name: impl Fn(u64) -> String) -> Result<ReportFile, ControlError> {
        let report: EvaluationReport = serde_json::from_str(report).map_err(unreadable)?;
        let name = name(report.step);
        Ok(ReportFile { uri: format!("{}/{name}", places.run), name, report })
    }

    async fn kept(self, places: &Places) -> Result<ReportFile, ControlError> {
        let text = self.report.to_json().map_err(unreadable)?;
        Location::parse(&places.run)?.put(&self.name, text.into_bytes()).await?;
        Ok(self)
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.report).unwrap_or_default()
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let EvaluationReport { split, step, users, without_history, items, .. } = &self.report;
        let split = match split {
            twinspire_report::Split::Validation => "validation",
            twinspire_report::Split::Test => "test",
        };
        let (step, users, items) = (number(*step), number(*users), number(*items));
        let left_out = match without_history {
            0 => String::new(),
            count => format!(" ({} more have no history to go by)", number(*count)),
        };
        let table = self.report.table();
        format!("{split}, step {step}: {users} users{left_out}, all {items} items ranked\n{table}")
    }

    /// Where it is.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

/// Keeps the reports of all jobs of an engine, beside it: storage may be slow, and the engine waits for
/// nobody.
pub(crate) struct ReportKeeper {
    task: AbortOnDropHandle<()>,
    last: CancellationToken,
}

impl ReportKeeper {
    /// Keeps those that come from now on.
    pub(crate) fn start(board: Arc<Board>) -> ReportKeeper {
        let mut notices = board.listen();
        let last = CancellationToken::new();
        let no_more = last.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    // Those that have come are kept before it ends.
                    biased;
                    Some((job, notice)) = notices.recv() => keep(&board, &job, &notice).await,
                    () = no_more.cancelled() => return,
                }
            }
        });
        ReportKeeper { task: AbortOnDropHandle::new(task), last }
    }

    /// Waits until those that have come are kept, but no longer than `grace`.
    pub(crate) async fn finish(self, grace: Duration) {
        self.last.cancel();
        if tokio::time::timeout(grace, self.task).await.is_err() {
            tracing::warn!("evaluation reports could not be kept in time");
        }
    }
}

async fn keep(board: &Board, job: &JobName, notice: &Notice) {
    let Notice::Done(TaskResult::Evaluated { split, report, .. }) = notice else { return };
    let Some(view) = board.job(job) else { return };
    let places = Places::of(&view.spec);
    let kept = if view.is_extra {
        ReportFile::write_by_step(&places, *split, report).await
    } else {
        ReportFile::write(&places, *split, report).await
    };
    if let Err(why) = kept {
        tracing::error!(%job, code = why.code(), %why, "the evaluation report could not be kept");
    }
}

/// The reports there are of a job, from before.
pub(super) async fn read(places: &Places) -> Vec<TaskResult> {
    let mut results = Vec::new();
    let Ok(run) = Location::parse(&places.run) else { return results };
    for split in [Split::Validation, Split::Test] {
        let Ok(bytes) = run.get(&name_of(split)).await else { continue };
        let report = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(read) = serde_json::from_str::<EvaluationReport>(&report) {
            results.push(TaskResult::Evaluated { step: read.step, split, report });
        }
    }
    results
}

fn name_of(split: Split) -> String {
    format!("evaluation-{}.json", word_of(split))
}

fn word_of(split: Split) -> &'static str {
    match split {
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

fn unreadable(why: serde_json::Error) -> ControlError {
    ControlError::BadReport { why: why.to_string() }
}
