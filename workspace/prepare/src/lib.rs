//! Engagement logs -> dataset, by DataFusion.
//!
//! A log is rows in any order: who engaged, with what, how, when. Training wants timelines: a row
//! a user, actions in order, items as small integers, held-out actions marked. [`prepare`] makes
//! one of the other, whatever the formats, at any size the disk holds, and so that the same inputs
//! give the same bytes whatever the order of files or the number of threads.
//!
//! ```text
//! log files ──> DataFusion: scan, filter ──> check every row ──> deal out by user ─┐ (spills)
//!                                              └─> rejects.jsonl                    │
//! timelines-*.parquet <── shards <── split, item indices <── sort each partition <──┘
//! items.parquet, vocabulary-*.parquet <── catalogue
//! manifest.json, last
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | `input` | uris -> files: patterns, directories, formats by name |
//! | `source` | files -> record batches: DataFusion, the filter, unreadable rows |
//! | `clean` | batches -> events: ids, actions, times of whatever type; bad rows by cause |
//! | `shuffle` | events by user: partitions in memory or on disk, sorted one at a time |
//! | `split`, `timelines` | which actions train, validate, test; counts |
//! | `items`, `catalogue` | item indices, tokens, vectors |
//! | `write` | shards, files with checksums, nothing half-done |
//! | `pipeline` | all of it, in order |
//!
//! # What holds
//! 1. A dataset is visible when it is whole: its directory appears with its manifest, or (in object
//!    storage) its manifest comes last. What an interrupted run leaves is removed by the next.
//! 2. The bytes of a dataset are a function of the fingerprint: of the inputs and the sections that
//!    describe them.
//! 3. Every row read is in the dataset, rejected with a cause, or left out for a reason; the
//!    manifest's numbers add up.
//! 4. Memory stays within `prepare.memory` and a term for items, features and one partition a
//!    thread, whatever the number of rows and users and the length of a line.

#![forbid(unsafe_code)]

mod catalogue;
mod clean;
mod describe;
mod dictionary;
mod error;
mod event;
mod fingerprint;
mod input;
mod items;
mod names;
mod pipeline;
mod progress;
mod rejects;
mod shuffle;
mod source;
mod split;
mod timelines;
mod write;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use twinspire_dataset::format::Manifest;
use twinspire_job::JobSpec;
use twinspire_storage::Location;

pub use describe::{describe, describe_json};
pub use error::{CODES, PrepareError};
pub use progress::{Phase, Progress};

/// A dataset that is there.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its directory, `{runs}/datasets/{fingerprint}`.
    pub location: Location,
    /// What it holds.
    pub manifest: Manifest,
    /// It was there before.
    pub reused: bool,
    /// What the owner of the data should know, though it is no error.
    pub warnings: Vec<String>,
}

/// Turns the log, catalogue and split of a job into a dataset under `runs`, or finds the one that
/// an earlier run with the same inputs made.
///
/// The work is done by threads of its own (`prepare.threads`), so the caller's runtime stays
/// responsive. `progress` is called from them, often. When the future is dropped the work stops
/// and what it had written is removed.
///
/// # Errors
/// See [`PrepareError`]; whatever it is, nothing that looks like a dataset is left behind.
pub async fn prepare(
    spec: &JobSpec,
    runs: &Location,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Prepared, PrepareError> {
    let threads = match spec.prepare.threads {
        0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
        threads => threads as usize,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let run = pipeline::Run {
        spec: spec.clone(),
        runs: runs.clone(),
        tell: Arc::new(progress),
        threads,
        stop: Arc::clone(&stop),
    };
    let _stop = StopOnDrop(stop);
    let (send, receive) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("prepare".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(threads)
                .thread_name("prepare")
                .enable_all()
                .build();
            let result = match runtime {
                Ok(runtime) => runtime.block_on(run.run()),
                Err(why) => Err(PrepareError::stopped(why)),
            };
            // Nobody may be waiting any more.
            let _ = send.send(result);
        })
        .map_err(PrepareError::stopped)?;
    receive.await.unwrap_or_else(|_| Err(PrepareError::stopped("a thread panicked")))
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
