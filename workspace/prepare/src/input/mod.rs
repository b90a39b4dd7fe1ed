//! Which files a job's uris mean.

mod format;
mod resolve;

use twinspire_storage::Location;

pub(crate) use format::{Compression, Format};
pub(crate) use resolve::resolve;

/// Which part of the log a file belongs to; only a split by files has more than training rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Train = 0,
    Validation = 1,
    Test = 2,
}

/// One input file.
#[derive(Clone, Debug)]
pub(crate) struct InputFile {
    /// The file, as a location (its path within the store is the object's).
    pub(crate) location: Location,
    pub(crate) size: u64,
    /// What changes when the content does: the ETag of an object, the modification time of a file.
    pub(crate) version: String,
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    pub(crate) part: Part,
    /// Section of the job file that names it: `log` or `catalogue`.
    pub(crate) section: &'static str,
}

impl InputFile {
    pub(crate) fn uri(&self) -> &str {
        self.location.uri()
    }
}
