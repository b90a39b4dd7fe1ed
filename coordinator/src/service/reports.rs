//! Evaluation reports. Workers keep them in the directory of the run, before they say that they are done:
//! whoever knows of an evaluation finds its report there.

use twinspire_control::{Split, TaskResult};
use twinspire_report::{EvaluationReport, later_evaluation, own_evaluation};
use twinspire_storage::Location;

use super::Places;
use crate::{ControlError, display::number};

/// An evaluation report and where it is kept.
pub struct ReportFile {
    report: EvaluationReport,
    uri: String,
}

impl ReportFile {
    /// The report that a run itself ended with.
    pub fn own(places: &Places, report: &str) -> Result<ReportFile, ControlError> {
        ReportFile::of(places, report, |report| own_evaluation(report.split))
    }

    /// A report that was asked for when the run was over.
    pub fn later(places: &Places, report: &str) -> Result<ReportFile, ControlError> {
        ReportFile::of(places, report, |report| later_evaluation(report.split, report.step))
    }

    fn of(
        places: &Places,
        report: &str,
        name: impl Fn(&EvaluationReport) -> String,
    ) -> Result<ReportFile, ControlError> {
        let report: EvaluationReport =
            serde_json::from_str(report).map_err(|why| ControlError::BadReport { why: why.to_string() })?;
        Ok(ReportFile { uri: format!("{}/{}", places.run, name(&report)), report })
    }

    /// Whether it is of held-out rows of this split, and of this step if one is given.
    pub fn is_of(&self, split: Split, step: Option<u64>) -> bool {
        self.report.split == in_reports(split) && step.is_none_or(|step| step == self.report.step)
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.report).unwrap_or_default()
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let EvaluationReport { split, step, users, without_history, items, .. } = &self.report;
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

/// The reports there are of a job, from before.
pub(super) async fn read(places: &Places) -> Vec<TaskResult> {
    let mut results = Vec::new();
    let Ok(run) = Location::parse(&places.run) else { return results };
    for split in [Split::Validation, Split::Test] {
        let Ok(bytes) = run.get(&own_evaluation(in_reports(split))).await else { continue };
        let report = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(read) = serde_json::from_str::<EvaluationReport>(&report) {
            results.push(TaskResult::Evaluated { step: read.step, split, report });
        }
    }
    results
}

fn in_reports(split: Split) -> twinspire_report::Split {
    match split {
        Split::Validation => twinspire_report::Split::Validation,
        Split::Test => twinspire_report::Split::Test,
    }
}
