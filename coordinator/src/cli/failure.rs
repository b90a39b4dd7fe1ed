//! How errors end a command.

use std::fmt::Display;

use twinspire_control::{Failure, FailureKind};

use crate::{ControlError, display::note};

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
            Some(code) => note(format_args!("error[{code}]: {}", self.message)),
            None => note(self.message.trim_end()),
        }
    }
}

/// The exit code of a job that failed.
pub(crate) fn exit_of(failure: &Failure) -> u8 {
    match failure.kind {
        FailureKind::BadInput => 2,
        FailureKind::LostPeer | FailureKind::Storage | FailureKind::Crash | FailureKind::Internal => 1,
    }
}

/// The exit code of a job that failed, by what a coordinator says.
pub(crate) fn exit_of_kind(kind: twinspire_proto::v1::FailureKind) -> u8 {
    match kind {
        twinspire_proto::v1::FailureKind::BadInput => 2,
        _ => 1,
    }
}

/// What a coordinator said no with.
impl From<tonic::Status> for CliError {
    fn from(status: tonic::Status) -> CliError {
        ControlError::from(status).into()
    }
}

/// Job files have a report of their own: every problem, with its line.
impl From<twinspire_job::JobError> for CliError {
    fn from(error: twinspire_job::JobError) -> CliError {
        CliError { exit: 2, code: None, message: error.report() }
    }
}

/// 2 for what the person asking has to mend, 1 for what went wrong on its own. Which is which the
/// errors know themselves, as workers ask them too.
macro_rules! errors {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for CliError {
            fn from(error: $error) -> CliError {
                CliError::new(if error.is_user_mistake() { 2 } else { 1 }, error.code(), error)
            }
        })*
    };
}

errors!(
    ControlError,
    twinspire_storage::StorageError,
    twinspire_dataset::DatasetError,
    twinspire_checkpoint::CheckpointError,
    twinspire_generate::GenerateError,
);
