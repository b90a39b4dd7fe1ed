//! What a job's workers logged: they write it to storage, in chunks.
//!
//! ```text
//! {run}/logs/{worker}/{generation}-{chunk}.log
//! ```

use std::collections::BTreeSet;

use twinspire_proto::v1::LogLine;
use twinspire_storage::{Location, StorageError};

/// Reads a job's logs, and goes on where it was.
pub(super) struct LogReader {
    run: Location,
    /// Of this worker only; empty = of all.
    worker: String,
    read: BTreeSet<String>,
}

impl LogReader {
    pub(super) fn new(run: Location, worker: &str) -> LogReader {
        LogReader { run, worker: directory_of(worker), read: BTreeSet::new() }
    }

    /// The lines that have come since the last time, generation by generation.
    pub(super) async fn next(&mut self) -> Result<Vec<LogLine>, StorageError> {
        let mut chunks: Vec<(String, String, String)> = Vec::new();
        for entry in self.run.list("logs/").await? {
            let Some((worker, chunk)) = parts(&entry.name) else { continue };
            let wanted = self.worker.is_empty() || self.worker == worker;
            if wanted && !self.read.contains(&entry.name) {
                chunks.push((chunk.to_owned(), worker.to_owned(), entry.name.clone()));
            }
        }
        chunks.sort();
        let mut lines = Vec::new();
        for (chunk, worker, name) in chunks {
            let text = self.run.get(&name).await?;
            let text = String::from_utf8_lossy(&text);
            lines.extend(text.lines().enumerate().map(|(number, line)| LogLine {
                worker: worker.clone(),
                line: line.to_owned(),
                chunk: chunk.clone(),
                number: number as u32,
            }));
            self.read.insert(name);
        }
        Ok(lines)
    }
}

/// The newest generation of which anything is logged in a run.
pub(crate) async fn newest_generation(run: &Location) -> Result<u64, StorageError> {
    let entries = run.list("logs/").await?;
    let generation = |chunk: &str| chunk.split_once('-')?.0.parse::<u64>().ok();
    Ok(entries.iter().filter_map(|entry| generation(parts(&entry.name)?.1)).max().unwrap_or(0))
}

/// A worker's directory: its name, with what separates directories replaced.
fn directory_of(worker: &str) -> String {
    worker.replace('/', "-")
}

/// Worker and chunk of `logs/{worker}/{chunk}.log`.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (worker, chunk) = name.strip_prefix("logs/").unwrap_or(name).split_once('/')?;
    Some((worker, chunk.strip_suffix(".log")?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[tokio::test]
    async fn lines_come_once_in_the_order_of_generations() {
        let dir = tempfile::tempdir().unwrap();
        let run = Location::local(dir.path()).unwrap();
        run.put("logs/node-cuda:0/00002-00000.log", "three\n").await.unwrap();
        run.put("logs/node-cuda:0/00001-00000.log", "one\ntwo\n").await.unwrap();
        run.put("logs/other/00001-00000.log", "else\n").await.unwrap();
        let mut reader = LogReader::new(run.clone(), "node/cuda:0");
        let texts = |lines: Vec<LogLine>| lines.into_iter().map(|line| line.line).collect::<Vec<_>>();
        assert_eq!(texts(reader.next().await.unwrap()), ["one", "two", "three"]);
        run.put("logs/node-cuda:0/00002-00001.log", "four\n").await.unwrap();
        assert_eq!(texts(reader.next().await.unwrap()), ["four"]);
        assert_eq!(LogReader::new(run.clone(), "").next().await.unwrap().len(), 5);
        assert_eq!(newest_generation(&run).await.unwrap(), 2);
    }
}
