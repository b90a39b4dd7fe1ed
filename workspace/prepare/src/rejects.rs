//! Bad rows: counted by cause, with examples.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use serde_json::{Map, Value, json};
use twinspire_dataset::format::RejectedRows;

use crate::PrepareError;

/// Why a row is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    NullUser,
    NullItem,
    NullAction,
    UndeclaredAction,
    NullTimestamp,
    BadTimestamp,
    TimestampOutOfRange,
    NullOrder,
    BadDuration,
    UnreadableRow,
}

impl Cause {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cause::NullUser => "null_user",
            Cause::NullItem => "null_item",
            Cause::NullAction => "null_action",
            Cause::UndeclaredAction => "undeclared_action",
            Cause::NullTimestamp => "null_timestamp",
            Cause::BadTimestamp => "bad_timestamp",
            Cause::TimestampOutOfRange => "timestamp_out_of_range",
            Cause::NullOrder => "null_order",
            Cause::BadDuration => "bad_duration",
            Cause::UnreadableRow => "unreadable_row",
        }
    }
}

/// Examples kept of a cause.
const EXAMPLES: usize = 1000;

#[derive(Default)]
struct Kept {
    count: u64,
    /// The first ones in the order of their text: the same whichever thread found them first.
    lines: BTreeSet<String>,
}

/// Bad rows by cause.
#[derive(Default)]
pub(crate) struct Rejects {
    causes: Mutex<BTreeMap<Cause, Kept>>,
}

impl Rejects {
    /// A row of a batch with these columns.
    pub(crate) fn row(&self, cause: Cause, file: &str, row: Option<u64>, batch: &RecordBatch, index: usize) {
        let schema = batch.schema();
        let values: Map<String, Value> = schema
            .fields()
            .iter()
            .zip(batch.columns())
            .map(|(field, column)| {
                let value = match column.is_null(index) {
                    true => Value::Null,
                    false => array_value_to_string(column, index).unwrap_or_default().into(),
                };
                (field.name().clone(), value)
            })
            .collect();
        let line = match row {
            Some(row) => json!({"cause": cause.name(), "file": file, "row": row, "values": values}),
            None => json!({"cause": cause.name(), "file": file, "values": values}),
        };
        self.keep(cause, line.to_string());
    }

    /// A row that does not parse.
    pub(crate) fn unreadable(&self, file: &str, row: u64, text: &str, why: &str) {
        let cause = Cause::UnreadableRow;
        let line = json!({"cause": cause.name(), "file": file, "row": row, "values": text, "why": why});
        self.keep(cause, line.to_string());
    }

    /// Rows whose timestamp is out of the range, which shows when all of the log has been read.
    pub(crate) fn times(&self, count: u64, examples: &[i64]) {
        for example in examples {
            let cause = Cause::TimestampOutOfRange;
            self.keep(cause, json!({"cause": cause.name(), "values": {"timestamp": example}}).to_string());
        }
        // The examples have been counted, one each.
        if let Some(kept) = self.lock().get_mut(&Cause::TimestampOutOfRange) {
            kept.count = count;
        }
    }

    fn keep(&self, cause: Cause, line: String) {
        let mut causes = self.lock();
        let kept = causes.entry(cause).or_default();
        kept.count += 1;
        kept.lines.insert(line);
        if kept.lines.len() > EXAMPLES {
            kept.lines.pop_last();
        }
    }

    /// All bad rows.
    pub(crate) fn total(&self) -> u64 {
        self.with(|causes| causes.values().map(|kept| kept.count).sum())
    }

    /// Bad rows of one cause.
    pub(crate) fn count(&self, cause: Cause) -> u64 {
        self.with(|causes| causes.get(&cause).map_or(0, |kept| kept.count))
    }

    /// How many there are of each cause.
    pub(crate) fn counts(&self) -> Vec<RejectedRows> {
        self.with(|causes| {
            let counts = causes.iter();
            counts
                .map(|(cause, kept)| RejectedRows { cause: cause.name().into(), count: kept.count })
                .collect()
        })
    }

    /// Writes the examples, one JSON object a line.
    pub(crate) fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        self.with(|causes| {
            for line in causes.values().flat_map(|kept| &kept.lines) {
                writeln!(out, "{line}")?;
            }
            Ok(())
        })
    }

    /// An error when there are more than the fraction `allowed` of `rows`.
    pub(crate) fn check(&self, rows: u64, allowed: f64) -> Result<(), PrepareError> {
        let bad = self.total();
        if bad == 0 || bad as f64 <= allowed * rows as f64 {
            return Ok(());
        }
        let causes = self.with(|causes| {
            let causes = causes.iter().map(|(cause, kept)| {
                let examples: Vec<&str> = kept.lines.iter().take(3).map(String::as_str).collect();
                format!("  {} {}, for example\n    {}", kept.count, cause.name(), examples.join("\n    "))
            });
            causes.collect()
        });
        Err(PrepareError::TooManyBadRows { bad, rows, allowed, causes })
    }

    fn with<T>(&self, look: impl FnOnce(&BTreeMap<Cause, Kept>) -> T) -> T {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Cause, Kept>> {
        // A thread that panicked while it held the lock left a whole entry or none.
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
