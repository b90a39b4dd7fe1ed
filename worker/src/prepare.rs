//! The prepare task: log -> dataset.

use std::sync::Mutex;

use twinspire_checkpoint::{CheckpointStore, Retention};
use twinspire_prepare::Phase;
use twinspire_proto::v1::{Prepared, Progress};
use twinspire_storage::Location;

use crate::model::identity;
use crate::task::{Reporter, Task, TaskError};

/// Prepares the job's dataset, unless it is there already. A job that has checkpoints goes on with
/// the dataset they were trained on, whatever became of the log.
pub(crate) fn run(task: &Task) -> Result<Prepared, TaskError> {
    let runs = Location::parse(&task.places.runs)?;
    if let Some(begun) = task.runtime.block_on(begun_with(task, &runs))? {
        return Ok(begun);
    }
    let doubts = task.runtime.block_on(doubts_about(&Location::parse(&task.places.checkpoints)?))?;
    let reporter = Mutex::new(Reporter::new(&task.link));
    // Told from several threads, very often: whoever finds it taken has nothing new to say.
    let tell = move |progress| {
        if let Ok(mut reporter) = reporter.try_lock() {
            reporter.report(|| as_message(&progress));
        }
    };
    let prepared = task.block_on(twinspire_prepare::prepare(&task.spec, &runs, tell))??;
    Ok(Prepared {
        dataset_uri: prepared.location.uri().to_owned(),
        fingerprint: prepared.manifest.fingerprint,
        reused: prepared.reused,
        warnings: prepared.warnings.into_iter().chain(doubts).collect(),
    })
}

/// What is to be known of a place in a bucket. Better an error now than at the first checkpoint.
async fn doubts_about(checkpoints: &Location) -> Result<Option<String>, TaskError> {
    if checkpoints.local_path().is_some() || checkpoints.probe().await?.conditional_create {
        return Ok(None);
    }
    Ok(Some(format!(
        "the storage of {} does not honour conditional writes (If-None-Match): see that only one coordinator at a \
         time writes checkpoints there",
        checkpoints.uri()
    )))
}

/// The dataset of the job's newest checkpoint, when it is still there.
async fn begun_with(task: &Task, runs: &Location) -> Result<Option<Prepared>, TaskError> {
    let place = Location::parse(&task.places.checkpoints)?;
    let newest = CheckpointStore::new(place, Retention::default()).latest_whole().await?;
    let Some(newest) = newest.filter(|newest| newest.spec_fingerprint == identity(&task.spec)) else {
        return Ok(None);
    };
    let Some(found) = twinspire_prepare::find(&newest.dataset_fingerprint, runs).await? else {
        return Ok(None);
    };
    let mut warnings = found.warnings;
    match twinspire_prepare::fingerprint(&task.spec).await {
        Ok(now) if now == found.manifest.fingerprint => {}
        Ok(_) => warnings.push(
            "the log or the catalogue has changed since the job began; it goes on with what it began with. To \
             train on what is there now, start over with --fresh or give the job another name"
                .into(),
        ),
        Err(why) => {
            warnings.push(format!("the job goes on with the dataset it began with, as its inputs fail: {why}"));
        }
    }
    Ok(Some(Prepared {
        dataset_uri: found.location.uri().to_owned(),
        fingerprint: found.manifest.fingerprint,
        reused: true,
        warnings,
    }))
}

fn as_message(progress: &twinspire_prepare::Progress) -> Progress {
    let stage = match progress.phase {
        Phase::Reading => "reading the log",
        Phase::Sorting => "putting actions in order",
        Phase::Catalogue => "reading the catalogue",
        Phase::Writing => "writing the dataset",
    };
    // Bytes say how much of the log is left; rows only how much was done.
    let (done, total, unit) = match progress.phase {
        Phase::Reading if progress.total_bytes > 0 => {
            (progress.bytes / 1_000_000, progress.total_bytes.div_ceil(1_000_000), "MB")
        }
        _ => (progress.rows, 0, "rows"),
    };
    Progress { stage: stage.into(), done, total, unit: unit.into(), training: None }
}
