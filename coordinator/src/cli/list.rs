//! `coordinator list`

use std::process::ExitCode;

use clap::{Args, builder::PossibleValuesParser};
use serde_json::Value;
use twinspire_control::Phase;
use twinspire_proto::v1;

use super::{
    CliError,
    live::{self, Look},
    server::ServerArgs,
    show::{self, Format},
};
use crate::client::Jobs;

/// List the jobs of a coordinator.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator list
  coordinator list --phase running --phase pending
  coordinator list -o wide
  coordinator list -w                      live on a terminal; on a pipe a table for each change
  coordinator list -w -o json              a line for each change
  coordinator list -o json | jq -r '.[].name'

Exit codes: 0 listed, 1 no coordinator answers, 2 there is no such phase.")]
pub(crate) struct List {
    #[command(flatten)]
    server: ServerArgs,
    /// Only jobs in this phase; may be given several times.
    #[arg(long, value_name = "PHASE", value_parser = PossibleValuesParser::new(phases()))]
    phase: Vec<String>,
    /// Show them again whenever something changes.
    #[arg(short, long)]
    watch: bool,
    /// How the jobs are shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl List {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let List { server, phase: phases, watch, output } = self;
        let look = async |client: &mut Jobs| {
            let request = v1::ListRequest { phases: phases.clone() };
            let jobs = client.list(request).await?.into_inner().jobs;
            let value: Value = jobs.iter().map(show::job).collect();
            Ok(Look { text: text(&jobs, output), essence: essence(&value), value })
        };
        live::show(&server, watch, output, look).await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn phases() -> impl Iterator<Item = &'static str> {
    Phase::ALL.iter().map(|phase| phase.as_str())
}

fn text(jobs: &[v1::Job], output: Format) -> String {
    match jobs.is_empty() {
        true => "there are no jobs".into(),
        false => show::jobs(jobs, output == Format::Wide).to_string(),
    }
}

/// Jobs but for the time they still take, which is another one at every look.
fn essence(jobs: &Value) -> Value {
    let mut essence = jobs.clone();
    for job in essence.as_array_mut().into_iter().flatten() {
        if let Some(eta) = job.pointer_mut("/training/eta_ms") {
            *eta = Value::Null;
        }
    }
    essence
}
