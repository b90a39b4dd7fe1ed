use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};

use object_store::client::{HttpError, HttpErrorKind};

use crate::s3::ROLE;

/// Codes of this crate and what they mean, in one line each.
pub const CODES: &[(&str, &str)] = &[
    ("TW3001", "a path or URI that is not a place Twinspire can keep files in"),
    ("TW3002", "S3 settings in the environment that contradict each other or cannot be read"),
    ("TW3003", "no such file or object"),
    ("TW3004", "the bucket does not exist"),
    ("TW3005", "no S3 credentials were found"),
    ("TW3006", "the S3 server refused the credentials"),
    ("TW3007", "permission denied"),
    ("TW3008", "the disk or the bucket's quota is full"),
    ("TW3009", "the storage server could not be reached, or kept failing"),
    ("TW3010", "another storage failure"),
    ("TW3011", "the S3 credentials have expired"),
];

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reading an object or its size.
    Read,
    /// Writing an object.
    Write,
    /// Deleting an object.
    Delete,
    /// Listing a directory.
    List,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Delete => "delete",
            Operation::List => "list",
        })
    }
}

/// Why files could not be reached: which URI, what was tried, why, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "fields are what the message shows")]
pub enum StorageError {
    #[error(
        "`{uri}` is not a place to keep files in: {reason}; give a path, file:///path or s3://bucket/prefix"
    )]
    InvalidUri { uri: String, reason: String },

    #[error("cannot use {uri}: {reason}")]
    Settings { uri: String, reason: String },

    #[error("cannot {operation} {uri}: it does not exist")]
    NotFound { uri: String, operation: Operation },

    #[error(
        "cannot {operation} {uri}: its bucket does not exist; create the bucket, or mend its name, \
         AWS_ENDPOINT_URL or AWS_REGION"
    )]
    BucketMissing { uri: String, operation: Operation },

    #[error(
        "cannot {operation} {uri}: no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY \
         (or give the machine or pod a role); tried the environment and the instance's metadata service: {reason}"
    )]
    CredentialsMissing { uri: String, operation: Operation, reason: String },

    #[error(
        "cannot {operation} {uri}: the server refused the credentials ({reason}); check \
         AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION and the clock"
    )]
    CredentialsRefused { uri: String, operation: Operation, reason: String },

    #[error(
        "cannot {operation} {uri}: the credentials have expired ({reason}); a role's are renewed by themselves, \
         those in AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN by you, with a new start"
    )]
    CredentialsExpired { uri: String, operation: Operation, reason: String },

    #[error(
        "cannot {operation} {uri}: permission denied ({reason}); grant this user {operation} access, \
         or choose another place"
    )]
    PermissionDenied { uri: String, operation: Operation, reason: String },

    #[error("cannot {operation} {uri}: no space left ({reason}); free space, or choose another place")]
    Full { uri: String, operation: Operation, reason: String },

    #[error(
        "cannot {operation} {uri}: the server is out of reach or failing ({reason}); check \
         AWS_ENDPOINT_URL, the network and the server"
    )]
    Unreachable { uri: String, operation: Operation, reason: String },

    #[error("cannot {operation} {uri}: {reason}")]
    Failed { uri: String, operation: Operation, reason: String },
}

