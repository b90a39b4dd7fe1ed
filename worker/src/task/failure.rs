//! Why a task failed, by what can be done about it.

use std::{fmt::Display, time::Duration};

use twinspire_checkpoint::CheckpointError;
use twinspire_collective::CollectiveError;
use twinspire_dataset::DatasetError;
use twinspire_prepare::PrepareError;
use twinspire_proto::v1::{FailureKind, TaskFailed};
use twinspire_report::ReportError;
use twinspire_storage::StorageError;
use twinspire_towers::TowersError;

/// Why a task failed.
#[derive(Clone, Debug)]
pub(crate) struct TaskError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) kind: FailureKind,
}

impl TaskError {
    fn new(code: &'static str, kind: FailureKind, message: impl Display) -> TaskError {
        TaskError { code, message: message.to_string(), kind }
    }

    /// A file could not be written or read.
    pub(crate) fn file(place: impl Display, why: impl Display) -> TaskError {
        TaskError::new("TW3010", FailureKind::Storage, format_args!("{place}: {why}"))
    }

    /// The coordinator said something that cannot be.
    pub(crate) fn protocol(field: &str, why: impl Display) -> TaskError {
        TaskError::new(
            "TW5206",
            FailureKind::Internal,
            format_args!("the coordinator sent a `{field}` that cannot be used: {why}"),
        )
    }

    /// The task's thread panicked.
    pub(crate) fn panic(message: String) -> TaskError {
        TaskError::new(
            "TW5207",
            FailureKind::Crash,
            format_args!("the task panicked: {message}; see the worker's log"),
        )
    }

    /// The coordinator told the worker to let go of the task.
    pub(crate) fn given_up() -> TaskError {
        TaskError::new("TW5211", FailureKind::Internal, "the task was given up, as the coordinator said")
    }

    /// The order to commit the last checkpoint did not come.
    pub(crate) fn no_commit(step: u64, waited: Duration) -> TaskError {
        let minutes = waited.as_secs() / 60;
        TaskError::new(
            "TW5210",
            FailureKind::Storage,
            format_args!(
                "all of the checkpoint of step {step} that is this worker's is written, but within {minutes} minutes \
                 the coordinator did not say that all of it is"
            ),
        )
    }

    /// Nor before newer checkpoints were begun.
    pub(crate) fn overtaken(step: u64) -> TaskError {
        TaskError::new(
            "TW5210",
            FailureKind::Storage,
            format_args!(
                "newer ones than the checkpoint of step {step} were begun, and the coordinator had not said \
                 that all of it was written"
            ),
        )
    }

    /// Rank 0 did not say where to meet.
    pub(crate) fn nobody_there(waited: Duration) -> TaskError {
        let seconds = waited.as_secs();
        TaskError::new(
            "TW4102",
            FailureKind::LostPeer,
            format_args!("rank 0 did not say within {seconds} s where the ranks meet"),
        )
    }

    /// The checkpoint is not this job's.
    pub(crate) fn stranger(place: &str, step: u64, of: &str) -> TaskError {
        TaskError::new(
            "TW5209",
            FailureKind::BadInput,
            format_args!(
                "the checkpoint of step {step} in {place} is of {of}: bring that back, start over with --fresh, \
                 or give the job another name (another checkpoint.uri, when it has one)"
            ),
        )
    }

    /// There is no checkpoint to work from.
    pub(crate) fn no_checkpoint(place: &str, asked: Option<u64>) -> TaskError {
        let which = asked.map_or_else(
            || "no whole checkpoint".into(),
            |step| format!("no whole checkpoint of step {step}"),
        );
        TaskError::new(
            "TW5208",
            FailureKind::BadInput,
            format_args!(
                "there is {which} in {place}: train the job first, or name another step with --step"
            ),
        )
    }
}

/// What can be done about an error of a library. Whether a person has to mend something the error
/// knows itself; the coordinator goes by the same.
///
/// | codes of what is nobody's mistake | |
/// |---|---|
/// | TW2020, TW2022 | a disk or a server that inputs are on is in trouble |
/// | TW3, but for TW3104, TW3105 | so is what checkpoints and results are on |
/// | TW4102-TW4105 | a peer is gone |
/// | TW4006 | libtorch gave up: out of memory, perhaps |
/// | everything else | a program, a training or a dataset gone wrong |
fn kind_of(code: &str, is_user_mistake: bool) -> FailureKind {
    match code {
        _ if is_user_mistake => FailureKind::BadInput,
        "TW2020" | "TW2022" => FailureKind::Storage,
        "TW3104" | "TW3105" => FailureKind::Internal,
        code if code.starts_with("TW3") => FailureKind::Storage,
        "TW4102" | "TW4103" | "TW4104" | "TW4105" => FailureKind::LostPeer,
        "TW4006" => FailureKind::Crash,
        _ => FailureKind::Internal,
    }
}

