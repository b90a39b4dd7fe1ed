//! What this worker logs while it has a task, kept with the job: as files
//! `logs/{worker}/{generation}-{chunk}.log` of its run.
//!
//! ```text
//! tracing ─► lines of the present task ─► every 2 s, and at the task's end, one more chunk
//! ```
//!
//! Lines are kept until they are written, but no more than a bound: when storage is down for long
//! the oldest are dropped, and the next chunk says how many. A chunk that could not be written, or
//! of which that is not known, is written again as it was: whoever has read it need not read it
//! again.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{sync::Notify, task::JoinHandle};
use tracing_subscriber::fmt::MakeWriter;
use twinspire_storage::{Location, StorageError};

/// Between two chunks, when there are new lines.
const EVERY: Duration = Duration::from_secs(2);

/// Most that is kept of lines that are not written yet, in bytes.
const MOST: usize = 1 << 20;

/// What is left to write of a task that has ended is tried to be written for so long.
const GIVE_UP: Duration = Duration::from_secs(60);

/// The log of the present task; clones are of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobLog {
    present: Arc<Mutex<Option<Arc<Lines>>>>,
    writing: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

impl JobLog {
    /// A task begins: its lines go under `run`, the directory of the job's run. Call it within a
    /// runtime.
    pub(crate) fn begin(&self, run: &str, worker: &str, generation: u64) {
        let lines = Arc::new(Lines::default());
        let writer = Chunks {
            lines: Arc::clone(&lines),
            directory: format!("logs/{worker}"),
            generation,
            next: 0,
            unwritten: None,
            failing: false,
        };
        if let Some(earlier) = lock(&self.present).replace(lines) {
            earlier.end();
        }
        let mut writing = lock(&self.writing);
        writing.retain(|task| !task.is_finished());
        writing.push(tokio::spawn(writer.write(run.to_owned())));
    }

    /// The task has ended: what it logged is written, and nothing is added.
    pub(crate) fn end(&self) {
        if let Some(lines) = lock(&self.present).take() {
            lines.end();
        }
    }

    /// Ends, and waits until all is written, but no longer than this.
    pub(crate) async fn finish(&self, within: Duration) {
        self.end();
        let writing = std::mem::take(&mut *lock(&self.writing));
        let all = async {
            for task in writing {
                let _ = task.await;
            }
        };
        // What is not written by then is lost; it is on standard error too.
        let _ = tokio::time::timeout(within, all).await;
    }
}

