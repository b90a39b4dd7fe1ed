//! `metrics.jsonl`: one JSON object a line.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::{appender::Appender, error::ReportError};

/// A line of the metrics file. A number that is not finite is written as null.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// Training, every few steps.
    Train(TrainRecord),
    /// An evaluation.
    Evaluation(EvaluationRecord),
}

/// How training goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TrainRecord {
    /// Steps done.
    pub step: u64,
    /// Epochs done, the one under way in part.
    pub epoch: f64,
    /// Mean loss since the last such record.
    pub loss: f64,
    /// Learning rate.
    pub lr: f64,
    /// Users' rows trained a second since the last such record.
    pub rows_per_s: f64,
    /// More numbers, by name.
    #[serde(flatten)]
    pub more: BTreeMap<String, f64>,
}

/// How good the towers are.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct EvaluationRecord {
    /// The towers are those after so many steps.
    pub step: u64,
    /// Epochs done, the one under way in part.
    pub epoch: f64,
    /// What was evaluated on: `validation` or `test`.
    pub split: String,
    /// Metrics by name, such as `ndcg@10`.
    #[serde(flatten)]
    pub metrics: BTreeMap<String, f64>,
}

/// The appender. Every line is one write: a killed run leaves at most its last line torn, which
/// the next start drops, and a full disk one that the next line takes the place of.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    file: Appender,
}

/// A record and when it was written.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    record: &'a Record,
    /// Seconds since 1970.
    time: f64,
}

impl MetricsFile {
    /// Opens the file of a run that goes on after `step` (0: from the beginning), creating it if
    /// it is not there. Lines of later steps are dropped: they are going to be written again.
    ///
    /// # Errors
    /// I/O errors; then the file is as it was.
    pub fn open(path: &Path, step: u64) -> Result<MetricsFile, ReportError> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(ReportError::writing(path))?;
        }
        let content = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read.map_err(ReportError::reading(path))?,
        };
        // Also when all lines stay: whoever had it open, and wakes from a freeze, writes to a file that nobody reads.
        replace(path, &up_to(&content, step)).map_err(ReportError::writing(path))?;
        let file = OpenOptions::new().create(true).append(true).open(path).and_then(Appender::new);
        Ok(MetricsFile { path: path.to_owned(), file: file.map_err(ReportError::writing(path))? })
    }

    /// Writes a line about something that was at that time.
    ///
    /// # Errors
    /// I/O errors; then it can be written again.
    pub fn append(&mut self, record: &Record, at: SystemTime) -> Result<(), ReportError> {
        let time = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let line = serde_json::to_vec(&Line { record, time }).map_err(io::Error::from);
        let written = line.and_then(|mut line| {
            line.push(b'\n');
            self.file.append(&line)
        });
        written.map_err(ReportError::writing(&self.path))
    }
}

/// The lines up to `step`, without those that are torn.
fn up_to(content: &[u8], step: u64) -> Vec<u8> {
    #[derive(Deserialize)]
    struct AtStep {
        step: u64,
    }
    let keeps = |line: &&[u8]| {
        line.ends_with(b"\n")
            && serde_json::from_slice::<AtStep>(line).is_ok_and(|record| record.step <= step)
    };
    content.split_inclusive(|byte| *byte == b'\n').filter(keeps).collect::<Vec<_>>().concat()
}

/// Replaces a file: readers see the old content or the new.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let staged = path.with_extension("jsonl.new");
    let written = File::create(&staged).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_data()?;
        fs::rename(&staged, path)
    });
    if written.is_err() {
        // It takes room that is wanted.
        let _ = fs::remove_file(&staged);
    }
    written
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn train(step: u64) -> Record {
        Record::Train(TrainRecord { step, loss: 1.0 / step as f64, ..TrainRecord::default() })
    }

    fn steps(path: &Path) -> Vec<u64> {
        let text = fs::read_to_string(path).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["step"].as_u64().unwrap()).collect()
    }

    #[test]
    fn a_line_is_a_flat_object() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/metrics.jsonl");
        let mut metrics = MetricsFile::open(&path, 0).unwrap();
        metrics.append(&train(4), SystemTime::now()).unwrap();
        let evaluation = EvaluationRecord {
            step: 5,
            split: "validation".into(),
            metrics: [("ndcg@10".to_owned(), 0.05), ("mrr".to_owned(), f64::NAN)].into(),
            ..EvaluationRecord::default()
        };
        metrics.append(&Record::Evaluation(evaluation), SystemTime::now()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["kind"], &lines[0]["loss"]), (&"train".into(), &0.25.into()));
        assert!(lines[0]["time"].as_f64().unwrap() > 1.6e9);
        assert_eq!((&lines[1]["kind"], &lines[1]["ndcg@10"]), (&"evaluation".into(), &0.05.into()));
        assert!(lines[1]["mrr"].is_null());
    }

    #[test]
    fn a_resumed_run_has_no_step_twice() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let mut metrics = MetricsFile::open(&path, 0).unwrap();
        (1..=6).for_each(|step| metrics.append(&train(step), SystemTime::now()).unwrap());
        let mut metrics = MetricsFile::open(&path, 4).unwrap();
        (5..=8).for_each(|step| metrics.append(&train(step), SystemTime::now()).unwrap());
        assert_eq!(steps(&path), [1, 2, 3, 4, 5, 6, 7, 8]);
        MetricsFile::open(&path, 0).unwrap();
        assert_eq!(steps(&path), [0; 0]);
    }

    #[test]
    fn a_torn_line_is_dropped_and_what_is_whole_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let mut metrics = MetricsFile::open(&path, 0).unwrap();
        (1..=3).for_each(|step| metrics.append(&train(step), SystemTime::now()).unwrap());
        let whole = fs::read(&path).unwrap();
        for cut in 1..40 {
            fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            MetricsFile::open(&path, 9).unwrap().append(&train(9), SystemTime::now()).unwrap();
            assert_eq!(steps(&path), [1, 2, 9]);
        }
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let error = MetricsFile::open(directory.path(), 0).unwrap_err();
        assert!(error.code() == "TW3201" && error.to_string().contains("cannot read"), "{error}");
    }
}
