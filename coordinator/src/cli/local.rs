//! `coordinator local`

use std::{
    collections::BTreeSet,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use serde_json::json;
use twinspire_checkpoint::{CheckpointStore, Retention};
use twinspire_job::{JobSpec, fingerprint, resume_conflicts};
use twinspire_storage::Location;

use twinspire_control::{Phase, Pool, TaskResult};
use twinspire_store::{Embedded, StoreError};

use super::{
    CliError,
    failure::exit_of,
    out,
    show::{self, Format},
    source,
};
use crate::{
    ControlError,
    display::{duration, note, number},
    local::{Outcome, Run, workers},
    service::{Places, Records, ReportFile, Saved, plan},
    submit::what_is_there,
};

/// Run a job on this machine: prepare, train, evaluate, export.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator local job.yaml
  coordinator local job.yaml --workers 2
  coordinator local job.yaml --set train.epochs=20      over what the file says
  coordinator local job.yaml --fresh                    forget earlier runs of this job

Ctrl-C finishes the step, writes a checkpoint and exits with 130; the same command again goes on
where it was. A second Ctrl-C kills.

Exit codes: 0 done, 1 failed while running, 2 the job file, the data or the command is wrong,
130 stopped (the same command again goes on).")]
pub(crate) struct Local {
    #[command(flatten)]
    job: source::FileArgs,
    /// Worker processes; as the job says, when not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    workers: Option<u32>,
    /// Start over: remove the job's checkpoints, metrics and state first. The dataset stays.
    #[arg(long)]
    fresh: bool,
    /// `json` and `yaml` write the results for programs.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Local {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let begun = Instant::now();
        let spec = &self.job.read()?;
        let workers = workers(spec, self.workers)?;
        let places = Places::of(spec);
        // Held until the end: nobody else runs this job here meanwhile.
        let mut records = open(&places, &spec.name).await?;
        let checkpoints = CheckpointStore::new(Location::parse(&places.checkpoints)?, Retention::default());

        let pool = match records.pool().await {
            Err(ControlError::BadRecord { .. }) if self.fresh => Pool::default(),
            pool => pool?,
        };
        let mut saved = match records.job(&spec.name).await {
            // Whatever it says is about to be forgotten.
            Err(ControlError::BadRecord { .. }) if self.fresh => None,
            saved => saved?,
        };
        if self.fresh {
            start_over(spec, &places, &checkpoints, saved.take().as_ref()).await?;
            // Last: were this to be interrupted, it could be said again.
            records.forget(&spec.name).await?;
        }
        let there = checkpoints.list().await?;
        let (mut generation, _) = what_is_there(spec).await?;
        if let Some(Saved { spec: earlier, job }) = &saved {
            // A run that never came to a checkpoint, for a mistake in the job file perhaps, leaves
            // nothing that another job could not go on from.
            if !there.is_empty() {
                refuse_changes(earlier, spec)?;
                if job.phase == Phase::Succeeded && is_same_work(earlier, spec) {
                    finished(spec, &places, self.output)?;
                    return Ok(ExitCode::SUCCESS);
                }
            }
            generation = generation.max(job.generation.0);
        }
        source::record(&places, spec)?;
        records.forget_events(&spec.name).await?;

        let checkpoint = there.iter().map(|checkpoint| checkpoint.step.0).max();
        let run = Run { spec, workers, plan: plan(spec), generation, checkpoint, records, pool };
        let ran = run.run().await?;
        match ran.outcome {
            Outcome::Succeeded => {
                report(spec, &places, &ran.results, begun.elapsed(), self.output)?;
                Ok(ExitCode::SUCCESS)
            }
            Outcome::Failed(failure) => {
                if self.output.is_for_programs() {
                    let value = json!({ "job": spec.name, "outcome": "failed", "failure": failure });
                    show::value(&value, self.output)?;
                }
                Ok(ExitCode::from(exit_of(&failure)))
            }
            Outcome::Stopped { reason } => {
                note(format_args!("{}: {reason}; the same command again goes on", spec.name));
                Ok(ExitCode::from(130))
            }
        }
    }
}

