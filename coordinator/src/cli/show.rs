//! Jobs and workers as people and programs read them.

use std::{
    fmt::Write,
    time::{Duration, SystemTime},
};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use twinspire_proto::v1;
use twinspire_report::EvaluationReport;

use super::{CliError, out, spent};
use crate::display::{clock, duration, number, stamp};

/// How what a coordinator says is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For people, with more columns.
    Wide,
    /// For programs.
    Json,
    /// For programs, and people.
    Yaml,
}

impl Format {
    /// Nobody reads between the lines.
    pub(super) fn is_for_programs(self) -> bool {
        matches!(self, Format::Json | Format::Yaml)
    }
}

/// Writes a value as JSON or YAML.
pub(super) fn value(value: &Value, output: Format) -> Result<(), CliError> {
    match output {
        Format::Yaml => out::text(yaml(value, 0)),
        Format::Json | Format::Text | Format::Wide => out::json(value),
    }
}

/// Writes one of several values that come one after the other: a line of JSON, or a document of YAML.
pub(super) fn entry(value: &Value, output: Format) -> Result<(), CliError> {
    out::text(entry_text(value, output))
}

/// One of several values that come one after the other.
pub(super) fn entry_text(value: &Value, output: Format) -> String {
    match output {
        Format::Yaml => format!("---\n{}", yaml(value, 0)),
        Format::Json | Format::Text | Format::Wide => format!("{value}\n"),
    }
}

/// A job, for programs.
pub(super) fn job(job: &v1::Job) -> Value {
    let training = job.progress.as_ref().and_then(|progress| progress.training.as_ref());
    json!({
        "name": job.name,
        "phase": job.phase,
        "reason": job.reason,
        "priority": job.priority,
        "submitted_ms": job.submitted_ms,
        "since_ms": job.since_ms,
        "generation": job.generation,
        "workers": job.workers,
        "min_workers": job.min_workers,
        "max_workers": job.max_workers,
        "lanes": job.lanes,
        "device": job.device,
        "ahead": job.ahead,
        "progress": job.progress.as_ref().map(|progress| json!({
            "stage": progress.stage,
            "done": progress.done,
            "total": progress.total,
            "unit": progress.unit,
        })),
        "training": training.map(|training| json!({
            "step": training.step,
            "total_steps": job.started.as_ref().map(|started| started.total_steps),
            "epoch": training.epoch,
            "loss": training.loss,
            "rows_per_second": training.rows_per_second,
            "learning_rate": training.learning_rate,
            "eta_ms": job.eta_ms,
        })),
        "seconds": job.spent.as_ref().map(spent::json),
        "validated": job.validated.as_ref().map(|validated| json!({
            "step": validated.step,
            "metric": validated.metric,
            "value": validated.value,
            "best": validated.best,
        })),
        "checkpoint_step": job.checkpoint_step,
        "checkpoint_trouble": job.checkpoint_trouble.as_ref().map(|trouble| json!({
            "since_ms": trouble.since_ms,
            "message": trouble.message,
        })),
        "unsaved_since_ms": job.unsaved_since_ms,
        "left_out": job.left_out.iter().map(left_out_value).collect::<Vec<_>>(),
        "dataset": job.dataset_uri,
        "retries": job.retries,
        "failure": job.failure.as_ref().map(|failure| json!({
            "code": failure.code,
            "message": failure.message,
            "worker": failure.worker,
        })),
        "evaluation": serde_json::from_str::<Value>(&job.evaluation_json).ok(),
        "exported": job.exported,
        "run": job.places.as_ref().map(|places| &places.run),
    })
}

/// A worker, for programs.
pub(super) fn worker(worker: &v1::Worker) -> Value {
    json!({
        "name": worker.name,
        "state": worker.state,
        "device": worker.device,
        "host": worker.host,
        "pid": worker.pid,
        "version": worker.version,
        "memory": worker.memory,
        "job": worker.job,
        "generation": worker.generation,
        "rank": worker.rank,
        "lanes": [worker.first_lane, worker.end_lane],
        "left_out_of": worker.left_out_of,
        "silent_ms": worker.silent_ms,
        "since_ms": worker.since_ms,
    })
}

