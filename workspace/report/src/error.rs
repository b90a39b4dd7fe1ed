use std::io;
use std::path::{Path, PathBuf};

/// Codes of this crate and what they mean, in one line each.
pub const CODES: &[(&str, &str)] = &[("TW3201", "a metrics or event file cannot be read or written")];

/// Why a run's output could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}; check the directory, its permissions and the disk", path.display())]
pub struct ReportError {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ReportError {
    /// The stable code, an entry of [`CODES`].
    pub fn code(&self) -> &'static str {
        "TW3201"
    }

    /// Whether there may be room later.
    pub fn is_for_want_of_room(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether somebody has to mend it: it may not be written here.
    pub fn is_user_mistake(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
    }

    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> ReportError {
        move |source| ReportError { operation: "read", path: path.to_owned(), source }
    }

    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> ReportError {
        move |source| ReportError { operation: "write", path: path.to_owned(), source }
    }
}
