//! How far it has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The log is read; rows and bytes are the log's.
    Reading,
    /// Users' actions are put in order and split.
    Sorting,
    /// The catalogue is read.
    Catalogue,
    /// The dataset is written; rows are actions written.
    Writing,
}

impl Phase {
    /// In a word, for a progress line.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Reading => "reading",
            Phase::Sorting => "sorting",
            Phase::Catalogue => "catalogue",
            Phase::Writing => "writing",
        }
    }
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Rows done in this phase.
    pub rows: u64,
    /// Bytes of the inputs read.
    pub bytes: u64,
    /// Bytes of all inputs.
    pub total_bytes: u64,
}

type Tell = dyn Fn(Progress) + Send + Sync;

/// Counts and tells.
#[derive(Clone)]
pub(crate) struct Meter {
    tell: Arc<Tell>,
    phase: Phase,
    rows: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
    total_bytes: u64,
}

impl Meter {
    pub(crate) fn new(tell: Arc<Tell>, total_bytes: u64) -> Meter {
        Meter { tell, phase: Phase::Reading, rows: Arc::default(), bytes: Arc::default(), total_bytes }
    }

    /// The meter of another phase: bytes go on, rows begin at 0.
    pub(crate) fn phase(&self, phase: Phase) -> Meter {
        let meter = Meter { phase, rows: Arc::default(), ..self.clone() };
        meter.add(0, 0);
        meter
    }

    pub(crate) fn add(&self, rows: u64, bytes: u64) {
        let rows = self.rows.fetch_add(rows, Ordering::Relaxed) + rows;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        (self.tell)(Progress {
            phase: self.phase,
            rows,
            bytes: bytes.min(self.total_bytes),
            total_bytes: self.total_bytes,
        });
    }
}
