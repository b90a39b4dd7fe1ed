//! `coordinator validate`

use std::process::ExitCode;

use clap::Args;

use super::{CliError, Output, print_json, source::FileArgs};

/// Check a job file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator validate job.yaml
  coordinator validate job.yaml --explain             every field with its value and meaning
  coordinator validate --schema > job.schema.json     for editors")]
pub(crate) struct Validate {
    #[command(flatten)]
    job: Option<FileArgs>,

    /// Write the job with every default filled in and explained.
    #[arg(long)]
    explain: bool,

    /// Write the JSON Schema of job files.
    #[arg(long, conflicts_with = "explain")]
    schema: bool,

    /// `json` writes the whole job, every default filled in.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

impl Validate {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        if self.schema {
            print_json(&twinspire_job::schema());
            return Ok(ExitCode::SUCCESS);
        }
        let Some(job) = self.job else {
            return Err(CliError::new(2, "TW1001", "no job file was named: coordinator validate JOB.YAML"));
        };
        let job = job.read()?;
        match (self.explain, self.output) {
            (true, _) => print!("{}", job.explain()),
            (false, Output::Json) => print_json(&serde_json::to_value(job.spec()).unwrap_or_default()),
            (false, Output::Text) => println!("{}: the job file is valid", job.spec().name),
        }
        Ok(ExitCode::SUCCESS)
    }
}
