//! Between the protocol's types and the core's.

use std::{collections::HashMap, sync::Arc, time::Duration};

use twinspire_control::{
    Assignment, Device, DeviceWish, Failure, FailureKind, Fault, FromWorker, Generation, Incarnation,
    JobName, Membership, Order, Progress, Registration, Spent, Split, Stage, Started, Stragglers, TaskResult,
    Time, Training, Validated,
};
use twinspire_job::JobSpec;
use twinspire_proto::v1::{self, coordinator_message, task_done, worker_message::Body};

use super::{Happening, Places};

/// What a job goes through.
pub(crate) fn plan(spec: &JobSpec) -> Vec<Stage> {
    let mut plan = vec![Stage::Prepare, Stage::Train, Stage::Evaluate { split: Split::Test, step: None }];
    let export = &spec.export;
    if export.item_embeddings || export.user_embeddings || export.weights || export.torchscript {
        plan.push(Stage::Export { step: None });
    }
    plan
}

pub(super) fn stragglers(policy: twinspire_job::Stragglers) -> Stragglers {
    match policy {
        twinspire_job::Stragglers::Keep => Stragglers::Keep,
        twinspire_job::Stragglers::FewerLanes => Stragglers::FewerLanes,
        twinspire_job::Stragglers::Drain => Stragglers::Drain,
    }
}

pub(super) fn device_wish(device: twinspire_job::Device) -> DeviceWish {
    match device {
        twinspire_job::Device::Cpu => DeviceWish::Cpu,
        twinspire_job::Device::Cuda => DeviceWish::Cuda,
        twinspire_job::Device::Auto => DeviceWish::Auto,
    }
}

/// Who a worker says it is.
pub(super) fn registration(register: &v1::Register) -> Registration {
    Registration {
        name: register.name.as_str().into(),
        incarnation: Incarnation(register.incarnation),
        device: if register.device.starts_with("cuda") { Device::Cuda } else { Device::Cpu },
        about: format!("{} on {} (process {})", register.device, register.host, register.pid),
        running: register.running.as_ref().map(membership),
        state: register.state.as_ref().map(membership),
    }
}

fn membership(part: &v1::Membership) -> Membership {
    Membership { job: part.job.as_str().into(), generation: Generation(part.generation) }
}

/// What a worker said; `None` for what this version does not know.
pub(super) fn from_worker(body: Body) -> Option<FromWorker> {
    Some(match body {
        Body::Register(_) => return None,
        Body::Heartbeat(_) => FromWorker::Heartbeat,
        Body::Leaving(_) => FromWorker::Leaving,
        Body::Idle(_) => FromWorker::Idle,
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
                spent: t.spent.map(spent).unwrap_or_default(),
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
            kept: s.kept,
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
        Body::Pace(v1::Pace { ms_per_lane }) => FromWorker::Pace(ms_per_lane),
        Body::CheckpointDelayed(v1::CheckpointDelayed { step, message }) => {
            FromWorker::CheckpointDelayed { step, message }
        }
        Body::CheckpointFailed(v1::CheckpointFailed { step, message }) => {
            FromWorker::CheckpointFailed { step, message }
        }
        Body::TaskDone(done) => FromWorker::Done(result(done.result?)),
        Body::TaskFailed(failed) => FromWorker::Failed(why_failed(failed)),
        Body::Ready(v1::Ready { job, submitted_ms, failed }) => FromWorker::Ready {
            job: job.into(),
            submitted: Time(submitted_ms),
            failure: failed.map(why_failed),
        },
    })
}

