//! The control plane: what carries decisions out ([`service`]), what people see ([`display`]) and
//! what they type ([`cli`]). What decides is a crate of its own, `twinspire_control`.
//!
//! ```text
//!   cli: submit, list, …  ──► client ── gRPC ──►┐
//!   cli: serve ─────────────────────────────────┤
//!   cli: local ──► local (worker processes) ────┴─► service ──► twinspire_control (pure)
//!                    └──► display (progress line)      │
//!                                                      └──► metadata store, storage, workers
//! ```
//! This crate links neither libtorch nor DataFusion: all heavy work is done by workers.

// They panic when nobody reads: results go through `cli::out`, notes through `display::note`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod chaos;
pub mod cli;
mod client;
pub mod display;
mod error;
mod local;
mod serve;
pub mod service;
mod submit;
mod watch;

pub use error::{CODES, ControlError};
