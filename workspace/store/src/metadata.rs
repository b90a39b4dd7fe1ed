use async_trait::async_trait;

/// Bytes of a value at most, in every implementation: plans and manifests live in object storage.
pub const MAX_VALUE: usize = 100_000;

/// Codes of this crate and what they mean, in one line each.
pub const CODES: &[(&str, &str)] = &[
    ("TW5101", "the metadata store cannot be reached or written right now"),
    ("TW5102", "the metadata store is in use by another coordinator"),
    ("TW5103", "the metadata store is damaged or of another version"),
    ("TW5104", "a key or value that no metadata store takes"),
];

/// A key's version: grows with every write of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A value and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned {
    /// Version.
    pub version: Version,
    /// Value.
    pub value: Vec<u8>,
}

/// What became of a compare-and-swap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Swap {
    /// Done; the key's version now, or that of its deletion.
    Done(Version),
    /// The key has another version than expected: this one, or it is not there.
    Conflict(Option<Versioned>),
}

/// A store of small values under ordered keys, such as `jobs/beauty/generation`.
#[async_trait]
pub trait MetadataStore: Send + Sync {
    /// The value of `key`.
    async fn get(&self, key: &str) -> Result<Option<Versioned>, StoreError>;

    /// Writes `value` to `key` (`None` deletes it) if its version is `expected` (`None`: if it is
    /// not there). The only write there is.
    async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: Option<Vec<u8>>,
    ) -> Result<Swap, StoreError>;

    /// All keys that begin with `prefix`, in order, as of one moment.
    async fn range(&self, prefix: &str) -> Result<Vec<(String, Versioned)>, StoreError>;
}

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields are what the message shows")]
pub enum StoreError {
    #[error("the metadata store {place} cannot be used now: {reason}; it is tried again")]
    Unavailable { place: String, reason: String },

    #[error(
        "the metadata store {place} is in use by another coordinator: stop that one, or give this \
         one a place of its own"
    )]
    InUse { place: String },

    #[error(
        "the metadata store {place} is damaged: {reason}; restore it from a copy, or delete it to forget all jobs"
    )]
    Damaged { place: String, reason: String },

    #[error("the key `{key}` cannot be stored: {reason}")]
    Refused { key: String, reason: String },
}

impl StoreError {
    /// The stable code, an entry of [`CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Unavailable { .. } => "TW5101",
            StoreError::InUse { .. } => "TW5102",
            StoreError::Damaged { .. } => "TW5103",
            StoreError::Refused { .. } => "TW5104",
        }
    }

    /// Whether the same call may succeed later. If it was a swap, it may also have happened.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. })
    }
}

/// What every implementation checks before a write.
pub(crate) fn check(key: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
    let refused = |reason: String| Err(StoreError::Refused { key: key.to_owned(), reason });
    let bytes = value.map_or(0, <[u8]>::len);
    if key.is_empty() {
        refused("a key has at least one character".into())
    } else if bytes > MAX_VALUE {
        refused(format!(
            "its value has {bytes} bytes, {MAX_VALUE} are the most; large things belong into object storage"
        ))
    } else {
        Ok(())
    }
}
