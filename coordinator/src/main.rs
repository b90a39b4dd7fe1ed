//! The `coordinator` command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinspire_coordinator::cli::main()
}
