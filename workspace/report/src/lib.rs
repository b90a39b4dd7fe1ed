//! What a run tells about itself: metrics as JSON lines, TensorBoard event files, evaluation
//! reports.
//!
//! ```text
//! runs/beauty/metrics.jsonl                   MetricsFile: one JSON object a line, no step twice
//! runs/beauty/tensorboard/events.out.tfevents… EventFile: a new file a start
//! runs/beauty/evaluation-test.json            EvaluationReport, and the same as a table
//! ```
//!
//! A run may be killed and resumed at an earlier step. [`MetricsFile::open`] and
//! [`EventFile::create`] are given that step: what was written beyond it is dropped from the one,
//! and TensorBoard is told by the other to forget it.

#![forbid(unsafe_code)]

mod appender;
mod error;
mod evaluation;
mod events;
mod metrics;
mod names;

pub use error::{CODES, ReportError};
pub use evaluation::{EvaluationReport, Metrics, Split};
pub use events::EventFile;
pub use metrics::{EvaluationRecord, MetricsFile, Record, TrainRecord};
pub use names::{later_evaluation, own_evaluation};
