//! The `worker` process.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinspire_worker::main()
}
