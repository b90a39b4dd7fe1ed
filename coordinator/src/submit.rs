//! What is checked of a job before a coordinator takes it on.

use twinspire_checkpoint::{CheckpointStore, Retention};
use twinspire_job::{JobFile, JobSpec, is_relative};
use twinspire_storage::Location;
use twinspire_store::MAX_VALUE;

use crate::{
    ControlError,
    service::{Places, Submission, newest_generation},
};

/// The `runs` of a job that does not say where.
pub(crate) const DEFAULT_RUNS: &str = "runs";

/// Most bytes of a job as JSON and its key: what is decided about it is kept in the same value.
const LARGEST: usize = MAX_VALUE / 2;

/// Bytes in that value for each of the job's workers: a name of 30 letters, and its process.
const WORKER: usize = 47;

/// Bytes in it for the rest of what is decided.
const REST: usize = 2_000;

/// Checks a job, given as JSON. `runs` is where jobs that do not say otherwise keep their things.
pub(crate) async fn check(
    spec_json: &str,
    key: String,
    priority: i32,
    runs: Option<&str>,
) -> Result<Submission, ControlError> {
    // JSON is YAML: all that is checked of a job file is checked here too.
    let parsed = JobFile::parse(spec_json, "job", &[]);
    let mut spec = parsed.map_err(|error| ControlError::BadJob { report: error.report() })?.into_spec();
    if let Some(runs) = runs.filter(|_| spec.runs == DEFAULT_RUNS) {
        spec.runs = runs.to_owned();
    }
    refuse_relative(&mut spec)?;
    let key = if key.is_empty() { spec.fingerprint() } else { key };
    refuse_large(&spec, &key)?;
    let (generation, checkpoint) = what_is_there(&spec).await?;
    Ok(Submission::new(spec, key, priority, generation, checkpoint))
}

/// The newest generation and checkpoint there are of a job of this name. That its places can be
/// read is found out here too, before anything is stored.
pub(crate) async fn what_is_there(spec: &JobSpec) -> Result<(u64, Option<u64>), ControlError> {
    let places = Places::of(spec);
    let logged = newest_generation(&Location::parse(&places.run)?).await?;
    Location::parse(&places.export)?;
    let store = CheckpointStore::new(Location::parse(&places.checkpoints)?, Retention::default());
    let generation = store.highest_generation().await?.map_or(0, |generation| generation.0);
    let newest = store.list().await?.iter().map(|checkpoint| checkpoint.step.0).max();
    // One that came to no checkpoint has logs all the same, which are not written over.
    Ok((generation.max(logged), newest))
}

/// What the store would refuse later, when there is nobody left to tell.
fn refuse_large(spec: &JobSpec, key: &str) -> Result<(), ControlError> {
    // A spec is numbers, texts and lists: this cannot fail.
    let bytes = serde_json::to_vec(spec).unwrap_or_default().len() + key.len();
    let workers = spec.workers.max();
    let most = LARGEST.min((MAX_VALUE - REST).saturating_sub(workers as usize * WORKER));
    if bytes <= most {
        return Ok(());
    }
    let report = format!(
        "the job and its key have {bytes} bytes, {most} are the most with {workers} workers: name many files by a pattern, such as log/*.parquet, or ask for fewer workers"
    );
    Err(ControlError::BadJob { report })
}

fn refuse_relative(spec: &mut JobSpec) -> Result<(), ControlError> {
    let relative = spec.uris_mut().into_iter().find(|(_, uri)| is_relative(uri));
    match relative {
        Some((field, uri)) => Err(ControlError::Relative { field, uri: uri.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn refused(workers: u32, key: usize) -> Option<String> {
        let text = format!(
            "name: a\nlog: {{uri: /log}}\nworkers: {workers}\nlanes: {workers}\ntrain: {{global_batch: {batch}}}\n",
            batch = workers * 8,
        );
        let spec = JobFile::parse(&text, "job.yaml", &[]).unwrap().into_spec();
        refuse_large(&spec, &"k".repeat(key)).err().map(|why| why.to_string())
    }

    #[test]
    fn a_job_leaves_room_for_its_workers_in_its_record() {
        assert_eq!(refused(1, 40_000), None);
        assert!(refused(1, 50_000).is_some_and(|why| why.contains("50000 are the most with 1 worker")));
        assert_eq!(refused(1000, 40_000), None);
        assert!(
            refused(1500, 40_000).is_some_and(|why| why.contains("27500 are the most with 1500 workers"))
        );
        assert!(refused(3000, 0).is_some_and(|why| why.contains("ask for fewer workers")));
    }
}
