//! Jobs and workers as messages.

use twinspire_control::{DeviceWish, Failure, TaskResult, Unfit, WorkerName};
use twinspire_proto::v1;

use crate::service::{Board, Places, View, WorkerView, convert};

/// A job as it is now.
pub(super) fn message(view: &View, board: &Board) -> v1::Job {
    let View { job, spec, progress, started, validated, spent, trouble, results, asked_for, paced: _ } = view;
    let request = &job.request;
    let workers = job.attempt.iter().flat_map(|attempt| &attempt.members);
    let mut evaluation_json = String::new();
    let (mut exported, mut exported_step) = (Vec::new(), None);
    for result in results {
        match result {
            TaskResult::Evaluated { report, .. } => evaluation_json.clone_from(report),
            TaskResult::Exported { step, files } => {
                exported.clone_from(files);
                exported_step = Some(*step);
            }
            TaskResult::Prepared { .. } | TaskResult::Trained { .. } => {}
        }
    }
    v1::Job {
        name: job.name().to_string(),
        phase: job.phase.to_string(),
        reason: job.reason.clone(),
        priority: request.priority,
        submitted_ms: job.submitted.0,
        since_ms: job.since.0,
        generation: job.generation.0,
        workers: workers.map(|member| member.worker.to_string()).collect(),
        min_workers: request.min_workers,
        max_workers: request.max_workers,
        lanes: request.lanes,
        device: match request.device {
            DeviceWish::Cpu => "cpu",
            DeviceWish::Cuda => "cuda",
            DeviceWish::Auto => "auto",
        }
        .into(),
        ahead: board.ahead_of(job).iter().map(ToString::to_string).collect(),
        progress: progress.as_ref().map(convert::progress),
        started: started.as_ref().map(|(_, started)| convert::started(started)),
        validated: validated.as_ref().map(convert::validated),
        checkpoint_step: job.checkpoint,
        dataset_uri: job.dataset_uri.clone().unwrap_or_default(),
        failure: job.failure.as_ref().map(convert::failure),
        retries: job.retries,
        evaluation_json,
        exported,
        places: Some(convert::places(&Places::of(spec))),
        spec_json: serde_json::to_string(&**spec).unwrap_or_default(),
        eta_ms: eta_ms(view),
        spent: spent.map(convert::time_spent),
        exported_step,
        asked_evaluation_json: match asked_for {
            Some(TaskResult::Evaluated { report, .. }) => report.clone(),
            _ => String::new(),
        },
        checkpoint_trouble: trouble
            .as_ref()
            .map(|(since, message)| v1::CheckpointTrouble { since_ms: since.0, message: message.clone() }),
        unsaved_since_ms: job.saved.map(|saved| saved.0),
        checkpoint_every_ms: spec.checkpoint.every.0.as_millis() as u64,
        left_out: job.unfit.iter().filter_map(left_out).collect(),
    }
}

fn left_out((worker, unfit): (&WorkerName, &Unfit)) -> Option<v1::LeftOut> {
    let Failure { code, message, .. } = unfit.why.clone().filter(|_| !unfit.is_mended)?;
    Some(v1::LeftOut { worker: worker.to_string(), code, message, since_ms: unfit.since.0 })
}

/// Time left of training, at the pace since this coordinator heard of it.
fn eta_ms(view: &View) -> Option<u64> {
    let ((_, started), (since, first)) = (view.started.as_ref()?, view.paced?);
    let step = view.progress.as_ref()?.training?.step;
    let done = step.checked_sub(first).filter(|done| *done > 0)?;
    let left = started.total_steps.saturating_sub(step);
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
    let elapsed = (elapsed.as_millis() as u64).saturating_sub(since.0);
    Some((elapsed as f64 * left as f64 / done as f64) as u64)
}

/// A worker of the pool.
pub(super) fn worker(view: &WorkerView) -> v1::Worker {
    let WorkerView { name, worker, register, drained, rank, lanes, left_out_of, silent_ms } = view;
    let state = match (worker.cut_off.is_some(), worker.leaving, drained, worker.task.is_some()) {
        (true, ..) => "cut off",
        (_, true, ..) => "leaving",
        (_, _, true, true) => "draining",
        (_, _, true, false) => "drained",
        (_, _, false, true) => "busy",
        (_, _, false, false) => "idle",
    };
    let task = worker.task.as_ref();
    v1::Worker {
        name: name.to_string(),
        device: register.device.clone(),
        host: register.host.clone(),
        pid: register.pid,
        version: register.version.clone(),
        memory: register.memory,
        state: state.into(),
        job: task.map(|task| task.job.to_string()).unwrap_or_default(),
        generation: task.map_or(0, |task| task.generation.0),
        rank: rank.map(|rank| rank.0),
        silent_ms: *silent_ms,
        since_ms: worker.since.0,
        first_lane: lanes.start,
        end_lane: lanes.end,
        left_out_of: left_out_of.iter().map(ToString::to_string).collect(),
    }
}