fn why_failed(failed: v1::TaskFailed) -> Failure {
    let kind = match failed.kind() {
        v1::FailureKind::BadInput => FailureKind::BadInput,
        v1::FailureKind::LostPeer => FailureKind::LostPeer,
        v1::FailureKind::Storage => FailureKind::Storage,
        v1::FailureKind::Crash => FailureKind::Crash,
        v1::FailureKind::Internal | v1::FailureKind::Unspecified => FailureKind::Internal,
    };
    Failure { code: failed.code, message: failed.message, kind, worker: None }
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

/// What a worker is told; `None` about a job that is forgotten.
pub(super) fn to_worker(
    order: Order,
    specs: &HashMap<JobName, Arc<JobSpec>>,
) -> Option<coordinator_message::Body> {
    use coordinator_message::Body;
    Some(match order {
        Order::Assign(assignment) => {
            let spec = specs.get(&assignment.job)?;
            Body::Assign(assign(assignment, spec))
        }
        Order::GetReady(assignment) => {
            let spec = specs.get(&assignment.job)?;
            Body::GetReady(assign(assignment, spec))
        }
        Order::Rendezvous { host, port } => Body::Rendezvous(v1::Rendezvous { host, port }),
        Order::StopAfterStep { checkpoint } => Body::StopAfterStep(v1::StopAfterStep { checkpoint }),
        Order::CommitCheckpoint { step, parts } => {
            Body::CommitCheckpoint(v1::CommitCheckpoint { step, part_json: parts })
        }
        Order::Abort => Body::Abort(v1::Abort {}),
        Order::Suffer(fault) => Body::Suffer(suffer(fault)),
        Order::Shutdown => Body::Shutdown(v1::Shutdown::default()),
        Order::Replaced => Body::Shutdown(v1::Shutdown { reason: REPLACED.into() }),
    })
}

fn suffer(fault: Fault) -> v1::Suffer {
    let (fault, span) = match fault {
        Fault::KillWorker => (v1::Fault::KillWorker, Duration::ZERO),
        Fault::PauseWorker(span) => (v1::Fault::PauseWorker, span),
        Fault::FailStorage(span) => (v1::Fault::FailStorage, span),
        Fault::CrashWorker => (v1::Fault::CrashWorker, Duration::ZERO),
        Fault::KillCoordinator => (v1::Fault::KillCoordinator, Duration::ZERO),
    };
    v1::Suffer { fault: fault.into(), span_ms: span.as_millis() as u64 }
}

/// A fault that is asked for; `None` for one this version does not know.
pub(super) fn fault(request: &v1::InjectRequest) -> Option<Fault> {
    let span = Duration::from_millis(request.span_ms);
    Some(match request.fault() {
        v1::Fault::KillWorker => Fault::KillWorker,
        v1::Fault::PauseWorker => Fault::PauseWorker(span),
        v1::Fault::FailStorage => Fault::FailStorage(span),
        v1::Fault::CrashWorker => Fault::CrashWorker,
        v1::Fault::KillCoordinator => Fault::KillCoordinator,
        v1::Fault::Unspecified => return None,
    })
}

fn assign(assignment: Assignment, spec: &JobSpec) -> v1::Assign {
    let (kind, checkpoint_step, split) = match assignment.stage {
        Stage::Prepare => (v1::TaskKind::Prepare, None, Split::Test),
        Stage::Train => (v1::TaskKind::Train, None, Split::Test),
        Stage::Evaluate { split, step } => (v1::TaskKind::Evaluate, step, split),
        Stage::Export { step } => (v1::TaskKind::Export, step, Split::Test),
    };
    v1::Assign {
        job: spec.name.clone(),
        kind: kind.into(),
        // A spec is numbers, texts and lists: this cannot fail.
        spec_json: serde_json::to_string(spec).unwrap_or_default(),
        dataset_uri: assignment.dataset_uri,
        rank: assignment.rank.0,
        world: assignment.world,
        first_lane: assignment.lanes.start,
        end_lane: assignment.lanes.end,
        checkpoint_step,
        split: split_to_proto(split).into(),
        collective_timeout_ms: assignment.collective_timeout.as_millis() as u64,
        heartbeat_ms: assignment.heartbeat.as_millis() as u64,
        let_go_ms: assignment.let_go.as_millis() as u64,
        newest_checkpoint: assignment.newest_checkpoint,
        unsaved_ms: assignment.unsaved.as_millis() as u64,
        submitted_ms: assignment.submitted.0,
        afterwards: assignment.afterwards,
        places: Some(places(&Places::of(spec))),
    }
}

pub(super) fn places(of: &Places) -> v1::Places {
    let Places { run, runs, checkpoints, export, local, datasets: _ } = of.clone();
    v1::Places { run, runs, checkpoints, export, local: local.display().to_string() }
}

fn split_to_proto(split: Split) -> v1::Split {
    match split {
        Split::Validation => v1::Split::Validation,
        Split::Test => v1::Split::Test,
    }
}

pub(super) fn progress(of: &Progress) -> v1::Progress {
    v1::Progress {
        stage: of.stage.clone(),
        done: of.done,
        total: of.total,
        unit: of.unit.clone(),
        training: of.training.map(|t| v1::TrainingProgress {
            step: t.step,
            epoch: t.epoch,
            loss: t.loss,
            rows_per_second: t.rows_per_second,
            learning_rate: t.learning_rate,
            spent: Some(time_spent(t.spent)),
        }),
    }
}

fn spent(
    v1::TimeSpent { compute, data, communication, checkpoint, evaluation, starting }: v1::TimeSpent,
) -> Spent {
    Spent { compute, data, communication, checkpoint, evaluation, starting }
}

pub(super) fn time_spent(
    Spent { compute, data, communication, checkpoint, evaluation, starting }: Spent,
) -> v1::TimeSpent {
    v1::TimeSpent { compute, data, communication, checkpoint, evaluation, starting }
}

pub(super) fn started(of: &Started) -> v1::TrainingStarted {
    v1::TrainingStarted {
        step: of.step,
        total_steps: of.total_steps,
        steps_per_epoch: of.steps_per_epoch,
        resumed_unix_ms: of.resumed_unix_ms,
        passed_over: of.passed_over.clone(),
        kept: of.kept,
    }
}

pub(super) fn validated(of: &Validated) -> v1::Validated {
    v1::Validated {
        step: of.step,
        epoch: of.epoch,
        metric: of.metric.clone(),
        value: of.value,
        best: of.best,
    }
}

/// Something that happened to a job.
pub(crate) fn event(of: Happening) -> v1::JobEvent {
    let Happening { sequence, at, kind, message, took_ms } = of;
    v1::JobEvent { sequence, at_ms: at.0, kind, message, took_ms }
}

pub(super) fn failure(of: &Failure) -> v1::JobFailure {
    let kind = match of.kind {
        FailureKind::BadInput => v1::FailureKind::BadInput,
        FailureKind::LostPeer => v1::FailureKind::LostPeer,
        FailureKind::Storage => v1::FailureKind::Storage,
        FailureKind::Crash => v1::FailureKind::Crash,
        FailureKind::Internal => v1::FailureKind::Internal,
    };
    v1::JobFailure {
        code: of.code.clone(),
        message: of.message.clone(),
        kind: kind.into(),
        worker: of.worker.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

/// Why a worker whose name another process has is to end.
const REPLACED: &str =
    "another worker was started under its name, and has its place: give each a name of its own (--name)";
