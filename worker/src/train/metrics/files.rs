//! Metrics on their way to files. They are for people: no disk that is full for a while ends a training.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use twinspire_report::{EventFile, MetricsFile, Record, ReportError};

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(1);

/// Records kept while they cannot be written: some megabytes.
const KEPT: usize = 10_000;

/// One record, and the same as TensorBoard takes it.
#[derive(Debug)]
pub(super) struct Entry {
    step: u64,
    at: SystemTime,
    /// None once it is written.
    record: Option<Record>,
    scalars: Vec<(String, f64)>,
}

impl Entry {
    pub(super) fn new(step: u64, record: Record, scalars: impl IntoIterator<Item = (String, f64)>) -> Entry {
        let scalars = scalars.into_iter().collect();
        Entry { step, at: SystemTime::now(), record: Some(record), scalars }
    }
}

/// `metrics.jsonl`, TensorBoard's events, and what is not in them yet.
#[derive(Debug)]
pub(super) struct Files {
    directory: PathBuf,
    /// What an earlier run wrote of later steps is dropped.
    after: u64,
    /// Opened once: whoever is replaced while it is frozen goes on writing to files that nobody reads.
    open: Option<(MetricsFile, EventFile)>,
    waiting: VecDeque<Entry>,
    /// Of those that had no place among the waiting.
    lost: usize,
    /// When it is tried again, after trouble.
    again: Option<Instant>,
}

impl Files {
    /// Goes on after a step. When there is no room the files are made once there is; that they cannot be made for
    /// another reason is an error.
    pub(super) fn new(directory: &Path, after: u64) -> Result<Files, ReportError> {
        let (open, waiting, again) = (None, VecDeque::new(), None);
        let mut files = Files { directory: directory.to_owned(), after, open, waiting, lost: 0, again };
        match files.write() {
            Err(why) if !why.is_for_want_of_room() => return Err(why),
            outcome => files.note(outcome),
        }
        Ok(files)
    }

    pub(super) fn add(&mut self, entry: Entry) {
        if self.waiting.len() == KEPT {
            self.waiting.pop_front();
            self.lost += 1;
        }
        self.waiting.push_back(entry);
        if self.again.is_none_or(|again| Instant::now() >= again) {
            let outcome = self.write();
            self.note(outcome);
        }
    }

    fn note(&mut self, outcome: Result<(), ReportError>) {
        match outcome {
            Ok(()) if self.again.take().is_some() => tracing::info!("metrics are written again"),
            Ok(()) => {}
            Err(why) => {
                if self.again.is_none() {
                    tracing::warn!(code = why.code(), "metrics wait, training goes on: {why}");
                }
                self.again = Some(Instant::now() + AGAIN);
            }
        }
    }

    /// Writes what waits, as far as that goes.
    fn write(&mut self) -> Result<(), ReportError> {
        let (lines, events) = match &mut self.open {
            Some(open) => open,
            none => none.insert((
                MetricsFile::open(&self.directory.join("metrics.jsonl"), self.after)?,
                EventFile::create(&self.directory.join("tensorboard"), self.after)?,
            )),
        };
        while let Some(Entry { step, at, record, scalars }) = self.waiting.front_mut() {
            if let Some(line) = record {
                lines.append(line, *at)?;
                *record = None;
            }
            events.scalars(*step, *at, scalars.iter().map(|(tag, value)| (tag.as_str(), *value)))?;
            self.waiting.pop_front();
        }
        Ok(())
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Not to be made now: this may be a worker that was frozen, and that another one has replaced.
        let written = match self.open {
            Some(_) if !self.waiting.is_empty() => self.write().is_ok(),
            _ => self.waiting.is_empty(),
        };
        let lost = self.lost + if written { 0 } else { self.waiting.len() };
        if lost > 0 {
            tracing::warn!(lost, "metrics that could not be written are lost");
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
        Entry::new(step, record, [("train/loss".into(), 1.0)])
    }

    fn steps(directory: &Path) -> Vec<u64> {
        let text = fs::read_to_string(directory.join("metrics.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.map(|line| line["step"].as_u64().unwrap()).collect()
    }

    #[test]
    fn a_place_where_no_files_can_be_is_an_error_at_once() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("run");
        fs::write(&directory, "no directory").unwrap();
        assert_eq!(Files::new(&directory, 0).unwrap_err().code(), "TW3201");
    }

    #[test]
    fn what_waits_is_written_in_order_and_once() {
        let place = tempfile::tempdir().unwrap();
        let mut files = Files::new(place.path(), 0).unwrap();
        files.add(entry(1));
        files.again = Some(Instant::now() + AGAIN * 60);
        (2..=4).for_each(|step| files.add(entry(step)));
        assert_eq!((steps(place.path()), files.waiting.len()), (vec![1], 3));
        files.again = Some(Instant::now());
        files.add(entry(5));
        assert_eq!((steps(place.path()), files.waiting.len()), (vec![1, 2, 3, 4, 5], 0));
        files.again = Some(Instant::now() + AGAIN * 60);
        files.add(entry(6));
        drop(files);
        assert_eq!(steps(place.path()), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn who_is_replaced_writes_to_files_that_nobody_reads() {
        let place = tempfile::tempdir().unwrap();
        let mut frozen = Files::new(place.path(), 0).unwrap();
        (1..=3).for_each(|step| frozen.add(entry(step)));
        frozen.again = Some(Instant::now() + AGAIN * 60);
        frozen.add(entry(4));
        let mut successor = Files::new(place.path(), 2).unwrap();
        (3..=5).for_each(|step| successor.add(entry(step)));
        drop(frozen);
        assert_eq!(steps(place.path()), [1, 2, 3, 4, 5]);
    }
}