/// Every event is written at once, with its end of line.
impl io::Write for &JobLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(lines) = &*lock(&self.present) {
            lines.add(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for JobLog {
    type Writer = &'a JobLog;

    fn make_writer(&'a self) -> &'a JobLog {
        self
    }
}

/// Lines of one task that are not written yet.
#[derive(Debug, Default)]
struct Lines {
    kept: Mutex<Kept>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Lines that were dropped.
    lost: u64,
    ended: bool,
}

impl Lines {
    fn add(&self, line: &[u8]) {
        let mut kept = lock(&self.kept);
        kept.bytes += line.len();
        kept.lines.push_back(line.to_vec());
        while kept.bytes > MOST
            && let Some(line) = kept.lines.pop_front()
        {
            kept.bytes -= line.len();
            kept.lost += 1;
        }
    }

    fn end(&self) {
        lock(&self.kept).ended = true;
        self.ended.notify_one();
    }

    fn has_ended(&self) -> bool {
        lock(&self.kept).ended
    }

    /// All lines there are, those that are missing said first.
    fn take(&self) -> Vec<u8> {
        let Kept { lines, bytes, lost, .. } = {
            let mut kept = lock(&self.kept);
            let ended = kept.ended;
            std::mem::replace(&mut *kept, Kept { ended, ..Kept::default() })
        };
        let mut text = Vec::with_capacity(bytes);
        if lost > 0 {
            text.extend(format!("({lost} lines are missing: they could not be written in time)\n").bytes());
        }
        lines.iter().for_each(|line| text.extend(line));
        text
    }
}

/// Writes the lines of one task.
struct Chunks {
    lines: Arc<Lines>,
    directory: String,
    generation: u64,
    next: u64,
    /// The chunk that is being written.
    unwritten: Option<Bytes>,
    failing: bool,
}

impl Chunks {
    async fn write(mut self, run: String) {
        let place = match Location::parse(&run) {
            Ok(place) => place.join(&self.directory),
            // The task says so better.
            Err(_) => return,
        };
        let mut ended = None;
        loop {
            let soon = tokio::time::sleep(EVERY);
            if ended.is_none() {
                tokio::select! {
                    () = soon => {}
                    () = self.lines.ended.notified() => {}
                }
            } else {
                soon.await;
            }
            if self.lines.has_ended() {
                ended.get_or_insert_with(Instant::now);
            }
            let outcome = self.put(&place).await;
            let given_up = ended.is_some_and(|ended| ended.elapsed() > GIVE_UP);
            if ended.is_some() && (outcome.is_ok() || given_up) {
                return;
            }
            self.complain(outcome);
        }
    }

    /// Writes all there is.
    async fn put(&mut self, place: &Location) -> Result<(), StorageError> {
        loop {
            if self.unwritten.is_none() {
                self.unwritten = Some(Bytes::from(self.lines.take())).filter(|text| !text.is_empty());
            }
            let Some(text) = &self.unwritten else { return Ok(()) };
            let name = format!("{:05}-{:05}.log", self.generation, self.next);
            place.put(&name, text.clone()).await?;
            self.unwritten = None;
            self.next += 1;
        }
    }

    /// Once each time: this very line is a line of the log.
    fn complain(&mut self, outcome: Result<(), StorageError>) {
        match outcome {
            Ok(()) => self.failing = false,
            Err(why) if !self.failing => {
                self.failing = true;
                tracing::warn!(code = why.code(), "the job's log cannot be written: {why}; trying on");
            }
            Err(_) => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{io::Write, path::Path};

    use super::*;

    fn text(directory: &Path) -> Vec<(String, String)> {
        let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
        let mut files: Vec<_> = entries
            .flatten()
            .map(|entry| {
                let text = std::fs::read_to_string(entry.path()).unwrap();
                (entry.file_name().to_string_lossy().into_owned(), text)
            })
            .collect();
        files.sort();
        files
    }

    fn say(log: &JobLog, line: &str) {
        log.make_writer().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    async fn until(mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn what_is_logged_during_a_task_is_kept_with_its_job() {
        let dir = tempfile::tempdir().unwrap();
        let log = JobLog::default();
        say(&log, "before any task");
        log.begin(dir.path().to_str().unwrap(), "node/cuda:0", 7);
        say(&log, "one");
        let place = dir.path().join("logs/node/cuda:0");
        until(|| text(&place).len() == 1).await;
        say(&log, "two");
        say(&log, "three");
        log.end();
        say(&log, "after it");
        log.finish(Duration::from_secs(60)).await;
        let chunks = [("00007-00000.log", "one\n"), ("00007-00001.log", "two\nthree\n")];
        assert_eq!(text(&place), chunks.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[tokio::test]
    async fn a_task_that_follows_another_has_chunks_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let log = JobLog::default();
        for generation in [1, 2] {
            log.begin(dir.path().to_str().unwrap(), "w", generation);
            say(&log, &format!("of {generation}"));
        }
        log.finish(Duration::from_secs(60)).await;
        let names: Vec<_> = text(&dir.path().join("logs/w")).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["00001-00000.log", "00002-00000.log"]);
    }

    #[tokio::test]
    async fn lines_outlive_storage_that_is_away_and_come_once() {
        let dir = tempfile::tempdir().unwrap();
        // A file where the directory is to be.
        let blocked = dir.path().join("run");
        std::fs::write(&blocked, "").unwrap();
        let log = JobLog::default();
        log.begin(blocked.to_str().unwrap(), "w", 1);
        say(&log, "one");
        tokio::time::sleep(EVERY + EVERY / 4).await;
        std::fs::remove_file(&blocked).unwrap();
        say(&log, "two");
        log.finish(Duration::from_secs(60)).await;
        let chunks = [("00001-00000.log", "one\n"), ("00001-00001.log", "two\n")];
        let written = text(&blocked.join("logs/w"));
        assert_eq!(written.len(), 2, "{written:?}");
        for ((name, text), (expected, line)) in written.iter().zip(chunks) {
            assert!(name == expected && text.starts_with(line), "{written:?}");
        }
    }

    #[test]
    fn the_oldest_lines_go_first_and_their_number_is_said() {
        let lines = Lines::default();
        let line = [vec![b'x'; 1023], vec![b'\n']].concat();
        for _ in 0..MOST / line.len() + 10 {
            lines.add(&line);
        }
        let text = lines.take();
        assert!(text.starts_with(b"(10 lines are missing"), "{}", String::from_utf8_lossy(&text[..60]));
        assert!(text.len() < MOST + 100);
        lines.add(&line);
        assert_eq!(lines.take(), line, "that was said already");
    }
}
