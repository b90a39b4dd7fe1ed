//! Why a task failed, by what can be done about it.

use std::{fmt::Display, time::Duration};

use twinspire_proto::v1::{FailureKind, TaskFailed};

/// Why a task failed.
#[derive(Debug)]
pub(crate) struct TaskError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) kind: FailureKind,
}

impl TaskError {
    /// An error of a library; its code tells what can be done about it.
    pub(crate) fn of(code: &'static str, error: impl Display) -> TaskError {
        TaskError { code, message: error.to_string(), kind: kind_of(code) }
    }

    /// The coordinator said something that cannot be.
    pub(crate) fn protocol(field: &str, why: impl Display) -> TaskError {
        TaskError::of("TW5206", format_args!("the coordinator sent a `{field}` that cannot be used: {why}"))
    }

    /// The task's thread panicked.
    pub(crate) fn panic(message: String) -> TaskError {
        TaskError::of("TW5207", format_args!("the task panicked: {message}; see the worker's log"))
    }

    /// The coordinator told the worker to let go of the task.
    pub(crate) fn given_up() -> TaskError {
        TaskError::of("TW5211", "the task was given up, as the coordinator said")
    }

    /// The order to commit the last checkpoint did not come.
    pub(crate) fn no_commit(step: u64, waited: Duration) -> TaskError {
        let minutes = waited.as_secs() / 60;
        TaskError::of(
            "TW5210",
            format_args!(
                "all of the checkpoint of step {step} that is this worker's is written, but within {minutes} minutes \
                 the coordinator did not say that all of it is"
            ),
        )
    }

    /// Rank 0 did not say where to meet.
    pub(crate) fn nobody_there(waited: Duration) -> TaskError {
        let seconds = waited.as_secs();
        TaskError::of("TW4102", format_args!("rank 0 did not say within {seconds} s where the ranks meet"))
    }

    /// The checkpoint is not this job's.
    pub(crate) fn stranger(place: &str, step: u64, of: &str) -> TaskError {
        TaskError::of(
            "TW5209",
            format_args!(
                "the checkpoint of step {step} in {place} is of {of}: bring that back, start over with --fresh, \
                 or give the job another name"
            ),
        )
    }

    /// There is no checkpoint to work from.
    pub(crate) fn no_checkpoint(place: &str, asked: Option<u64>) -> TaskError {
        let which = asked.map_or_else(
            || "no whole checkpoint".into(),
            |step| format!("no whole checkpoint of step {step}"),
        );
        TaskError::of(
            "TW5208",
            format_args!(
                "there is {which} in {place}: train the job first, or name another step with --step"
            ),
        )
    }
}

/// What can be done about an error.
///
/// | codes | |
/// |---|---|
/// | TW1, TW2 | the job file or the data is wrong |
/// | TW2020, TW2022 | a disk or a server that inputs are on is in trouble |
/// | TW3001-TW3007, TW3101-TW3103 | so are places, credentials, checkpoints asked for |
/// | the rest of TW3, TW5210 | storage |
/// | TW4102-TW4105 | a peer is gone |
/// | TW4003-TW4005, TW5208, TW5209 | the job asks for what cannot be |
/// | everything else | a program or a training gone wrong |
fn kind_of(code: &str) -> FailureKind {
    match code.as_bytes() {
        b"TW2021" | b"TW2109" => FailureKind::Internal,
        b"TW2020" | b"TW2022" => FailureKind::Storage,
        [b'T', b'W', b'1' | b'2', ..] => FailureKind::BadInput,
        [b'T', b'W', b'3', b'0', b'0', b'1'..=b'7'] | [b'T', b'W', b'3', b'1', b'0', b'1'..=b'3'] => {
            FailureKind::BadInput
        }
        b"TW3104" | b"TW3105" => FailureKind::Internal,
        b"TW5210" | [b'T', b'W', b'3', ..] => FailureKind::Storage,
        b"TW4102" | b"TW4103" | b"TW4104" | b"TW4105" => FailureKind::LostPeer,
        b"TW4003" | b"TW4004" | b"TW4005" | b"TW5208" | b"TW5209" => FailureKind::BadInput,
        _ => FailureKind::Internal,
    }
}

impl From<TaskError> for TaskFailed {
    fn from(TaskError { code, message, kind }: TaskError) -> TaskFailed {
        TaskFailed { code: code.into(), message, kind: kind.into() }
    }
}

macro_rules! library_errors {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for TaskError {
            fn from(error: $error) -> TaskError {
                TaskError::of(error.code(), error)
            }
        })*
    };
}

library_errors!(
    twinspire_storage::StorageError,
    twinspire_dataset::DatasetError,
    twinspire_prepare::PrepareError,
    twinspire_collective::CollectiveError,
    twinspire_checkpoint::CheckpointError,
    twinspire_towers::TowersError,
    twinspire_report::ReportError,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_done_goes_by_the_code() {
        assert_eq!(kind_of("TW2003"), FailureKind::BadInput);
        assert_eq!(kind_of("TW2020"), FailureKind::Storage);
        assert_eq!(kind_of("TW3009"), FailureKind::Storage);
        assert_eq!(kind_of("TW3006"), FailureKind::BadInput);
        assert_eq!(kind_of("TW4104"), FailureKind::LostPeer);
        assert_eq!(kind_of("TW4001"), FailureKind::Internal);
        assert_eq!(kind_of("TW4005"), FailureKind::BadInput);
    }
}
