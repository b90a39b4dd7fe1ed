//! What is kept in the metadata store.
//!
//! | key | value |
//! |---|---|
//! | `jobs/{name}` | [`Saved`]: the job's spec and everything decided about it |
//! | `events/{name}/{sequence}` | a [`Happening`] |
//! | `pool` | drained workers, jobs ever submitted |
//!
//! Every write is a compare-and-swap against the version this coordinator knows: one that does not
//! lead any more finds out by its first write.

use std::{collections::HashMap, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use twinspire_control::{Job, JobName, Pool};
use twinspire_job::JobSpec;
use twinspire_store::{MetadataStore, Swap, Version};

use super::Happening;
use crate::ControlError;

const POOL: &str = "pool";

/// A job as it was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// What it was submitted with.
    pub spec: JobSpec,
    /// Everything decided about it.
    pub job: Job,
}

/// The records of all jobs, or of none: some work leaves no trace.
pub struct Records {
    store: Option<Arc<dyn MetadataStore>>,
    versions: HashMap<String, Version>,
}

/// All that was recorded.
#[derive(Default)]
pub struct Found {
    /// The jobs.
    pub jobs: Vec<Saved>,
    /// What happened to each, in order.
    pub events: HashMap<JobName, Vec<Happening>>,
    /// The pool.
    pub pool: Pool,
}

impl Records {
    /// Keeps nothing.
    pub fn nothing() -> Records {
        Records { store: None, versions: HashMap::new() }
    }

    /// Keeps everything in a store.
    pub fn over(store: Arc<dyn MetadataStore>) -> Records {
        Records { store: Some(store), versions: HashMap::new() }
    }

    /// Reads everything.
    pub async fn read(&mut self) -> Result<Found, ControlError> {
        let Some(store) = self.store.clone() else { return Ok(Found::default()) };
        let mut found = Found::default();
        for (key, value) in store.range("jobs/").await? {
            found.jobs.push(parse(&key, &value.value)?);
            self.versions.insert(key, value.version);
        }
        for (key, value) in store.range("events/").await? {
            if let Some((job, _)) = key["events/".len()..].split_once('/') {
                found.events.entry(job.into()).or_default().push(parse(&key, &value.value)?);
            }
            self.versions.insert(key, value.version);
        }
        if let Some(pool) = store.get(POOL).await? {
            found.pool = parse(POOL, &pool.value)?;
            self.versions.insert(POOL.into(), pool.version);
        }
        Ok(found)
    }

    /// A job as it was left.
    pub async fn job(&mut self, name: &str) -> Result<Option<Saved>, ControlError> {
        let Some(store) = &self.store else { return Ok(None) };
        let key = format!("jobs/{name}");
        let Some(found) = store.get(&key).await? else { return Ok(None) };
        // Known even if it cannot be read: it can be forgotten then.
        self.versions.insert(key.clone(), found.version);
        Ok(Some(parse(&key, &found.value)?))
    }

    /// Removes what happened to a job.
    pub async fn forget_events(&mut self, name: &str) -> Result<(), ControlError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        for (key, found) in store.range(&format!("events/{name}/")).await? {
            self.versions.insert(key.clone(), found.version);
            self.write::<Happening>(key, None).await?;
        }
        Ok(())
    }

    pub(super) async fn put_job(&mut self, job: &Job, spec: &JobSpec) -> Result<(), ControlError> {
        let saved = Saved { spec: spec.clone(), job: job.clone() };
        self.write(format!("jobs/{}", job.name()), Some(&saved)).await
    }

    pub(super) async fn put_pool(&mut self, pool: &Pool) -> Result<(), ControlError> {
        self.write(POOL.into(), Some(pool)).await
    }

    pub(super) async fn put_event(&mut self, job: &JobName, event: &Happening) -> Result<(), ControlError> {
        let key = |sequence: u64| format!("events/{job}/{sequence:010}");
        self.write(key(event.sequence), Some(event)).await?;
        match event.sequence.checked_sub(super::board::EVENTS as u64) {
            Some(old) if old > 0 => self.write::<Happening>(key(old), None).await,
            _ => Ok(()),
        }
    }

    /// Removes everything about a job.
    pub async fn forget(&mut self, name: &str) -> Result<(), ControlError> {
        self.write::<Saved>(format!("jobs/{name}"), None).await?;
        self.forget_events(name).await
    }

    async fn write<T: Serialize>(&mut self, key: String, value: Option<&T>) -> Result<(), ControlError> {
        let Some(store) = &self.store else { return Ok(()) };
        let known = self.versions.get(&key).copied();
        if value.is_none() && known.is_none() {
            return Ok(());
        }
        // Text, numbers and lists: this cannot fail.
        let bytes = value.map(|value| serde_json::to_vec(value).unwrap_or_default());
        match store.compare_and_swap(&key, known, bytes).await? {
            Swap::Done(version) if value.is_some() => self.versions.insert(key, version),
            Swap::Done(_) => self.versions.remove(&key),
            Swap::Conflict(_) => return Err(ControlError::Superseded { key }),
        };
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, ControlError> {
    serde_json::from_slice(value)
        .map_err(|why| ControlError::BadRecord { key: key.to_owned(), why: why.to_string() })
}
