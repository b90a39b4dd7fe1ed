//! The coordinator's mind: a pure state machine, `(state, event, now) -> (state, commands)`.
//!
//! No I/O, no clock, no threads: everything that is decided about jobs and workers is decided
//! here, and every decision comes with a reason a person can read. The shell around it turns
//! connections, requests and ticks into [`Event`]s, and carries out [`Command`]s in the order they
//! are given.
//!
//! ```text
//!            submit                 workers are there               all stages done
//!   (none) ─────────► pending ─────────────────────► preparing │ running │ evaluating │ exporting ──► succeeded
//!                      ▲  ▲ ▲      lost worker, preempted, grown, drained │
//!                      │  │ └──────────────────────────────────────────────┤
//!               resume │  │ retry                              cannot go on └──► failed
//!                   paused└──────── failed, cancelled
//! ```
//!
//! A job's plan is a list of [`Stage`]s. Each is a task leased to some workers: an [`Attempt`],
//! which has a generation of its own.
//!
//! # What always holds
//! Tests and the simulator cite the letters.
//!
//! - **A** Generations only grow, and no two attempts of any jobs share one; a message of another
//!   generation than the attempt's changes nothing about it.
//! - **B** Within an attempt, every lane is held by exactly one rank, and every rank by one worker;
//!   a worker has one task at most.
//! - **C** A checkpoint is committed only when every rank of one attempt wrote its part of that step.
//! - **D** Retries without a newer checkpoint or a finished stage are bounded: every job ends.
//! - **E** A job in a final phase changes only when somebody asks for it.
//! - **F** What is decided is recorded before anybody is told: a coordinator that dies at any point
//!   is replaced by one that goes on from the records, and nothing that was answered is lost.
//! - **G** No job waits for workers that are free for it and held for nobody else; but for a moment,
//!   when more of them are on their way.
//! - **H** A job does not start before one of higher priority that could have had its workers, and
//!   no job waits for ever for workers that later jobs keep taking.
//!
//! # The rooms
//! [`State`] is the whole. `verbs` are what people ask; `membership` is workers that come and go,
//! `listening` what they say, `clock` what time does; `failing` and `finishing` are what becomes of a
//! job. `queue` decides who gets which workers, from counts alone; `schedule` and `leasing` carry that
//! out; `readiness` has newcomers prepared, `fitness` says who is left out, and `stragglers` sees who is slow. `crew`
//! and `seats` find things among thousands.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod attempt;
mod clock;
mod command;
mod crew;
mod event;
mod failing;
mod failure;
mod fault;
mod finishing;
mod fitness;
mod ids;
mod job;
mod lanes;
mod leasing;
mod listening;
mod member;
mod membership;
mod policy;
mod queue;
mod readiness;
mod refusal;
mod schedule;
mod seats;
mod shares;
mod stage;
mod state;
mod stragglers;
#[cfg(test)]
mod tests;
mod verbs;
mod worker;

pub use attempt::{Attempt, Ending};
pub use command::{Answer, Assignment, Command, Notice, Order};
pub use event::{
    Event, FromWorker, Membership, Progress, Registration, Spent, Started, TaskResult, Training, Validated,
    Verb,
};
pub use failure::{Failure, FailureKind};
pub use fault::Fault;
pub use fitness::Unfit;
pub use ids::{Generation, Incarnation, JobName, Rank, Session, Time, WorkerName};
pub use job::{Interruption, Job, Request, Wish};
pub use member::{Member, NoMember};
pub use policy::{Limits, Policy, Timeouts};
pub use readiness::Readiness;
pub use refusal::{CODES, Refusal};
pub use stage::{Device, DeviceWish, Phase, Split, Stage};
pub use state::{Pool, State};
pub use stragglers::Stragglers;
pub use worker::Worker;
