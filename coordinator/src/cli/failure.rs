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

impl From<twinspire_storage::StorageError> for CliError {
    fn from(error: twinspire_storage::StorageError) -> CliError {
        CliError::new(1, error.code(), error)
    }
}

impl From<twinspire_dataset::DatasetError> for CliError {
    fn from(error: twinspire_dataset::DatasetError) -> CliError {
        CliError::new(2, error.code(), error)
    }
}

impl From<twinspire_checkpoint::CheckpointError> for CliError {
    fn from(error: twinspire_checkpoint::CheckpointError) -> CliError {
        CliError::new(1, error.code(), error)
    }
}

impl From<twinspire_generate::GenerateError> for CliError {
    fn from(error: twinspire_generate::GenerateError) -> CliError {
        let exit = if matches!(error.code(), "TW2090" | "TW2091") { 2 } else { 1 };
        CliError::new(exit, error.code(), error)
    }
}
