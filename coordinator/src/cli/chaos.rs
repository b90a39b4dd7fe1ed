//! `coordinator chaos`

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Args;
use twinspire_checkpoint::{
    CheckpointStore, Difference, Restored, Retention, TensorData, Which, is_parameter,
};
use twinspire_control::Phase;
use twinspire_job::{JobSpec, Span};
use twinspire_proto::v1;
use twinspire_storage::Location;
use twinspire_store::Embedded;

use super::{
    CliError, audit, follow, out,
    server::{self, ServiceArgs},
    show::{self, Format},
    source,
};
use crate::{
    ControlError,
    chaos::{Apart, Chaos as Settings, Kind, Outcome, Report},
    client::Lasting,
    display::note,
    local,
    service::{Places, Records},
};

/// How long a local run that was started a moment ago may take to listen.
const COMES: Duration = Duration::from_secs(10);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);

/// Make parts of a running job fail, and report what that cost it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator local job.yaml --set chaos=true &        a job that allows it, on this machine
  coordinator chaos demo --every 20s --for 10m --seed 7
  coordinator chaos demo kill-worker pause-worker --most 100 --every 5s --against undisturbed
  coordinator chaos demo kill-coordinator --coordinator http://10.0.0.5:7070

Only a job submitted with `chaos: true` is touched; a coordinator that is killed leads others too,
whose training goes on meanwhile. Once the faults are over the job is left to end, its records are
audited, and its parameters compared with those of the run named by --against: the same job under
another name, which nothing was done to.

Exit codes: 0 training went on after every fault, nothing was lost and the job succeeded, 1 if not,
2 there is no such job, or it does not allow it.")]
pub(crate) struct Chaos {
    /// The job's name.
    job: String,
    /// What is made to fail.
    #[arg(value_enum, value_name = "FAULT", default_values = ["kill-worker", "pause-worker"])]
    faults: Vec<Kind>,
    /// Between two faults.
    #[arg(long, value_name = "SPAN", default_value = "20s")]
    every: Span,
    /// How long there are any.
    #[arg(long = "for", value_name = "SPAN", default_value = "10m")]
    length: Span,
    /// At most so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    most: Option<u32>,
    /// How long a paused worker is paused and storage fails; three quarters of the job's
    /// recovery_target, when not given.
    #[arg(long, value_name = "SPAN")]
    span: Option<Span>,
    /// Seed of the choices: which fault, which worker.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
    /// Compare the parameters in the end with those of this run.
    #[arg(long, value_name = "JOB")]
    against: Option<String>,
    /// Report when the faults are over, without waiting for the job to end.
    #[arg(long, conflicts_with = "against")]
    no_wait: bool,
    /// The directory of runs in which a local run, and the one to compare with, are looked up.
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: String,
    #[command(flatten)]
    service: ServiceArgs,
    /// How the report is shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Chaos {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let local = self.local_run().await;
        let addresses = match (self.service.named(), &local) {
            (Some(named), _) => named.addresses().to_vec(),
            (None, Some(address)) => vec![address.clone()],
            (None, None) => vec![server::DEFAULT.into()],
        };
        let settings = Settings {
            kinds: self.faults.clone(),
            every: self.every.0,
            length: self.length.0,
            most: self.most,
            span: self.span.map(|span| span.0),
            seed: self.seed,
            runs: local.as_ref().map(|_| self.runs.clone()),
        };
        // What it would be compared with must be there before anything is broken.
        let undisturbed = match &self.against {
            Some(run) => Some(parameters(&source::recorded(&self.runs, run)?).await?),
            None => None,
        };
        let service = Lasting::connect(&addresses).await?;
        let mut report = Report::new(&self.job, self.seed, settings.run(service, &self.job).await?);
        if !self.no_wait {
            let (spec, phase) = match local {
                Some(_) => self.until_local_run_is_over().await?,
                None => self.until_over(&addresses).await?,
            };
            report.ended(&phase);
            report.audited(audit::check(&spec).await?);
            if let (Some(run), Some(undisturbed)) = (self.against, undisturbed) {
                let Difference { relative, tensor } =
                    Difference::between(&undisturbed, &parameters(&spec).await?, is_parameter);
                report.compared(Apart { from: run, relative, tensor });
            }
        }
        match self.output {
            Format::Text | Format::Wide => out::line(report.text())?,
            output => show::value(&serde_json::to_value(&report).unwrap_or_default(), output)?,
        }
        Ok(match report.outcome {
            Outcome::Passed => ExitCode::SUCCESS,
            Outcome::Failed => ExitCode::FAILURE,
        })
    }

    /// Where the coordinator of the job's local run listens. It may just have been started.
    async fn local_run(&self) -> Option<String> {
        if self.service.named().is_some() {
            return None;
        }
        for _ in 0..COMES.as_millis() / LOOK.as_millis() {
            if let Some(address) = local::address(&self.runs, &self.job) {
                return Some(address);
            }
            if Lasting::connect(&[server::DEFAULT.into()]).await.is_ok() {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
        None
    }

    /// Waits until the job is over; what it is, and how it ended.
    async fn until_over(&self, addresses: &[String]) -> Result<(JobSpec, String), CliError> {
        note(format_args!("{}: waiting for it to end", self.job));
        let mut service = Lasting::connect(addresses).await?;
        let job: v1::Job = follow::watch(&mut service, &self.job, |_| Ok(())).await?;
        Ok((JobSpec::from_json(&job.spec_json)?, job.phase))
    }

    /// The same of a local run, whose coordinator ends with it and leaves a record.
    async fn until_local_run_is_over(&self) -> Result<(JobSpec, String), CliError> {
        note(format_args!("{}: waiting for it to end", self.job));
        while let Some(address) = local::address(&self.runs, &self.job)
            && Lasting::connect(&[address]).await.is_ok()
        {
            tokio::time::sleep(LOOK).await;
        }
        let spec = source::recorded(&self.runs, &self.job)?;
        let store = Embedded::open(&Places::of(&spec).state_file()).await.map_err(ControlError::from)?;
        let saved = Records::over(Arc::new(store)).job(&spec.name).await?;
        let phase = match saved.map(|saved| saved.job.phase) {
            Some(phase) if phase.is_final() || phase == Phase::Paused => phase.to_string(),
            Some(_) => "broken off: its coordinator was killed".into(),
            None => "forgotten".into(),
        };
        Ok((spec, phase))
    }
}

/// The state of the newest checkpoint of a run.
async fn parameters(spec: &JobSpec) -> Result<Vec<TensorData>, CliError> {
    let place = Location::parse(&Places::of(spec).checkpoints)?;
    let store = CheckpointStore::new(place.clone(), Retention::default());
    match store.restore(Which::Latest).await? {
        Some(Restored { tensors, .. }) => Ok(tensors),
        None => Err(CliError::new(2, "TW5009", format!("there is no checkpoint in {}", place.uri()))),
    }
}
