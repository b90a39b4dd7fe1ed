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

use std::{collections::HashMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use twinspire_control::{Job, JobName, Pool};
use twinspire_job::JobSpec;
use twinspire_store::{MetadataStore, StoreError, Swap, Version};

use super::Happening;
use crate::{ControlError, display::note};

const POOL: &str = "pool";

/// Before a write that failed is tried again: from so long to so long.
const AGAIN: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

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
        found.pool = self.pool().await?;
        Ok(found)
    }

    /// The pool as it was left.
    pub async fn pool(&mut self) -> Result<Pool, ControlError> {
        let Some(store) = &self.store else { return Ok(Pool::default()) };
        let Some(found) = store.get(POOL).await? else { return Ok(Pool::default()) };
        // Known even if it cannot be read: it can be written anew then.
        self.versions.insert(POOL.into(), found.version);
        parse(POOL, &found.value)
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

    /// What happened to a job, in order.
    pub async fn events(&self, name: &str) -> Result<Vec<Happening>, ControlError> {
        let Some(store) = &self.store else { return Ok(Vec::new()) };
        let found = store.range(&format!("events/{name}/")).await?;
        found.into_iter().map(|(key, value)| parse(&key, &value.value)).collect()
    }

    /// Removes what happened to a job.
    pub async fn forget_events(&mut self, name: &str) -> Result<(), ControlError> {
        let Some(store) = self.store.clone() else { return Ok(()) };
        let events = format!("events/{name}/");
        let (found, _) = patiently(|| store.range(&events)).await?;
        for (key, found) in found {
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

    /// Removes everything about a job; the job itself last, so that nothing is left that no job has.
    pub async fn forget(&mut self, name: &str) -> Result<(), ControlError> {
        self.forget_events(name).await?;
        self.write::<Saved>(format!("jobs/{name}"), None).await
    }

    async fn write<T: Serialize>(&mut self, key: String, value: Option<&T>) -> Result<(), ControlError> {
        let Some(store) = &self.store else { return Ok(()) };
        let known = self.versions.get(&key).copied();
        if value.is_none() && known.is_none() {
            return Ok(());
        }
        // Text, numbers and lists: this cannot fail.
        let bytes = value.map(|value| serde_json::to_vec(value).unwrap_or_default());
        match swap(store.as_ref(), &key, known, bytes).await? {
            Some(version) => self.versions.insert(key, version),
            None => self.versions.remove(&key),
        };
        Ok(())
    }
}

/// Writes a value, or removes it: the version there is then.
async fn swap(
    store: &dyn MetadataStore,
    key: &str,
    known: Option<Version>,
    value: Option<Vec<u8>>,
) -> Result<Option<Version>, ControlError> {
    let (swap, is_first_try) = patiently(|| store.compare_and_swap(key, known, value.clone())).await?;
    match swap {
        Swap::Done(version) => Ok(value.map(|_| version)),
        // A try before this one has been done after all.
        Swap::Conflict(now) if !is_first_try && now.as_ref().map(|now| &now.value) == value.as_ref() => {
            Ok(now.map(|now| now.version))
        }
        Swap::Conflict(_) => Err(ControlError::Superseded { key: key.to_owned() }),
    }
}

/// Tries for as long as it takes; what came of it, and whether of the first try. A store that is away for a while, or
/// full, holds up decisions, and no training.
async fn patiently<T, F>(ask: impl Fn() -> F) -> Result<(T, bool), StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut pause = Duration::ZERO;
    loop {
        match ask().await {
            Err(why) if why.is_retryable() => {
                if pause.is_zero() {
                    note(format_args!("WARNING: {why} [{}]; training goes on", why.code()));
                }
                pause = (pause * 2).clamp(AGAIN, LONGEST);
                tokio::time::sleep(pause).await;
            }
            answer => {
                if !pause.is_zero() && answer.is_ok() {
                    note("the metadata store can be used again");
                }
                return answer.map(|answer| (answer, pause.is_zero()));
            }
        }
    }
}

fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, ControlError> {
    serde_json::from_slice(value)
        .map_err(|why| ControlError::BadRecord { key: key.to_owned(), why: why.to_string() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicU32, Ordering};

    use twinspire_control::Generation;
    use twinspire_store::{Embedded, Lease, Versioned, Watch, Write};

    use super::*;

    /// A store that says of the first writes that they failed; every other one of those is done all the same.
    struct Flaky {
        store: Embedded,
        failures: AtomicU32,
    }

    #[async_trait::async_trait]
    impl MetadataStore for Flaky {
        async fn write(&self, write: Write<'_>) -> Result<Swap, StoreError> {
            let left = self.failures.load(Ordering::Relaxed);
            if left == 0 {
                return self.store.write(write).await;
            }
            self.failures.store(left - 1, Ordering::Relaxed);
            if left.is_multiple_of(2) {
                self.store.write(write).await?;
            }
            Err(StoreError::Unavailable { place: "flaky".into(), reason: "a fault".into() })
        }

        async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError> {
            self.store.get(key).await
        }

        async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError> {
            self.store.range(prefix).await
        }

        async fn watch(&self, prefix: &str) -> Result<Watch, StoreError> {
            self.store.watch(prefix).await
        }

        async fn lease(&self, ttl: Duration) -> Result<Lease, StoreError> {
            self.store.lease(ttl).await
        }
    }

    #[tokio::test]
    async fn a_store_in_trouble_is_tried_until_it_has_everything_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = Embedded::open(&dir.path().join("state.redb")).await.unwrap();
        let flaky = Arc::new(Flaky { store: store.clone(), failures: AtomicU32::new(0) });
        let mut records = Records::over(flaky.clone());
        for generation in 1..=3 {
            flaky.failures.store(generation, Ordering::Relaxed);
            let pool = Pool { generation: Generation(generation.into()), ..Pool::default() };
            records.put_pool(&pool).await.unwrap();
            assert_eq!(Records::over(Arc::new(store.clone())).pool().await.unwrap(), pool);
        }
        // Others are not written over.
        let mut other = Records::over(Arc::new(store.clone()));
        other.read().await.unwrap();
        other.put_pool(&Pool::default()).await.unwrap();
        flaky.failures.store(1, Ordering::Relaxed);
        let refused = records.put_pool(&Pool { submitted: 9, ..Pool::default() }).await.unwrap_err();
        assert!(matches!(refused, ControlError::Superseded { .. }), "{refused}");
    }

    #[tokio::test]
    async fn who_comes_later_goes_on_from_the_records() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.redb");
        for generation in 0..3 {
            let mut records = Records::over(Arc::new(Embedded::open(&path).await.unwrap()));
            let pool = records.pool().await.unwrap();
            assert_eq!(pool.generation, Generation(generation));
            let pool = Pool { generation: Generation(generation + 1), ..pool };
            records.put_pool(&pool).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_wrote_last_is_the_only_one_who_writes_on() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(&dir.path().join("state.redb")).await.unwrap());
        let (mut one, mut other) = (Records::over(store.clone()), Records::over(store));
        one.put_pool(&Pool::default()).await.unwrap();
        other.read().await.unwrap();
        other.put_pool(&Pool::default()).await.unwrap();
        let refused = one.put_pool(&Pool::default()).await.unwrap_err();
        assert!(matches!(refused, ControlError::Superseded { .. }), "{refused}");
    }
}
