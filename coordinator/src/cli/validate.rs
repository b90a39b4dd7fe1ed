//! `coordinator validate`

use std::process::ExitCode;

use clap::Args;
use twinspire_job::{JobFile, Override};

use super::{
    CliError, out,
    show::{self, Format},
};

/// Check a job file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  coordinator validate job.yaml
  coordinator validate job.yaml --explain             every field with its value and meaning
  coordinator validate --schema > job.schema.json     for editors

Exit codes: 0 the job file is valid, 2 it is not.")]
pub(crate) struct Validate {
    /// The job file (YAML).
    #[arg(value_name = "JOB.YAML", required_unless_present = "schema")]
    file: Option<String>,

    /// Set a field of the job, over what the file says; may be given several times.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<Override>,

    /// Write the job with every default filled in and explained.
    #[arg(long)]
    explain: bool,

    /// Write the JSON Schema of job files.
    #[arg(long, conflicts_with = "explain")]
    schema: bool,

    /// `json` and `yaml` write the whole job, every default filled in.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Validate {
    pub(super) fn run(self) -> Result<ExitCode, CliError> {
        if self.schema {
            out::json(&twinspire_job::schema())?;
            return Ok(ExitCode::SUCCESS);
        }
        let Some(file) = self.file else {
            return Err(CliError::new(2, "TW1001", "no job file was named: coordinator validate JOB.YAML"));
        };
        let job = JobFile::read(file, &self.set)?;
        match (self.explain, self.output) {
            (true, _) => out::text(job.explain())?,
            (false, Format::Text | Format::Wide) => {
                out::line(format_args!("{}: the job file is valid", job.spec().name))?;
            }
            (false, output) => show::value(&serde_json::to_value(job.spec()).unwrap_or_default(), output)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
