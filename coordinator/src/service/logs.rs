//! What a job's workers logged: they write it to storage, in chunks.
//!
//! ```text
//! {run}/logs/{worker}/{generation}-{chunk}.log
//! {run}/logs/pool/1/00002-00000.log                of worker `pool/1`
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
        LogReader { run, worker: worker.to_owned(), read: BTreeSet::new() }
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

/// Worker and chunk of `logs/{worker}/{chunk}.log`. A worker's name may have several levels.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (worker, chunk) = name.strip_prefix("logs/").unwrap_or(name).rsplit_once('/')?;
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
        run.put("logs/node/cuda:0/00002-00000.log", "three\n").await.unwrap();
        run.put("logs/node/cuda:0/00001-00000.log", "one\ntwo\n").await.unwrap();
        run.put("logs/other/00001-00000.log", "else\n").await.unwrap();
        let mut reader = LogReader::new(run.clone(), "node/cuda:0");
        let texts = |lines: Vec<LogLine>| lines.into_iter().map(|line| line.line).collect::<Vec<_>>();
        assert_eq!(texts(reader.next().await.unwrap()), ["one", "two", "three"]);
        run.put("logs/node/cuda:0/00002-00001.log", "four\n").await.unwrap();
        assert_eq!(texts(reader.next().await.unwrap()), ["four"]);
        assert_eq!(LogReader::new(run.clone(), "").next().await.unwrap().len(), 5);
        assert_eq!(newest_generation(&run).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn workers_are_called_by_their_names_and_a_machine_is_none_of_its_workers() {
        let dir = tempfile::tempdir().unwrap();
        let run = Location::local(dir.path()).unwrap();
        for worker in ["pool", "pool/1", "pool-1", "pool/10"] {
            run.put(&format!("logs/{worker}/00001-00000.log"), format!("{worker}\n")).await.unwrap();
        }
        // What a child of local mode says on standard error.
        run.put("logs/worker-0.log", "else\n").await.unwrap();
        for worker in ["pool", "pool/1", "pool-1", "pool/10"] {
            let lines = LogReader::new(run.clone(), worker).next().await.unwrap();
            let said: Vec<_> = lines.iter().map(|line| (line.worker.as_str(), line.line.as_str())).collect();
            assert_eq!(said, [(worker, worker)]);
        }
        assert_eq!(LogReader::new(run, "").next().await.unwrap().len(), 4);
    }
}
