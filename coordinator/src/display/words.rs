//! Notices in words.

use twinspire_control::{Failure, Interruption, Notice, Started, TaskResult, Validated, WorkerName};

/// The kind of events that say that a worker is slower than the others.
const SLOW: &str = "slow";

/// The kind of events that say that something was made to fail.
pub(crate) const FAULT: &str = "fault";

/// A notice as an event of the job's history: its kind and what to say; `None` for what is no news.
pub(crate) fn in_words(notice: &Notice) -> Option<(&'static str, String)> {
    Some(match notice {
        Notice::Phase { phase, reason } => ("phase", format!("{phase}: {reason}")),
        Notice::Assigned { generation, workers, .. } => {
            ("assigned", format!("generation {generation}: {}", names(workers)))
        }
        Notice::Progress(_) => return None,
        Notice::Started(Started { step, total_steps, kept, .. }) => {
            let from = if *kept { " (in the workers' memory)" } else { "" };
            ("started", format!("training from step {step}{from} to {total_steps}"))
        }
        Notice::Validated(Validated { step, metric, value, best, .. }) => {
            let best = if *best { ", the best so far" } else { "" };
            ("validated", format!("step {step}: {metric} {value:.4}{best}"))
        }
        Notice::Committed { step } => ("checkpoint", format!("checkpoint of step {step}")),
        Notice::CheckpointDelayed { step, message } => {
            ("unsaved", format!("the checkpoint of step {step} cannot be written for now: {message}"))
        }
        Notice::CheckpointFailed { step, message } => {
            ("unsaved", format!("the checkpoint of step {step} could not be written: {message}"))
        }
        Notice::Retrying { failure, retry, of, after } => {
            let pause = if after.is_zero() { String::new() } else { format!(" in {after:?}") };
            ("retrying", format!("{} [{}]; retry {retry} of {of}{pause}", failure.message, failure.code))
        }
        Notice::Injected { worker, fault } => {
            let place = worker.as_ref().map_or(String::new(), |worker| format!("{worker}: "));
            (FAULT, format!("on purpose: {place}{fault}"))
        }
        Notice::WentOn { interruption, after, step } => {
            let seconds = after.as_secs_f64();
            let (kind, what) = match interruption {
                Interruption::Fault => ("recovered", "the fault was noticed"),
                Interruption::Change => ("regrouped", "the last one"),
            };
            (kind, format!("step {step} is done, {seconds:.1} s after {what}"))
        }
        Notice::Pace { worker, factor } => match factor {
            Some(factor) => {
                (SLOW, format!("{worker} computes {factor:.1} times as long for a lane as the others"))
            }
            None => (SLOW, format!("{worker} keeps pace with the others again")),
        },
        Notice::GettingReady { workers } => {
            ("readying", format!("asked to get ready to join: {}", names(workers)))
        }
        Notice::NotReady { failure } => {
            let worker = failure.worker.as_ref().map_or("a worker", |worker| worker.as_str());
            let Failure { code, message, .. } = failure;
            ("not-ready", format!("{worker} cannot do its part, and is left out: {message} [{code}]"))
        }
        Notice::Ready { worker } => ("ready", format!("{worker} can do its part now, and may join")),
        Notice::Stopping { reason } => ("stopping", format!("stopping at the next step: {reason}")),
        Notice::Done(result) | Notice::AlsoDone(result) => ("done", done_in_words(result)),
        Notice::Refused { reason } => ("refused", reason.clone()),
    })
}

fn names(workers: &[WorkerName]) -> String {
    let names: Vec<&str> = workers.iter().map(WorkerName::as_str).collect();
    names.join(", ")
}

fn done_in_words(result: &TaskResult) -> String {
    match result {
        TaskResult::Prepared { dataset_uri, reused: true, .. } => {
            format!("the dataset is there already: {dataset_uri}")
        }
        TaskResult::Prepared { dataset_uri, .. } => format!("dataset: {dataset_uri}"),
        TaskResult::Trained { step, ended_early, .. } if ended_early.is_empty() => {
            format!("trained to step {step}")
        }
        TaskResult::Trained { step, ended_early, .. } => format!("trained to step {step}: {ended_early}"),
        TaskResult::Evaluated { step, .. } => format!("evaluated the checkpoint of step {step}"),
        TaskResult::Exported { step, files } => {
            format!("exported the checkpoint of step {step}: {} files", files.len())
        }
    }
}
