//! The control plane: what decides ([`core`]), what carries out ([`shell`]), what people see
//! ([`display`]) and what they type ([`cli`]).
//!
//! ```text
//!            cli (verbs, exit codes)
//!             |                 display (progress line)
//!             v                    ^
//!   shell::Engine  -- events -->  core::State  (pure)
//!     |  |  |  |  <-- commands --
//!     |  |  |  signals (Ctrl-C)
//!     |  |  recorder (state store)
//!     |  processes (worker 0..n)
//!     server (gRPC)
//! ```
//! This crate links neither libtorch nor DataFusion: all heavy work is done by workers.

// They panic when nobody reads: results go through `cli::out`, notes through `display::note`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod cli;
pub mod core;
pub mod display;
mod error;
mod local;
pub mod shell;

pub use error::{CODES, ControlError};