/// Jobs as a table.
pub(super) fn jobs(jobs: &[v1::Job], wide: bool) -> Table {
    let mut header = vec!["NAME", "PHASE", "STEP", "LOSS", "WORKERS", "PRIORITY", "AGE", "REASON"];
    if wide {
        header.extend(["GENERATION", "ROWS/S", "CHECKPOINT", "RUN"]);
    }
    let mut table = plain(header);
    for job in jobs {
        let training = job.progress.as_ref().and_then(|progress| progress.training.as_ref());
        let step = training.map_or(String::new(), |training| {
            let total = job.started.as_ref().map_or(0, |started| started.total_steps);
            format!("{}/{}", number(training.step), number(total))
        });
        let mut row = vec![
            job.name.clone(),
            job.phase.clone(),
            step,
            training.map_or(String::new(), |training| format!("{:.4}", training.loss)),
            format!("{}/{}", job.workers.len(), job.max_workers),
            job.priority.to_string(),
            duration(since(job.submitted_ms)),
            short(&job.reason),
        ];
        if wide {
            row.push(job.generation.to_string());
            row.push(training.map_or(String::new(), |training| number(training.rows_per_second as u64)));
            row.push(job.checkpoint_step.map_or(String::new(), number));
            row.push(job.places.as_ref().map_or(String::new(), |places| places.run.clone()));
        }
        table.add_row(row);
    }
    table
}

/// Workers as a table.
pub(super) fn workers(workers: &[v1::Worker], wide: bool) -> Table {
    let mut header = vec!["NAME", "STATE", "DEVICE", "JOB", "RANK", "HOST", "UP"];
    if wide {
        header.extend(["PID", "VERSION", "GENERATION", "SILENT"]);
    }
    let mut table = plain(header);
    for worker in workers {
        let cannot = match worker.left_out_of.is_empty() {
            true => String::new(),
            false => format!(", cannot do {}", worker.left_out_of.join(", ")),
        };
        let mut row = vec![
            worker.name.clone(),
            format!("{}{cannot}", worker.state),
            worker.device.clone(),
            worker.job.clone(),
            worker.rank.map_or(String::new(), |rank| rank.to_string()),
            worker.host.clone(),
            duration(since(worker.since_ms)),
        ];
        if wide {
            row.push(worker.pid.to_string());
            row.push(worker.version.clone());
            row.push(worker.generation.to_string());
            row.push(format!("{:.1} s", worker.silent_ms as f64 / 1000.0));
        }
        table.add_row(row);
    }
    table
}

/// How many workers do what, in a line.
pub(super) fn pool(workers: &[v1::Worker]) -> String {
    let of = |state: &str| workers.iter().filter(|worker| worker.state == state).count();
    let count = workers.len();
    format!(
        "the pool has {count} worker{}: {} idle, {} busy, {} drained",
        if count == 1 { "" } else { "s" },
        of("idle"),
        of("busy"),
        of("drained")
    )
}

/// A job in full, for people.
pub(super) fn status(job: &v1::Job) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{name:<12} {value}");
        }
    };
    line("job", job.name.clone());
    // Something that was asked for afterwards may have failed: that is in its events.
    let failure = job.failure.as_ref().filter(|_| job.phase != "succeeded");
    let reason = match failure.is_some_and(|failure| job.reason.ends_with(&failure.message)) {
        true => String::new(),
        false => format!(": {}", job.reason),
    };
    line("phase", format!("{} for {}{reason}", job.phase, duration(since(job.since_ms))));
    line("before it", job.ahead.join(", "));
    if let Some(failure) = failure {
        let on = match failure.worker.is_empty() {
            true => String::new(),
            false => format!(" on {}", failure.worker),
        };
        line("failure", format!("[{}]{on}: {}", failure.code, failure.message));
    }
    if let Some(progress) = &job.progress {
        match (&progress.training, &job.started) {
            (Some(training), Some(started)) => {
                let total = number(started.total_steps);
                line("step", format!("{}/{total} (epoch {:.1})", number(training.step), training.epoch));
                line("loss", format!("{:.4}", training.loss));
                line("rows/s", number(training.rows_per_second as u64));
            }
            _ if progress.total > 0 => {
                let (done, total) = (number(progress.done), number(progress.total));
                line(&progress.stage, format!("{done}/{total} {}", progress.unit));
            }
            _ => line("doing", progress.stage.clone()),
        }
    }
    line("ETA", job.eta_ms.map_or(String::new(), |eta| duration(Duration::from_millis(eta))));
    if let Some(validated) = &job.validated {
        let step = number(validated.step);
        line("validation", format!("{} {:.4} at step {step}", validated.metric, validated.value));
    }
    let workers = job.workers.join(", ");
    line(
        "workers",
        format!("{} of {} to {}  {workers}", job.workers.len(), job.min_workers, job.max_workers),
    );
    line("left out", left_out(job).join("\n             "));
    line("lanes", job.lanes.to_string());
    line("checkpoint", job.checkpoint_step.map_or(String::new(), |step| format!("step {}", number(step))));
    line("AT RISK", at_risk(job).unwrap_or_default());
    line("dataset", job.dataset_uri.clone());
    line("priority", job.priority.to_string());
    line("submitted", moment(job.submitted_ms));
    line("exported", job.exported.join("\n             "));
    if let (true, Ok(report)) =
        (job.phase == "succeeded", serde_json::from_str::<EvaluationReport>(&job.evaluation_json))
    {
        let table = report.table().to_string().replace('\n', "\n             ");
        line(&format!("{}", report.split), format!("step {}\n             {table}", number(report.step)));
    }
    line("run", job.places.as_ref().map_or(String::new(), |places| places.run.clone()));
    text
}

