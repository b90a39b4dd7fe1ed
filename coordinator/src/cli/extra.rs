//! One more stage of a job that is over, asked of a coordinator and waited for.

use tonic::Status;
use twinspire_proto::v1;

use super::{CliError, failure, follow, source::There};
use crate::{
    client::{Jobs, known},
    display::note,
};

/// Asks, waits until it is done, and returns the job as it is then. How it goes is said on standard
/// error.
pub(super) async fn run(
    there: There,
    ask: impl AsyncFnOnce(&mut Jobs) -> Result<tonic::Response<v1::Changed>, Status>,
) -> Result<v1::Job, CliError> {
    let There { mut service, job, spec: _ } = there;
    let name = job.name;
    let mut request = v1::EventsRequest { name: name.clone(), ..Default::default() };
    let mut newest = 0;
    follow::events(&mut service, request.clone(), |event| {
        newest = event.sequence;
        Ok(())
    })
    .await?;
    ask(service.jobs()).await?;
    let mut said = String::new();
    let job = follow::watch(&mut service, &name, |job| {
        let now = format!("{} ({})", job.phase, job.reason);
        if !follow::is_over(job) && said != now {
            note(format_args!("{name}: {now}"));
            said = now;
        }
        Ok(())
    })
    .await?;
    request.after = newest;
    let mut done = false;
    follow::events(&mut service, request, |event| {
        done |= event.kind == "done";
        Ok(())
    })
    .await?;
    if done { Ok(job) } else { Err(given_up(&job)) }
}

/// A stage that was not finished: the job is as it was before, and says why.
fn given_up(job: &v1::Job) -> CliError {
    match &job.failure {
        Some(why) if job.reason == why.message => {
            let code = known(&why.code).unwrap_or("TW5017");
            CliError::new(
                failure::exit_of_kind(why.kind()),
                code,
                format_args!("{}: {}", job.name, why.message),
            )
        }
        _ => CliError::new(130, "TW5304", format_args!("{}: {}", job.name, job.reason)),
    }
}
