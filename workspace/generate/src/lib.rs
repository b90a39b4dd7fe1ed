//! Realistic engagement logs and catalogues of any size.
//!
//! A two-tower model is only worth its training time when there is something to learn, so this
//! is not noise: it is a small world whose rules a model can find and a popularity list cannot.
//!
//! ```text
//! topics (tens)          popular ones and niche ones
//!   └ styles (of 16)     what a follow-on engagement stays within
//!       └ items          popularity is Zipf; titles, categories and image-like vectors tell
//!                        topic and style, so that towers without item ids learn too
//! users                  a handful of drifting interests, favourite styles, a preferred hour
//!   └ sessions           one topic each, often the last session's
//!       └ events         the next of the style | something of the topic | something popular
//! ```
//!
//! | module | what is in it |
//! |---|---|
//! | [`spec`] | what to generate, and how that is checked |
//! | [`world`] | topics, styles, items and their popularity |
//! | [`user`] | one user's history, a function of (seed, user) |
//! | [`events`] | histories -> `events-*.parquet`, a file a thread |
//! | [`catalogue`] | `items.parquet`: titles, categories, vectors |
//! | [`job`] | a job file for what was generated |
//!
//! Everything is a function of the spec: the same spec gives the same bytes on any number of
//! threads. Memory is bounded by the item count and one row group a thread, whatever the number
//! of events.

pub mod catalogue;
pub mod error;
pub mod events;
pub mod job;
pub mod spec;
pub mod user;
pub mod words;
pub mod world;

mod output;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use error::{CODES, GenerateError};
pub use job::job_yaml;
use output::Output;
pub use spec::{GenerateSpec, Summary};

/// Generates a log (`events-*.parquet`) and its catalogue (`items.parquet`) in `out`.
///
/// `progress` is told the number of events written so far, from several threads. A directory
/// that already holds the output of the same spec is left as it is; the output of another spec
/// is replaced; anything else in the way is refused.
pub fn generate(
    spec: &GenerateSpec,
    out: &Path,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Summary, GenerateError> {
    spec.check()?;
    let output = Output::open(out)?;
    if let Some(summary) = output.existing(spec) {
        return Ok(summary);
    }
    output.clear()?;
    let world = world::World::new(spec);
    let plan = events::FilePlan::new(spec);
    let written = std::sync::atomic::AtomicU64::new(0);
    let tell = |more: u64| progress(written.fetch_add(more, Ordering::Relaxed) + more);

    let next = AtomicUsize::new(0);
    let work = || -> Result<u64, GenerateError> {
        let mut bytes = 0;
        // Job 0 is the catalogue, job i the i-th events file.
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                0 => bytes += catalogue::write(spec, &world, &output)?,
                job if job <= plan.files() => {
                    bytes += events::write(spec, &world, &plan, job - 1, &output, &tell)?
                }
                _ => return Ok(bytes),
            }
        }
    };
    let bytes = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..spec.threads()).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or(Err(GenerateError::Thread)))
            .try_fold(0, |sum, bytes| bytes.map(|bytes| sum + bytes))
    })?;
    let summary = Summary {
        users: spec.users,
        items: spec.items,
        events: spec.events,
        event_files: plan.files(),
        bytes,
    };
    output.finish(spec, &summary)?;
    Ok(summary)
}
