//! Going along with a job until it is over.

use std::process::ExitCode;

use twinspire_proto::v1;

use super::{
    CliError, failure, out,
    show::{self, Format},
};
use crate::client::Jobs;

/// Shows a job's logs until it is over.
pub(super) async fn logs(jobs: &mut Jobs, name: &str) -> Result<(), CliError> {
    let request = v1::LogsRequest { name: name.into(), follow: true, ..Default::default() };
    let mut lines = jobs.logs(request).await?.into_inner();
    while let Some(line) = lines.message().await? {
        out::line(format_args!("{} | {}", line.worker, line.line))?;
    }
    Ok(())
}

/// Waits until a job is over, and shows what became of it. The exit code is that of `local`.
pub(super) async fn until_over(jobs: &mut Jobs, name: &str, output: Format) -> Result<ExitCode, CliError> {
    let mut updates = jobs.watch(v1::WatchRequest { name: name.into() }).await?.into_inner();
    let mut last = None;
    while let Some(job) = updates.message().await? {
        last = Some(job);
    }
    let job = last.unwrap_or_default();
    match output {
        Format::Text | Format::Wide => out::text(show::status(&job))?,
        output => show::value(&show::job(&job), output)?,
    }
    Ok(match (job.phase.as_str(), &job.failure) {
        ("succeeded", _) => ExitCode::SUCCESS,
        ("failed", Some(why)) => ExitCode::from(failure::exit_of_kind(why.kind())),
        ("cancelled" | "paused", _) => ExitCode::from(130),
        _ => ExitCode::FAILURE,
    })
}
