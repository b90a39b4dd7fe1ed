//! How errors end a command.

use std::fmt::Display;

use crate::{
    ControlError,
    core::{Failure, FailureKind},
};

/// An error with its exit code.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) exit: u8,
    code: Option<&'static str>,
    message: String,
}

impl CliError {
    pub(crate) fn new(exit: u8, code: &'static str, message: impl Display) -> CliError {
        CliError { exit, code: Some(code), message: message.to_string() }
    }

    pub(crate) fn print(&self) {
        match self.code {
            Some(code) => eprintln!("error[{code}]: {}", self.message),
            None => eprintln!("{}", self.message.trim_end()),
        }
    }
}

/// The exit code of a job that failed.
pub(crate) fn exit_of(failure: &Failure) -> u8 {
    match failure.kind {
        FailureKind::BadInput => 2,
        FailureKind::LostPeer | FailureKind::Storage | FailureKind::Internal => 1,
    }
}

impl From<ControlError> for CliError {
    fn from(error: ControlError) -> CliError {
        CliError::new(if error.is_user_mistake() { 2 } else { 1 }, error.code(), error)
    }
}

/// Job files have a report of their own: every problem, with its line.
impl From<twinspire_job::JobError> for CliError {
    fn from(error: twinspire_job::JobError) -> CliError {
        CliError { exit: 2, code: None, message: error.report() }
    }
}

/// The exit code of an error of storage or checkpoints: 2 for places, credentials and permissions
/// that are wrong, 1 for a server or a disk in trouble. Workers go by the same codes.
fn exit_of_storage(code: &str) -> u8 {
    match code {
        "TW3001" | "TW3002" | "TW3003" | "TW3004" | "TW3005" | "TW3006" | "TW3007" => 2,
        "TW3101" | "TW3102" | "TW3103" => 2,
        _ => 1,
    }
}

impl From<twinspire_storage::StorageError> for CliError {
    fn from(error: twinspire_storage::StorageError) -> CliError {
        CliError::new(exit_of_storage(error.code()), error.code(), error)
    }
}

impl From<twinspire_dataset::DatasetError> for CliError {
    fn from(error: twinspire_dataset::DatasetError) -> CliError {
        CliError::new(2, error.code(), error)
    }
}

impl From<twinspire_checkpoint::CheckpointError> for CliError {
    fn from(error: twinspire_checkpoint::CheckpointError) -> CliError {
        CliError::new(exit_of_storage(error.code()), error.code(), error)
    }
}

impl From<twinspire_generate::GenerateError> for CliError {
    fn from(error: twinspire_generate::GenerateError) -> CliError {
        let exit = if matches!(error.code(), "TW2090" | "TW2091") { 2 } else { 1 };
        CliError::new(exit, error.code(), error)
    }
}