impl From<TaskError> for TaskFailed {
    fn from(TaskError { code, message, kind }: TaskError) -> TaskFailed {
        TaskFailed { code: code.into(), message, kind: kind.into() }
    }
}

macro_rules! library_errors {
    ($($error:ty: $is_user_mistake:expr),* $(,)?) => {
        $(impl From<$error> for TaskError {
            fn from(error: $error) -> TaskError {
                let is_user_mistake: fn(&$error) -> bool = $is_user_mistake;
                TaskError::new(error.code(), kind_of(error.code(), is_user_mistake(&error)), error)
            }
        })*
    };
}

library_errors!(
    StorageError: StorageError::is_user_mistake,
    DatasetError: DatasetError::is_user_mistake,
    PrepareError: PrepareError::is_user_mistake,
    CheckpointError: CheckpointError::is_user_mistake,
    TowersError: asks_for_what_cannot_be,
    CollectiveError: |_| false,
    ReportError: ReportError::is_user_mistake,
);

/// A device that is not there, towers that this dataset or checkpoint does not fit.
fn asks_for_what_cannot_be(error: &TowersError) -> bool {
    matches!(
        error,
        TowersError::NoCuda { .. } | TowersError::Unbuildable(_) | TowersError::StateMismatch { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use twinspire_storage::Operation;

    use super::*;

    fn kind(error: impl Into<TaskError>) -> FailureKind {
        error.into().kind
    }

    #[test]
    fn what_a_person_has_to_mend_is_not_tried_again() {
        let (uri, reason, why) = (String::new, String::new, String::new);
        let no_bucket = || StorageError::BucketMissing { uri: uri(), operation: Operation::Read };
        assert_eq!(kind(no_bucket()), FailureKind::BadInput);
        assert_eq!(kind(PrepareError::Storage(no_bucket())), FailureKind::BadInput);
        assert_eq!(kind(CheckpointError::Storage(no_bucket())), FailureKind::BadInput);
        assert_eq!(kind(PrepareError::EmptyLog { why: why() }), FailureKind::BadInput);
        assert_eq!(kind(DatasetError::NoPlan { why: why() }), FailureKind::BadInput);
        assert_eq!(kind(TowersError::NoCuda { why: why() }), FailureKind::BadInput);
        assert_eq!(kind(TaskError::no_checkpoint("runs", None)), FailureKind::BadInput);

        let full = || StorageError::Full { uri: uri(), operation: Operation::Write, reason: reason() };
        assert_eq!(kind(full()), FailureKind::Storage);
        assert_eq!(kind(DatasetError::Storage(full())), FailureKind::Storage);
        assert_eq!(kind(PrepareError::Unreachable { uri: uri(), why: why() }), FailureKind::Storage);
        assert_eq!(kind(TaskError::file("runs", "no space left")), FailureKind::Storage);
    }

    #[test]
    fn a_damaged_dataset_is_nobodys_mistake() {
        let damaged =
            || DatasetError::Truncated { file: "t".into(), found: "is missing".into(), expected: 1 };
        assert_eq!(kind(damaged()), FailureKind::Internal);
        assert_eq!(kind(PrepareError::Dataset(damaged())), FailureKind::Internal);
        let place = "runs/datasets/1".into();
        assert_eq!(kind(DatasetError::NotADataset { place }), FailureKind::BadInput);
    }

    #[test]
    fn a_peer_that_is_gone_is_told_from_a_training_gone_wrong() {
        let gone = CollectiveError::PeerLost { operation: "barrier", rank: 0, reason: String::new() };
        assert_eq!(kind(TowersError::Collective(gone)), FailureKind::LostPeer);
        assert_eq!(kind(TaskError::nobody_there(Duration::ZERO)), FailureKind::LostPeer);
        let diverged = TowersError::LossNotFinite { step: 1, lane: 0, loss: f64::NAN };
        assert_eq!(kind(diverged), FailureKind::Internal);
    }
}
