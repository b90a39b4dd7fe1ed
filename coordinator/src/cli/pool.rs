//! `coordinator workers`, `drain`, `undrain`

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use twinspire_proto::v1;

use super::{
    CliError,
    answers::Answers,
    live::{self, Look},
    server::ServerArgs,
    show::{self, Format},
};
use crate::client::Jobs;

/// List the workers of a coordinator.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator workers
  coordinator workers -w                   live on a terminal; on a pipe a table for each change
  coordinator workers -o json | jq -r '.[] | select(.state == \"idle\") | .name'

Exit codes: 0 listed, 1 no coordinator answers.")]
pub(crate) struct Workers {
    #[command(flatten)]
    server: ServerArgs,
    /// Show them again whenever something changes.
    #[arg(short, long)]
    watch: bool,
    /// How they are shown.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Workers {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let Workers { server, watch, output } = self;
        let look = async |client: &mut Jobs| {
            let workers = client.list_workers(v1::ListWorkersRequest {}).await?.into_inner().workers;
            let value: Value = workers.iter().map(show::worker).collect();
            Ok(Look { text: text(&workers, output), essence: essence(&value), value })
        };
        live::show(&server, watch, output, look).await?;
        Ok(ExitCode::SUCCESS)
    }
}

fn text(workers: &[v1::Worker], output: Format) -> String {
    match workers.is_empty() {
        true => "there are no workers; start one with `worker --coordinator URL`".into(),
        false => show::workers(workers, output == Format::Wide).to_string(),
    }
}

/// Workers but for when they were last heard of.
fn essence(workers: &Value) -> Value {
    let mut essence = workers.clone();
    for worker in essence.as_array_mut().into_iter().flatten() {
        if let Some(silent) = worker.get_mut("silent_ms") {
            *silent = Value::Null;
        }
    }
    essence
}

/// Workers, told something.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples, of `drain` as of `undrain`:
  coordinator drain node-3/cuda:0
  coordinator drain node-3/cuda:0 -o json  {\"worker\": \"node-3/cuda:0\", \"changed\": true}; false if it was so already
  coordinator drain node-3/cuda:0 node-3/cuda:1 -o json
                                           a list of them; only of those before one that is refused

Exit codes: 0 done, 1 no coordinator answers, 2 there is no such worker.")]
pub(crate) struct Drain {
    /// Names of workers.
    #[arg(required = true, value_name = "WORKER")]
    workers: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
    /// `json` and `yaml` say for programs whether each has changed.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Drain {
    pub(super) async fn run(self, drain: bool) -> Result<ExitCode, CliError> {
        let mut client = self.server.connect().await?;
        let mut answers = Answers::to(self.workers.len(), self.output);
        let told = tell(&mut client, drain, self.workers, &mut answers).await;
        answers.end()?;
        told.map(|()| ExitCode::SUCCESS)
    }
}

async fn tell(
    client: &mut Jobs,
    drain: bool,
    workers: Vec<String>,
    answers: &mut Answers,
) -> Result<(), CliError> {
    for name in workers {
        let worker = v1::WorkerRequest { name: name.clone() };
        let (changed, done) = match drain {
            true => (client.drain(worker).await?, "gets no more tasks"),
            false => (client.undrain(worker).await?, "gets tasks again"),
        };
        match changed.into_inner().already {
            true => answers.add("worker", &name, false, format_args!("{name}: was so already"))?,
            false => answers.add("worker", &name, true, format_args!("{name}: {done}"))?,
        }
    }
    Ok(())
}
