//! Between the protocol's types and the core's.

use twinspire_proto::v1::{self, coordinator_message, task_done, worker_message::Body};

use super::Places;
use crate::core::{
    Assignment, Failure, FailureKind, FromWorker, Order, Progress, Split, Stage, Started, TaskResult,
    Training, Validated,
};

/// What a worker said; `None` for what this version does not know.
pub(crate) fn from_worker(body: Body) -> Option<FromWorker> {
    Some(match body {
        Body::Register(_) => return None,
        Body::Heartbeat(_) => FromWorker::Heartbeat,
        Body::Progress(p) => FromWorker::Progress(Progress {
            stage: p.stage,
            done: p.done,
            total: p.total,
            unit: p.unit,
            training: p.training.map(|t| Training {
                step: t.step,
                epoch: t.epoch,
                loss: t.loss,
                rows_per_second: t.rows_per_second,
                learning_rate: t.learning_rate,
            }),
        }),
        Body::RendezvousReady(v1::RendezvousReady { host, port }) => {
            FromWorker::RendezvousReady { host, port }
        }
        Body::TrainingStarted(s) => FromWorker::Started(Started {
            step: s.step,
            total_steps: s.total_steps,
            steps_per_epoch: s.steps_per_epoch,
            resumed_unix_ms: s.resumed_unix_ms,
            passed_over: s.passed_over,
        }),
        Body::Validated(v) => FromWorker::Validated(Validated {
            step: v.step,
            epoch: v.epoch,
            metric: v.metric,
            value: v.value,
            best: v.best,
        }),
        Body::CheckpointPart(v1::CheckpointPart { step, part_json }) => {
            FromWorker::CheckpointPart { step, part: part_json }
        }
        Body::CheckpointCommitted(v1::CheckpointCommitted { step }) => {
            FromWorker::CheckpointCommitted { step }
        }
        Body::CheckpointFailed(v1::CheckpointFailed { step, message }) => {
            FromWorker::CheckpointFailed { step, message }
        }
        Body::TaskDone(done) => FromWorker::Done(result(done.result?)),
        Body::TaskFailed(failed) => {
            let kind = match failed.kind() {
                v1::FailureKind::BadInput => FailureKind::BadInput,
                v1::FailureKind::LostPeer => FailureKind::LostPeer,
                v1::FailureKind::Storage => FailureKind::Storage,
                v1::FailureKind::Internal | v1::FailureKind::Unspecified => FailureKind::Internal,
            };
            FromWorker::Failed(Failure { code: failed.code, message: failed.message, kind, worker: None })
        }
    })
}

fn result(result: task_done::Result) -> TaskResult {
    match result {
        task_done::Result::Prepared(v1::Prepared { dataset_uri, fingerprint, reused, warnings }) => {
            TaskResult::Prepared { dataset_uri, fingerprint, reused, warnings }
        }
        task_done::Result::Trained(v1::Trained { step, total_steps, stopped, ended_early }) => {
            TaskResult::Trained { step, total_steps, stopped, ended_early }
        }
        task_done::Result::Evaluated(evaluated) => TaskResult::Evaluated {
            step: evaluated.step,
            split: match evaluated.split() {
                v1::Split::Validation => Split::Validation,
                v1::Split::Test | v1::Split::Unspecified => Split::Test,
            },
            report: evaluated.report_json,
        },
        task_done::Result::Exported(v1::Exported { step, files }) => TaskResult::Exported { step, files },
    }
}

/// What a worker is told.
pub(crate) fn to_worker(order: Order, job: &Job) -> coordinator_message::Body {
    use coordinator_message::Body;
    match order {
        Order::Assign(assignment) => Body::Assign(assign(assignment, job)),
        Order::Rendezvous { host, port } => Body::Rendezvous(v1::Rendezvous { host, port }),
        Order::StopAfterStep { checkpoint } => Body::StopAfterStep(v1::StopAfterStep { checkpoint }),
        Order::CommitCheckpoint { step, parts } => {
            Body::CommitCheckpoint(v1::CommitCheckpoint { step, part_json: parts })
        }
    }
}

/// What every task of a job is told, besides its assignment.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) name: String,
    pub(crate) spec_json: String,
    pub(crate) places: Places,
}

fn assign(assignment: Assignment, job: &Job) -> v1::Assign {
    let Places { run, runs, checkpoints, export, local, datasets: _ } = job.places.clone();
    v1::Assign {
        job: job.name.clone(),
        kind: match assignment.stage {
            Stage::Prepare => v1::TaskKind::Prepare,
            Stage::Train => v1::TaskKind::Train,
            Stage::Evaluate => v1::TaskKind::Evaluate,
            Stage::Export => v1::TaskKind::Export,
        }
        .into(),
        spec_json: job.spec_json.clone(),
        dataset_uri: assignment.dataset_uri,
        rank: assignment.rank.0,
        world: assignment.world,
        first_lane: assignment.lanes.start,
        end_lane: assignment.lanes.end,
        checkpoint_step: assignment.checkpoint_step,
        split: match assignment.split {
            Split::Validation => v1::Split::Validation,
            Split::Test => v1::Split::Test,
        }
        .into(),
        collective_timeout_ms: assignment.collective_timeout.as_millis() as u64,
        places: Some(v1::Places { run, runs, checkpoints, export, local: local.display().to_string() }),
    }
}
