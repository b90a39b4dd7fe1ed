//! The worker processes of one machine: one per device, started, watched, started again, ended.
//!
//! ```text
//!   worker --coordinator URL          coordinator local job.yaml
//!        (the parent of its own)            (a job on this machine)
//!                 └───────────────┬───────────────┘
//!                            Supervisor
//!                    │            │            │
//!               child cpu    child cuda:0   child cuda:1
//! ```
//!
//! - [`Devices`], [`seats`]: what this machine computes on, and so which workers it gets.
//! - [`Supervisor`]: a process for each, started again when it ends before it should.
//! - [`tail`]: the last a process wrote.
//! - [`kill_this_process`], [`pause_this_process`]: faults on purpose.
//! - [`Requests`]: Ctrl-C and SIGTERM, as whoever keeps children hears them.
//!
//! # What holds
//! 1. A child ends when its parent does, however that ends, `kill -9` included: its standard input
//!    is a pipe from the parent that nothing is ever written to. The child must heed that it
//!    closes; [`Seat::child`] tells workers to.
//! 2. The end of a child is told before the next one of its name is started.
//! 3. A child in a process group of its own hears no Ctrl-C: its parent decides what that means.

#![forbid(unsafe_code)]

mod child;
mod devices;
mod ended;
mod error;
mod log;
mod requests;
mod restarts;
mod seats;
mod suffer;
mod supervisor;

pub use child::Child;
pub use devices::{Device, Devices, DevicesError, gpus};
pub use ended::Exit;
pub use error::{CODES, ProcessError};
pub use log::tail;
pub use requests::{ONE_REQUEST, Requests};
pub use restarts::RESTART;
pub use rustix::process::Signal;
pub use seats::{Seat, seats};
pub use suffer::{kill_this_process, pause_this_process};
pub use supervisor::Supervisor;
