//! What is kept of a job between runs of the coordinator.

use std::{path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};
use twinspire_job::JobSpec;
use twinspire_store::{Embedded, MetadataStore, StoreError, Swap, Version};

use super::Places;
use crate::{
    ControlError,
    core::{Generation, Phase, Record},
};

/// A job as it was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// What it was run with.
    pub spec: JobSpec,
    /// Where it was.
    pub record: Record,
}

/// Keeps a job's record in a state store: compare-and-swap on one key, `jobs/{name}`.
pub struct Keep {
    inner: Option<Inner>,
}

struct Inner {
    store: Arc<dyn MetadataStore>,
    path: PathBuf,
    job: String,
    version: Option<Version>,
    saved: Option<Saved>,
}

impl Keep {
    /// Keeps nothing: for work that leaves the job where it is.
    pub fn nothing() -> Keep {
        Keep { inner: None }
    }

    /// Opens the job's state file, which only one coordinator at a time can.
    pub async fn open(places: &Places, job: &str) -> Result<Keep, ControlError> {
        let path = places.state_file();
        let store = match Embedded::open(&path).await {
            Ok(store) => Arc::new(store),
            Err(error @ StoreError::InUse { .. }) => {
                return Err(ControlError::Busy { job: job.into(), why: error.to_string() });
            }
            Err(source) => return Err(ControlError::Store { job: job.into(), path, source }),
        };
        Keep::over(store, path, job).await
    }

    async fn over(store: Arc<dyn MetadataStore>, path: PathBuf, job: &str) -> Result<Keep, ControlError> {
        let mut inner = Inner { store, path, job: job.into(), version: None, saved: None };
        let stored = inner.store.get(&inner.key()).await.map_err(|source| inner.failed(source))?;
        if let Some(stored) = stored {
            inner.version = Some(stored.version);
            inner.saved =
                Some(serde_json::from_slice(&stored.value).map_err(|why| ControlError::Unreadable {
                    path: inner.path.clone(),
                    what: "the state of a job",
                    why: why.to_string(),
                })?);
        }
        Ok(Keep { inner: Some(inner) })
    }

    /// The job as it was left, if it was run before.
    pub fn saved(&self) -> Option<&Saved> {
        self.inner.as_ref()?.saved.as_ref()
    }

    /// The job begins, with this spec.
    pub async fn begin(&mut self, spec: &JobSpec, generation: Generation) -> Result<(), ControlError> {
        let record = Record {
            phase: Phase::Pending,
            reason: "accepted".into(),
            generation,
            checkpoint: self.saved().and_then(|saved| saved.record.checkpoint),
            dataset_uri: None,
            failure: None,
        };
        self.write(Saved { spec: spec.clone(), record }).await
    }

    /// Where the job is now.
    pub(crate) async fn record(&mut self, record: &Record) -> Result<(), ControlError> {
        let Some(saved) = self.saved() else { return Ok(()) };
        let saved = Saved { spec: saved.spec.clone(), record: record.clone() };
        self.write(saved).await
    }

    /// The job was never run.
    pub async fn forget(&mut self) -> Result<(), ControlError> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        if let Some(version) = inner.version.take() {
            let deleted = inner.store.compare_and_swap(&inner.key(), Some(version), None).await;
            deleted.map_err(|source| inner.failed(source))?;
        }
        inner.saved = None;
        Ok(())
    }

    async fn write(&mut self, saved: Saved) -> Result<(), ControlError> {
        let Some(inner) = &mut self.inner else { return Ok(()) };
        // Text, numbers and lists: this cannot fail.
        let value = serde_json::to_vec(&saved).unwrap_or_default();
        let swapped = inner.store.compare_and_swap(&inner.key(), inner.version, Some(value)).await;
        match swapped.map_err(|source| inner.failed(source))? {
            Swap::Done(version) => {
                inner.version = Some(version);
                inner.saved = Some(saved);
                Ok(())
            }
            Swap::Conflict(_) => Err(ControlError::Busy {
                job: inner.job.clone(),
                why: "its state was changed by somebody else".into(),
            }),
        }
    }
}

impl Inner {
    fn key(&self) -> String {
        format!("jobs/{}", self.job)
    }

    fn failed(&self, source: StoreError) -> ControlError {
        ControlError::Store { job: self.job.clone(), path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use twinspire_job::JobFile;

    use super::*;

    fn places(dir: &std::path::Path) -> (Places, JobSpec) {
        let text = format!(
            "name: beauty\nruns: {}\nlog: {{uri: events.parquet}}\n\
             towers: {{item: {{encoder: id, id_embedding: table}}}}\n",
            dir.display()
        );
        let spec = JobFile::parse(&text, "job.yaml", &[]).unwrap().into_spec();
        (Places::of(&spec), spec)
    }

    #[tokio::test]
    async fn a_job_is_found_as_it_was_left_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (places, spec) = places(dir.path());
        let mut keep = Keep::open(&places, "beauty").await.unwrap();
        assert_eq!(keep.saved(), None);
        keep.begin(&spec, Generation(3)).await.unwrap();
        let record = Record {
            phase: Phase::Running,
            generation: Generation(4),
            ..keep.saved().unwrap().record.clone()
        };
        keep.record(&record).await.unwrap();
        drop(keep);

        let mut keep = Keep::open(&places, "beauty").await.unwrap();
        assert_eq!(keep.saved(), Some(&Saved { spec, record }));
        keep.forget().await.unwrap();
        drop(keep);
        assert_eq!(Keep::open(&places, "beauty").await.unwrap().saved(), None);
    }

    #[tokio::test]
    async fn one_coordinator_at_a_time_has_a_job() {
        let dir = tempfile::tempdir().unwrap();
        let (places, _) = places(dir.path());
        let _first = Keep::open(&places, "beauty").await.unwrap();
        let error = Keep::open(&places, "beauty").await.err().unwrap();
        assert_eq!(error.code(), "TW5007");
    }
}
