//! What can go wrong with a store, by code.

/// Codes of this crate and what they mean, in one line each.
pub const CODES: &[(&str, &str)] = &[
    ("TW5101", "the metadata store cannot be reached or written right now"),
    ("TW5102", "the metadata store is in use by another coordinator"),
    ("TW5103", "the metadata store is damaged or of another version"),
    ("TW5104", "a key or value that no metadata store takes"),
    ("TW5105", "a place that names no metadata store"),
    ("TW5106", "the metadata store refused the user, the password or the certificate"),
    ("TW5107", "a lease had run out before a key could be put under it"),
    ("TW5108", "another coordinator leads now: a write of this one was refused"),
];

/// Why the store could not answer.
#[derive(Clone, Debug, thiserror::Error)]
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

    #[error("`{place}` names no metadata store: {reason}")]
    Place { place: String, reason: String },

    #[error(
        "the metadata store {place} let nobody in: {reason}; check the user, password and certificates of its \
         address"
    )]
    Denied { place: String, reason: String },

    #[error(
        "the lease that `{key}` was to be kept under has run out: its holder was too long without the metadata \
         store; take a new one"
    )]
    LeaseLost { key: String },

    #[error(
        "`{key}` was not written: another coordinator leads now, by `{leader}`; stop writing and campaign again"
    )]
    Deposed { key: String, leader: String },
}

impl StoreError {
    /// The stable code, an entry of [`CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Unavailable { .. } => "TW5101",
            StoreError::InUse { .. } => "TW5102",
            StoreError::Damaged { .. } => "TW5103",
            StoreError::Refused { .. } => "TW5104",
            StoreError::Place { .. } => "TW5105",
            StoreError::Denied { .. } => "TW5106",
            StoreError::LeaseLost { .. } => "TW5107",
            StoreError::Deposed { .. } => "TW5108",
        }
    }

    /// Whether the same call may succeed later. If it was a write, it may also have happened.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Unavailable { .. })
    }
}
