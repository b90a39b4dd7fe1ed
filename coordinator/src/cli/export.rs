//! `coordinator export`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use twinspire_control::{Pool, Stage, TaskResult};
use twinspire_job::JobSpec;
use twinspire_proto::v1;

use super::{
    CliError, extra,
    failure::exit_of,
    out,
    show::{self, Format},
    source::{JobArgs, Subject, There},
};
use crate::{
    ControlError,
    client::Jobs,
    display::number,
    local::{Outcome, Run},
    service::{Places, Records},
    submit::what_is_there,
};

/// Write a trained job's embeddings and weights.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator export beauty
  coordinator export beauty --step 1200 --set export.uri=s3://bucket/beauty
  coordinator export job.yaml --set export.user_embeddings=false
  coordinator export beauty --coordinator http://10.0.0.5:7070        on a worker of a service

Item and user embeddings are Parquet (id, list of f32), weights safetensors, towers TorchScript.
With a coordinator the job is one of its own that is over; one of its workers does the work,
which goes on when this command is left with Ctrl-C.

Exit codes: 0 done, 1 failed while running, 2 the command or the data is wrong, 130 stopped.")]
pub(crate) struct Export {
    #[command(flatten)]
    job: JobArgs,
    /// Step of the checkpoint; the best, when not given.
    #[arg(long)]
    step: Option<u64>,
    /// `json` and `yaml` list the files for programs.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Export {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        match self.job.find().await? {
            Subject::Here(spec) => self.here(&spec).await,
            Subject::There(there) => self.there(*there).await,
        }
    }

    async fn here(&self, spec: &JobSpec) -> Result<ExitCode, CliError> {
        let (generation, _) = what_is_there(spec).await?;
        let run = Run {
            spec,
            workers: 1,
            plan: vec![Stage::Prepare, Stage::Export { step: self.step }],
            generation,
            checkpoint: None,
            records: Records::nothing(),
            pool: Pool::default(),
        };
        let ran = run.run().await?;
        match ran.outcome {
            Outcome::Succeeded => {}
            Outcome::Failed(failure) => return Ok(ExitCode::from(exit_of(&failure))),
            Outcome::Stopped { .. } => return Ok(ExitCode::from(130)),
        }
        for result in &ran.results {
            if let TaskResult::Exported { step, files } = result {
                self.show(spec, *step, files)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn there(&self, there: There) -> Result<ExitCode, CliError> {
        let spec = there.spec.clone();
        let request = v1::ExportRequest { name: there.job.name.clone(), step: self.step };
        let job = extra::run(there, async |jobs: &mut Jobs| jobs.export(request).await).await?;
        match job.exported_step {
            Some(step) if self.step.is_none_or(|asked| asked == step) => {
                self.show(&spec, step, &job.exported)?;
            }
            _ => return Err(ControlError::LostResult { job: job.name, what: "the export" }.into()),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, spec: &JobSpec, step: u64, files: &[String]) -> Result<(), CliError> {
        let uri = Places::of(spec).export;
        match self.output {
            Format::Text | Format::Wide => {
                out::line(format_args!("{}, step {}, in {uri}:", spec.name, number(step)))?;
                files.iter().try_for_each(|file| out::line(format_args!("  {file}")))
            }
            output => {
                show::value(&json!({ "job": spec.name, "step": step, "uri": uri, "files": files }), output)
            }
        }
    }
}
