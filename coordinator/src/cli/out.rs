//! What commands write to standard output: their results, and nothing else.
//!
//! `println!` panics when nobody reads any more, as in `coordinator audit beauty -o json | head -1`.
//! Whoever closes the pipe has read all they want: the rest is not written, and the command ends
//! with the exit code it would have had. (SIGPIPE stays ignored, as Rust has it: given back its
//! default, a worker that hangs up its socket would end the coordinator.)

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use serde_json::Value;

use super::CliError;
use crate::ControlError;

/// Writes a line.
pub(super) fn line(line: impl Display) -> Result<(), CliError> {
    text(format_args!("{line}\n"))
}

/// Writes a text as it stands.
pub(super) fn text(text: impl Display) -> Result<(), CliError> {
    to_a_reader(text).map(drop)
}

/// Writes a text as it stands; whether anybody reads it, for commands that would write for ever.
pub(super) fn to_a_reader(text: impl Display) -> Result<bool, CliError> {
    let written = write(&mut io::stdout().lock(), &text.to_string());
    written.map_err(|source| {
        ControlError::File { action: "write", path: "standard output".into(), source }.into()
    })
}

/// Writes a value, for programs.
pub(super) fn json(value: &Value) -> Result<(), CliError> {
    line(format_args!("{value:#}"))
}

/// Whether somebody reads it.
fn write(to: &mut impl Write, text: &str) -> io::Result<bool> {
    // Flushed here, since what is left in a buffer at the end is lost without a word.
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses(ErrorKind);

    impl Write for Refuses {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_who_has_gone_is_no_error_and_a_full_disk_is() {
        assert!(!write(&mut Refuses(ErrorKind::BrokenPipe), "a result").unwrap_or(true));
        assert!(write(&mut Refuses(ErrorKind::StorageFull), "a result").is_err());
    }
}