/// A checkpoint that has not come after so many times `checkpoint.every`, and so much more, is overdue.
const OVERDUE: u32 = 2;
const WRITING: Duration = Duration::from_secs(10);

/// What is lost if all workers are, and why that is more than it should be.
pub(super) fn at_risk(job: &v1::Job) -> Option<String> {
    let risk = match job.checkpoint_step {
        Some(step) => format!("what was trained since step {}", number(step)),
        None => "all that was trained".into(),
    };
    if let Some(trouble) = &job.checkpoint_trouble {
        let (at, ago) = (moment(trouble.since_ms), duration(since(trouble.since_ms)));
        let newest = match (job.checkpoint_step, job.unsaved_since_ms) {
            (Some(_), Some(saved)) => format!("; the newest is {} old", duration(since(saved))),
            _ => String::new(),
        };
        let why = &trouble.message;
        return Some(format!("{risk}: checkpoints cannot be written since {at} ({ago}){newest}: {why}"));
    }
    let trains = job.phase == "running" && job.started.is_some();
    let unsaved = since(job.unsaved_since_ms.filter(|_| trains)?);
    let every = Duration::from_millis(job.checkpoint_every_ms);
    (!every.is_zero() && unsaved > every * OVERDUE + WRITING).then(|| {
        let (unsaved, every) = (duration(unsaved), duration(every));
        format!("{risk}: there has been no checkpoint for {unsaved}, and `checkpoint.every` is {every}")
    })
}

/// Workers that a job leaves out, and why, for people.
pub(super) fn left_out(job: &v1::Job) -> Vec<String> {
    let one = |out: &v1::LeftOut| {
        let v1::LeftOut { worker, code, message, since_ms } = out;
        format!("{worker}: [{code}] {message} ({} ago; asked again every minute)", duration(since(*since_ms)))
    };
    job.left_out.iter().map(one).collect()
}

fn left_out_value(out: &v1::LeftOut) -> Value {
    let v1::LeftOut { worker, code, message, since_ms } = out;
    json!({ "worker": worker, "code": code, "message": message, "since_ms": since_ms })
}

/// A job in full, for people, with where its things are.
pub(super) fn status_wide(job: &v1::Job) -> String {
    let mut text = status(job);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<12} {value}");
        }
    };
    line("generation", &job.generation.to_string());
    line("retries", &job.retries.to_string());
    line("device", &job.device);
    if let Some(places) = &job.places {
        line("checkpoints", &places.checkpoints);
        line("export", &places.export);
    }
    text
}

/// A line of a log.
pub(super) fn log(line: &v1::LogLine) -> String {
    format!("{} | {}", line.worker, line.line)
}

/// An event, for programs.
pub(super) fn event_value(event: &v1::JobEvent) -> Value {
    json!({
        "sequence": event.sequence,
        "at_ms": event.at_ms,
        "kind": event.kind,
        "message": event.message,
    })
}

/// An event as a line.
pub(super) fn event(event: &v1::JobEvent) -> String {
    format!("{}  {:<10} {}", stamp(event.at_ms), event.kind, event.message)
}

/// Plain data as YAML. Texts are quoted as in JSON, which YAML is a superset of.
pub(super) fn yaml(value: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let mut text = String::new();
    let entry = |lead: String, value: &Value, text: &mut String| {
        let nested = match value {
            Value::Object(entries) => !entries.is_empty(),
            Value::Array(entries) => !entries.is_empty(),
            _ => false,
        };
        match nested {
            true => *text += &format!("{lead}\n{}", yaml(value, depth + 1)),
            false => *text += &format!("{lead} {value}\n"),
        }
    };
    match value {
        Value::Object(entries) => {
            entries.iter().for_each(|(key, value)| entry(format!("{indent}{key}:"), value, &mut text));
        }
        Value::Array(entries) => {
            entries.iter().for_each(|value| entry(format!("{indent}-"), value, &mut text));
        }
        value => text = format!("{indent}{value}\n"),
    }
    text
}

fn plain(header: Vec<&str>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table
}

fn short(reason: &str) -> String {
    const LONGEST: usize = 60;
    match reason.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}

fn since(unix_ms: u64) -> Duration {
    Duration::from_millis(now_ms().saturating_sub(unix_ms))
}

fn moment(unix_ms: u64) -> String {
    clock(unix_ms, now_ms())
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64
}
