//! Evaluation reports, kept in a job's run directory.

use twinspire_control::{Split, TaskResult};
use twinspire_report::EvaluationReport;
use twinspire_storage::Location;

use super::Places;
use crate::{ControlError, display::number};

/// An evaluation report and where it is kept.
pub struct ReportFile {
    report: EvaluationReport,
    uri: String,
}

impl ReportFile {
    /// A worker's report, that is or will be kept in the job's places.
    pub fn of(places: &Places, split: Split, report: &str) -> Result<ReportFile, ControlError> {
        let report: EvaluationReport =
            serde_json::from_str(report).map_err(|why| ControlError::BadReport { why: why.to_string() })?;
        Ok(ReportFile { report, uri: format!("{}/{}", places.run, name_of(split)) })
    }

    /// Keeps a report as `evaluation-{split}.json`, in place of an earlier one.
    pub async fn write(places: &Places, split: Split, report: &str) -> Result<ReportFile, ControlError> {
        let file = ReportFile::of(places, split, report)?;
        let text = file.report.to_json().map_err(|why| ControlError::BadReport { why: why.to_string() })?;
        Location::parse(&places.run)?.put(name_of(split), text.into_bytes()).await?;
        Ok(file)
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.report).unwrap_or_default()
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let EvaluationReport { split, step, users, items, .. } = &self.report;
        let split = match split {
            twinspire_report::Split::Validation => "validation",
            twinspire_report::Split::Test => "test",
        };
        let (step, users, items) = (number(*step), number(*users), number(*items));
        format!("{split}, step {step}: {users} users, all {items} items ranked\n{}", self.report.table())
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
        let Ok(bytes) = run.get(name_of(split)).await else { continue };
        let report = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(read) = serde_json::from_str::<EvaluationReport>(&report) {
            results.push(TaskResult::Evaluated { step: read.step, split, report });
        }
    }
    results
}

fn name_of(split: Split) -> &'static str {
    match split {
        Split::Validation => "evaluation-validation.json",
        Split::Test => "evaluation-test.json",
    }
}
