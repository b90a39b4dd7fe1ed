//! The prepare task: log -> dataset.

use std::sync::Mutex;

use twinspire_prepare::Phase;
use twinspire_proto::v1::{Prepared, Progress};
use twinspire_storage::Location;

use crate::task::{Reporter, Task, TaskError};

/// Prepares the job's dataset, unless it is there already.
pub(crate) fn run(task: &Task) -> Result<Prepared, TaskError> {
    let runs = Location::parse(&task.places.runs)?;
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
        warnings: prepared.warnings,
    })
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
