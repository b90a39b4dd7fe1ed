//! The coordinator's mind: a pure state machine, `(state, event, now) -> (state, commands)`.
//!
//! No I/O, no clock, no threads: everything that is decided about a job is decided here, and every
//! decision comes with a reason a person can read. The shell around it (`crate::shell`) turns
//! connections, processes and ticks into [`Event`]s and carries out [`Command`]s in the order they
//! are given.
//!
//! ```text
//! pending -> preparing -> running -> evaluating -> exporting -> succeeded
//!                |           |            |            |
//!                +-----------+------------+------------+-----> failed(code, reason) | stopped
//! ```
//!
//! A job's plan is a list of [`Stage`]s. Each is a task leased to some workers: an [`Attempt`],
//! which has a generation of its own. What must always hold (tests cite the letters):
//!
//! - **A** Generations only grow; a message of another generation than the attempt's changes nothing.
//! - **B** Within an attempt, every lane is held by exactly one rank, and every rank by one worker.
//! - **C** A checkpoint is committed only when every rank of one attempt wrote its part of that step.
//! - **D** Retries without a newer checkpoint or a finished stage are bounded: the job always ends.
//! - **E** After [`Command::Finish`] nothing more is decided.
//! - **F** What is recorded is recorded before anybody is told.

mod attempt;
mod command;
mod event;
mod failure;
mod ids;
mod lanes;
mod machine;
mod stage;
mod timeouts;

#[cfg(test)]
mod tests;

pub use attempt::Attempt;
pub use command::{Assignment, Command, Notice, Order, Outcome, Record};
pub use event::{Event, FromWorker, Progress, Started, TaskResult, Training, Validated};
pub use failure::{Failure, FailureKind};
pub use ids::{Generation, Launch, Rank, WorkerId};
pub use lanes::deal;
pub use machine::{Setup, State};
pub use stage::{Phase, Split, Stage};
pub use timeouts::Timeouts;
