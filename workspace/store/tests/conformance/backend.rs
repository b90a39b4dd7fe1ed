//! What the suite runs on.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use twinspire_store::{MetadataStore, Swap, Version, Write, open};
use twinspire_test_etcd::Cluster;

/// The shortest lease: etcd grants no less than one and a half times what it needs to elect a leader.
pub(crate) const TTL: Duration = Duration::from_secs(2);

/// For what must happen, on a machine that does ten other things.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A store of the test's own: a file, or a prefix in an etcd that tests share.
pub(crate) struct Backend {
    place: String,
    /// A file is open once at a time.
    file: Option<(TempDir, Mutex<Weak<dyn MetadataStore>>)>,
}

pub(crate) fn embedded() -> Option<Backend> {
    let directory = tempfile::tempdir().unwrap();
    let place = format!("file://{}", directory.path().join("new/state.redb").display());
    let nothing: Weak<dyn MetadataStore> = Weak::<twinspire_store::Embedded>::new();
    Some(Backend { place, file: Some((directory, Mutex::new(nothing))) })
}

pub(crate) fn etcd() -> Option<Backend> {
    static ONE: OnceLock<Option<Cluster>> = OnceLock::new();
    shared(ONE.get_or_init(|| Cluster::start(1).unwrap()))
}

pub(crate) fn etcd_of_three() -> Option<Backend> {
    static THREE: OnceLock<Option<Cluster>> = OnceLock::new();
    shared(THREE.get_or_init(|| Cluster::start(3).unwrap()))
}

fn shared(cluster: &Option<Cluster>) -> Option<Backend> {
    static TESTS: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("test-{}", TESTS.fetch_add(1, Ordering::Relaxed));
    Some(Backend { place: cluster.as_ref()?.place(&prefix), file: None })
}

impl Backend {
    pub(crate) fn place(&self) -> &str {
        &self.place
    }

    /// Whether several processes can use it at once.
    pub(crate) fn is_shared(&self) -> bool {
        self.file.is_none()
    }

    /// A client of its own, where there is such a thing.
    pub(crate) async fn open(&self) -> Arc<dyn MetadataStore> {
        let Some((_, opened)) = &self.file else { return open(&self.place).await.unwrap() };
        let mut opened = opened.lock().await;
        if let Some(store) = opened.upgrade() {
            return store;
        }
        let store = open(&self.place).await.unwrap();
        *opened = Arc::downgrade(&store);
        store
    }
}

/// Fails when a test hangs.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    timeout(DEADLINE, work).await.expect("nothing has happened for a minute")
}

/// Waits for a condition.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let end = Instant::now() + DEADLINE;
    while !holds().await {
        assert!(Instant::now() < end, "still not: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn value(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

/// A swap that must be done.
pub(crate) async fn done(
    store: &dyn MetadataStore,
    key: &str,
    expected: Option<Version>,
    value: Option<Vec<u8>>,
) -> Version {
    done_write(store, Write { key, expected, value: value.as_deref(), lease: None, fence: None }).await
}

pub(crate) async fn done_write(store: &dyn MetadataStore, write: Write<'_>) -> Version {
    match store.write(write).await.unwrap() {
        Swap::Done(version) => version,
        conflict => panic!("{}: {conflict:?}", write.key),
    }
}
