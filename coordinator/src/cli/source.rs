//! Which job is meant: a job file, or the name of one that was run here.

use std::{path::Path, sync::Arc};

use clap::Args;
use twinspire_job::{JobFile, JobSpec, Override};
use twinspire_proto::v1;
use twinspire_store::Embedded;

use super::{CliError, paths, server::ServiceArgs};
use crate::{
    ControlError,
    client::Lasting,
    service::{self, Places, Records},
};

/// A job file.
#[derive(Clone, Debug, Args)]
pub(crate) struct FileArgs {
    /// The job file (YAML).
    #[arg(value_name = "JOB.YAML")]
    file: String,

    /// Set a field of the job, over what the file says; may be given several times.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<Override>,
}

impl FileArgs {
    /// The job, whose inputs are named so that they mean the same everywhere on this machine: a job
    /// that begins here can go on elsewhere.
    pub(crate) fn read(&self) -> Result<JobSpec, CliError> {
        let mut spec = JobFile::read(&self.file, &self.set)?.into_spec();
        paths::make_inputs_absolute(&mut spec)?;
        Ok(spec)
    }
}

/// A job file, or the name of a job that was run.
#[derive(Clone, Debug, Args)]
pub(crate) struct JobArgs {
    /// A job file, or the name of a job that was run here or that a coordinator has.
    #[arg(value_name = "JOB")]
    job: String,

    /// Set a field of the job, over what it was run with; may be given several times.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<Override>,

    /// The directory of runs in which a job's name is looked up.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: String,

    #[command(flatten)]
    service: ServiceArgs,
}

/// The job that is meant.
pub(crate) enum Subject {
    /// One of this machine.
    Here(Box<JobSpec>),
    /// One of a coordinator.
    There(Box<There>),
}

/// A job of a coordinator.
pub(crate) struct There {
    pub(crate) service: Lasting,
    pub(crate) job: v1::Job,
    pub(crate) spec: JobSpec,
}

impl JobArgs {
    /// Finds the job: with the coordinator that is named, or here.
    pub(crate) async fn find(&self) -> Result<Subject, CliError> {
        let Some(server) = self.service.named() else { return Ok(Subject::Here(Box::new(self.read()?))) };
        if !self.set.is_empty() {
            return Err(ControlError::NotOfService { option: "--set" }.into());
        }
        let name = if self.is_file() { self.read()?.name } else { self.job.clone() };
        let mut service = server.connect_lasting().await?;
        let job = service.jobs().get(v1::GetRequest { name }).await?.into_inner();
        let spec = JobSpec::from_json(&job.spec_json)?;
        Ok(Subject::There(Box::new(There { service, job, spec })))
    }

    /// The job as it is run, wherever it is.
    pub(crate) async fn spec(&self) -> Result<JobSpec, CliError> {
        Ok(match self.find().await? {
            Subject::Here(spec) => *spec,
            Subject::There(there) => there.spec,
        })
    }

    fn is_file(&self) -> bool {
        Path::new(&self.job).is_file() || self.job.ends_with(".yaml") || self.job.ends_with(".yml")
    }

    fn read(&self) -> Result<JobSpec, CliError> {
        if self.is_file() {
            return FileArgs { file: self.job.clone(), set: self.set.clone() }.read();
        }
        as_recorded(&self.runs, &self.job, self.set.clone())
    }
}

/// The job of this name as it was run here.
pub(crate) fn recorded(runs: &str, job: &str) -> Result<JobSpec, CliError> {
    as_recorded(runs, job, Vec::new())
}

/// What happened to a job in its last run here.
pub(crate) async fn events(runs: &str, job: &str) -> Result<Vec<v1::JobEvent>, CliError> {
    let state = Places::of(&recorded(runs, job)?).state_file();
    if !state.is_file() {
        return Ok(Vec::new());
    }
    let store = Embedded::open(&state).await.map_err(ControlError::from)?;
    let events = Records::over(Arc::new(store)).events(job).await?;
    Ok(events.into_iter().map(service::event).collect())
}

fn as_recorded(runs: &str, job: &str, set: Vec<Override>) -> Result<JobSpec, CliError> {
    let recorded = Path::new(runs).join(job).join("job.json");
    if !recorded.is_file() {
        return Err(no_such_job(runs, job).into());
    }
    // JSON is YAML: the recorded job is a job file.
    let mut spec = FileArgs { file: recorded.to_string_lossy().into_owned(), set }.read()?;
    if !spec.runs.contains("://") {
        // It may have been run from another directory.
        spec.runs = runs.to_owned();
    }
    Ok(spec)
}

fn no_such_job(runs: &str, job: &str) -> ControlError {
    let mut jobs: Vec<String> = std::fs::read_dir(runs)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().join("job.json").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    jobs.sort();
    let known = match jobs.is_empty() {
        true => String::new(),
        false => format!(" (there are {})", jobs.join(", ")),
    };
    ControlError::NoJob { job: job.to_owned(), runs: runs.to_owned(), known }
}

/// Writes the job as it runs, for the verbs that are given its name.
pub(crate) fn record(places: &Places, spec: &JobSpec) -> Result<(), ControlError> {
    let path = places.job_file();
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(&places.local)?;
        let text = serde_json::to_string_pretty(spec).map_err(std::io::Error::other)? + "\n";
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            // There may be no room to write it again.
            return Ok(());
        }
        let part = path.with_extension("json.part");
        std::fs::write(&part, text)?;
        std::fs::rename(&part, &path)
    };
    write().map_err(|source| ControlError::File { action: "write", path: path.clone(), source })
}