impl StorageError {
    /// The stable code, an entry of [`CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            StorageError::InvalidUri { .. } => "TW3001",
            StorageError::Settings { .. } => "TW3002",
            StorageError::NotFound { .. } => "TW3003",
            StorageError::BucketMissing { .. } => "TW3004",
            StorageError::CredentialsMissing { .. } => "TW3005",
            StorageError::CredentialsRefused { .. } => "TW3006",
            StorageError::PermissionDenied { .. } => "TW3007",
            StorageError::Full { .. } => "TW3008",
            StorageError::Unreachable { .. } => "TW3009",
            StorageError::Failed { .. } => "TW3010",
            StorageError::CredentialsExpired { .. } => "TW3011",
        }
    }

    /// Whether the thing asked for is not there (as against: could not be reached).
    pub fn is_not_found(&self) -> bool {
        matches!(self, StorageError::NotFound { .. })
    }

    /// Whether the same call may succeed later without anybody changing the job or its settings.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            StorageError::CredentialsExpired { .. }
                | StorageError::Full { .. }
                | StorageError::Unreachable { .. }
                | StorageError::Failed { .. }
        )
    }

    /// Whether a person has to change something before it can work: the place, the credentials,
    /// the permissions. The rest may pass by itself ([`is_transient`](StorageError::is_transient)).
    pub fn is_user_mistake(&self) -> bool {
        !self.is_transient()
    }

    pub(crate) fn from_io(uri: &str, operation: Operation, error: &io::Error) -> StorageError {
        let (uri, reason) = (uri.to_owned(), error.to_string());
        match error.kind() {
            ErrorKind::NotFound => StorageError::NotFound { uri, operation },
            // A file where a directory was meant has nothing in it.
            ErrorKind::NotADirectory if operation == Operation::Read => {
                StorageError::NotFound { uri, operation }
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                StorageError::PermissionDenied { uri, operation, reason }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                StorageError::Full { uri, operation, reason }
            }
            _ => StorageError::Failed { uri, operation, reason },
        }
    }

    /// object_store's errors name a store and nest what happened; S3 servers put a code into the
    /// body. Both are read here, once; also for those who use [`Location::store`] themselves.
    ///
    /// [`Location::store`]: crate::Location::store
    pub fn from_store(uri: &str, operation: Operation, error: &object_store::Error) -> StorageError {
        if uri.starts_with('/')
            && let Some(io) = cause::<io::Error>(error)
        {
            return StorageError::from_io(uri, operation, io);
        }
        let text = error.to_string();
        let has = |codes: &[&str]| codes.iter().any(|code| text.contains(code));
        let (uri, reason) = (uri.to_owned(), summary(&text));
        if matches!(error, object_store::Error::Generic { store: ROLE, .. }) {
            StorageError::CredentialsMissing { uri, operation, reason }
        } else if has(&["NoSuchBucket"]) {
            StorageError::BucketMissing { uri, operation }
        } else if has(&[
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "NotSignedUp",
            "InvalidToken",
            "RequestTimeTooSkewed",
        ]) {
            StorageError::CredentialsRefused { uri, operation, reason }
        } else if has(&["ExpiredToken", "TokenRefreshRequired"]) {
            StorageError::CredentialsExpired { uri, operation, reason }
        } else if has(&["QuotaExceeded", "StorageFull", "InsufficientStorage", "507 Insufficient"]) {
            StorageError::Full { uri, operation, reason }
        } else if let object_store::Error::NotFound { .. } = error {
            StorageError::NotFound { uri, operation }
        } else if has(&["AccessDenied", "403 Forbidden"]) {
            StorageError::PermissionDenied { uri, operation, reason }
        } else if let object_store::Error::Unauthenticated { .. } = error {
            StorageError::CredentialsRefused { uri, operation, reason }
        } else if is_network(error) {
            StorageError::Unreachable { uri, operation, reason: first_cause(error) }
        } else if has(&["status code: 5", "status code: 429", "SlowDown"]) {
            StorageError::Unreachable { uri, operation, reason }
        } else {
            StorageError::Failed { uri, operation, reason }
        }
    }
}

fn is_network(error: &object_store::Error) -> bool {
    cause::<HttpError>(error).is_some_and(|http| {
        use HttpErrorKind::{Connect, Interrupted, Request, Timeout};
        matches!(http.kind(), Connect | Interrupted | Request | Timeout)
    })
}

/// An error and what it came of, outermost first.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The first error of type `E` among them.
fn cause<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// What all else came of, without those that only passed it on: `Connection refused (os error 111)`.
fn first_cause(error: &object_store::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

/// What an S3 answer says, without its XML: `SlowDown: Please reduce your request rate`.
fn summary(text: &str) -> String {
    let tag = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        Some(rest.split_once("</")?.0.to_owned())
    };
    match (tag("Code"), tag("Message")) {
        (Some(code), Some(message)) if message != code => format!("{code}: {message}"),
        (Some(code), _) => code,
        (None, _) => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
