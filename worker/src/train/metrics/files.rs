//! Metrics on their way to files. They are for people: no disk that is full for a while ends a training.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use twinspire_report::{EventFile, MetricsFile, Record, ReportError};

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(1);

/// Records kept while they cannot be written: some megabytes.
const KEPT: usize = 10_000;

/// One record, and the same as TensorBoard takes it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) step: u64,
    /// None once it is written.
    pub(super) record: Option<Record>,
    pub(super) scalars: Vec<(String, f64)>,
}

/// `metrics.jsonl`, TensorBoard's events, and what is not in them yet.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// None: to be opened, anew after trouble, which drops a line that was cut off.
    open: Option<(MetricsFile, EventFile)>,
    /// The step of the newest line.
    written: u64,
    waiting: VecDeque<Entry>,
    /// When it is tried again, after trouble.
    again: Option<Instant>,
}

impl Files {
    /// Goes on after `step`: what an earlier run wrote of later steps is dropped.
    pub(super) fn new(directory: &Path, step: u64) -> Files {
        let mut files = Files {
            directory: directory.to_owned(),
            open: None,
            written: step,
            waiting: VecDeque::new(),
            again: None,
        };
        files.write();
        files
    }

    pub(super) fn add(&mut self, entry: Entry) {
        if self.waiting.len() == KEPT {
            self.waiting.pop_front();
        }
        self.waiting.push_back(entry);
        if self.again.is_none_or(|again| Instant::now() >= again) {
            self.write();
        }
    }

    /// Writes what waits, if that goes.
    fn write(&mut self) {
        match self.try_write() {
            Ok(()) if self.again.take().is_some() => tracing::info!("metrics are written again"),
            Ok(()) => {}
            Err(why) => {
                if self.again.is_none() {
                    tracing::warn!(code = why.code(), "metrics wait, training goes on: {why}");
                }
                self.open = None;
                self.again = Some(Instant::now() + AGAIN);
            }
        }
    }

    fn try_write(&mut self) -> Result<(), ReportError> {
        let (lines, events) = match &mut self.open {
            Some(open) => open,
            none => none.insert((
                MetricsFile::open(&self.directory.join("metrics.jsonl"), self.written)?,
                EventFile::create(&self.directory.join("tensorboard"), self.written)?,
            )),
        };
        while let Some(entry) = self.waiting.front_mut() {
            if let Some(record) = &entry.record {
                lines.append(record)?;
                entry.record = None;
                self.written = entry.step;
            }
            events.scalars(entry.step, entry.scalars.iter().map(|(tag, value)| (tag.as_str(), *value)))?;
            self.waiting.pop_front();
        }
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if !self.waiting.is_empty() {
            self.write();
        }
        if !self.waiting.is_empty() {
            tracing::warn!(records = self.waiting.len(), "metrics are lost: they could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use twinspire_report::TrainRecord;

    use super::*;

    fn entry(step: u64) -> Entry {
        let record = Record::Train(TrainRecord { step, ..TrainRecord::default() });
        Entry { step, record: Some(record), scalars: vec![("train/loss".into(), 1.0)] }
    }

    fn steps(directory: &Path) -> Vec<u64> {
        let text = fs::read_to_string(directory.join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["step"].as_u64().unwrap()).collect()
    }

    #[test]
    fn what_cannot_be_written_waits_and_nothing_is_there_twice() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("run");
        // A file is where the directory is to be.
        fs::write(&directory, "").unwrap();
        let mut files = Files::new(&directory, 0);
        (1..=3).for_each(|step| files.add(entry(step)));
        assert_eq!(files.waiting.len(), 3);
        fs::remove_file(&directory).unwrap();
        files.again = Some(Instant::now());
        files.add(entry(4));
        assert_eq!((steps(&directory), files.waiting.len()), (vec![1, 2, 3, 4], 0));

        // The file is replaced, as after trouble half-way through a line.
        let mut text = fs::read_to_string(directory.join("metrics.jsonl")).unwrap();
        text.push_str("{\"step\": 5, \"lo");
        fs::write(directory.join("metrics.jsonl"), text).unwrap();
        files.open = None;
        files.add(entry(5));
        assert_eq!(steps(&directory), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_waits_is_written_at_the_end() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("run");
        fs::write(&directory, "").unwrap();
        let mut files = Files::new(&directory, 0);
        files.add(entry(1));
        fs::remove_file(&directory).unwrap();
        drop(files);
        assert_eq!(steps(&directory), [1]);
    }
}