/// The job's state file, which only one coordinator at a time can have open.
async fn open(places: &Places, job: &str) -> Result<Records, ControlError> {
    match Embedded::open(&places.state_file()).await {
        Ok(store) => Ok(Records::over(Arc::new(store))),
        Err(error @ StoreError::InUse { .. }) => {
            Err(ControlError::Busy { job: job.into(), why: error.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}

/// `--fresh`: says what goes, and removes it.
async fn start_over(
    spec: &JobSpec,
    places: &Places,
    checkpoints: &CheckpointStore,
    saved: Option<&Saved>,
) -> Result<(), CliError> {
    let there = checkpoints.list().await?.len();
    if there == 0 && saved.is_none() {
        return Ok(());
    }
    note(format_args!(
        "{}: starting over: removing {} in {} and the metrics, records, exports and state in {} (the dataset stays)",
        spec.name,
        if there == 1 { "1 checkpoint".into() } else { format!("{there} checkpoints") },
        checkpoints.location().uri(),
        places.run,
    ));
    // A place that the job file names may hold other jobs' checkpoints too: those stay.
    let others = others_checkpoints(spec, checkpoints, saved).await?;
    for directory in checkpoints.location().list_dirs().await? {
        let step = directory.strip_prefix("step-").and_then(|step| step.parse::<u64>().ok());
        if step.is_some_and(|step| !others.contains(&step)) {
            checkpoints.location().join(&directory).delete_all().await?;
        }
    }
    if spec.export.uri.is_none() {
        Location::parse(&places.export)?.delete_all().await?;
    }
    let run = Location::parse(&places.run)?;
    for directory in ["audit", "tensorboard"] {
        run.join(directory).delete_all().await?;
    }
    for entry in run.list("").await? {
        let is_result = !entry.name.contains('/') && !entry.name.starts_with("state.redb");
        if is_result {
            run.delete(&entry.name).await?;
        }
    }
    Ok(())
}

/// Steps of which another job has a checkpoint in the place this one names.
async fn others_checkpoints(
    spec: &JobSpec,
    checkpoints: &CheckpointStore,
    saved: Option<&Saved>,
) -> Result<BTreeSet<u64>, CliError> {
    if spec.checkpoint.uri.is_none() {
        return Ok(BTreeSet::new());
    }
    let specs = std::iter::once(spec).chain(saved.map(|saved| &saved.spec));
    let ours: Vec<String> = specs.map(|spec| fingerprint(&spec.identity())).collect();
    let there = checkpoints.list().await?;
    let others = there.into_iter().filter(|checkpoint| {
        checkpoint.manifest.as_ref().is_some_and(|manifest| !ours.contains(&manifest.spec_fingerprint))
    });
    Ok(others.map(|checkpoint| checkpoint.step.0).collect())
}

fn refuse_changes(earlier: &JobSpec, now: &JobSpec) -> Result<(), ControlError> {
    let conflicts = resume_conflicts(earlier, now);
    if conflicts.is_empty() {
        return Ok(());
    }
    let conflicts: Vec<String> = conflicts.iter().map(|conflict| format!("  {conflict}")).collect();
    Err(ControlError::Changed { job: now.name.clone(), conflicts: conflicts.join("\n") })
}

/// Whether a run of `now` after a finished one of `earlier` would have nothing to do. The two can
/// be resumed into each other, so only what may differ is looked at.
fn is_same_work(earlier: &JobSpec, now: &JobSpec) -> bool {
    let length = |spec: &JobSpec| (spec.train.steps, spec.train.epochs);
    length(earlier) == length(now) && earlier.evaluate == now.evaluate && earlier.export == now.export
}

fn finished(spec: &JobSpec, places: &Places, output: Format) -> Result<(), CliError> {
    let more = match (spec.train.steps, spec.train.epochs) {
        (Some(steps), _) => format!("--set train.steps={}", steps.saturating_mul(2)),
        (None, epochs) => format!("--set train.epochs={}", epochs.unwrap_or(1).saturating_mul(2)),
    };
    let name = &spec.name;
    match output {
        Format::Text | Format::Wide => out::line(format_args!(
            "{name} is finished already; its results are in {}.\nTrain on with {more}, or start over with --fresh.",
            places.run
        )),
        output => {
            show::value(&json!({ "job": name, "outcome": "already_finished", "run": places.run }), output)
        }
    }
}

fn report(
    spec: &JobSpec,
    places: &Places,
    results: &[TaskResult],
    took: Duration,
    output: Format,
) -> Result<(), CliError> {
    let mut trained = 0;
    let mut files = Vec::new();
    let mut evaluation = None;
    for result in results {
        match result {
            TaskResult::Trained { step, .. } => trained = *step,
            TaskResult::Exported { files: written, .. } => files.clone_from(written),
            TaskResult::Evaluated { report, .. } => evaluation = Some(ReportFile::own(places, report)?),
            TaskResult::Prepared { .. } => {}
        }
    }
    if output.is_for_programs() {
        let value = json!({
            "job": spec.name,
            "outcome": "succeeded",
            "steps": trained,
            "seconds": took.as_secs_f64(),
            "evaluation": evaluation.as_ref().map(ReportFile::json),
            "run": places.run,
            "checkpoints": places.checkpoints,
            "export": files,
        });
        return show::value(&value, output);
    }
    // Metrics are appended to, which only a file system can: they are here when the run is in a bucket.
    let (steps, here) = (number(trained), places.local.display());
    out::line(format_args!("{}: done, {steps} steps, in {}\n", spec.name, duration(took)))?;
    if let Some(evaluation) = &evaluation {
        out::line(format_args!("{}\n", evaluation.text()))?;
        out::line(format_args!("evaluation   {}", evaluation.uri()))?;
    }
    out::line(format_args!("checkpoints  {}", places.checkpoints))?;
    out::line(format_args!("metrics      {here}/metrics.jsonl (tensorboard --logdir {here}/tensorboard)"))?;
    if !files.is_empty() {
        out::line(format_args!("export       {}", places.export))?;
    }
    Ok(())
}
