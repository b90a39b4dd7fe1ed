//! `coordinator export`

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use twinspire_control::{Pool, Stage, TaskResult};

use super::{CliError, Output, failure::exit_of, out, source::JobArgs};
use crate::{
    display::number,
    local::{Outcome, Run},
    service::{Places, Records},
};

/// Write a trained job's embeddings and weights.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator export beauty
  coordinator export beauty --step 1200 --set export.uri=s3://bucket/beauty
  coordinator export job.yaml --set export.user_embeddings=false

Item and user embeddings are Parquet (id, list of f32), weights safetensors, towers TorchScript.")]
pub(crate) struct Export {
    #[command(flatten)]
    job: JobArgs,
    /// Step of the checkpoint; the best, when not given.
    #[arg(long)]
    step: Option<u64>,
    /// `json` lists the files for programs.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Export {
    pub(super) async fn run(self) -> Result<ExitCode, CliError> {
        let spec = self.job.read()?;
        let run = Run {
            spec: &spec,
            workers: 1,
            plan: vec![Stage::Prepare, Stage::Export { step: self.step }],
            generation: 0,
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
                let uri = Places::of(&spec).export;
                match self.output {
                    Output::Json => {
                        out::json(&json!({ "job": spec.name, "step": step, "uri": uri, "files": files }))?;
                    }
                    Output::Text => {
                        out::line(format_args!("{}, step {}, in {uri}:", spec.name, number(*step)))?;
                        files.iter().try_for_each(|file| out::line(format_args!("  {file}")))?;
                    }
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
