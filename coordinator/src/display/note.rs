//! Lines for people on standard error.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// Writes a line to standard error. That nobody reads it (any more) is no reason to stop training,
/// so it is not an error; `eprintln!` would panic.
pub fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
