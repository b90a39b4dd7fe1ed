//! Going along with a job until it is over, whatever becomes of the coordinator meanwhile.

use std::{
    collections::HashMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use tonic::Status;
use twinspire_proto::v1;

use super::{
    CliError, failure, out,
    show::{self, Format},
};
use crate::{
    client::Lasting,
    display::{duration, note, number},
};

/// Between two lines about progress.
const SAID_EVERY: Duration = Duration::from_secs(5);

/// Shows a job again and again, whenever it has changed, until it is over; then returns it.
pub(super) async fn watch(
    service: &mut Lasting,
    name: &str,
    mut each: impl FnMut(&v1::Job) -> Result<(), CliError>,
) -> Result<v1::Job, CliError> {
    let mut last: Option<v1::Job> = None;
    loop {
        let lost = match service.jobs().watch(v1::WatchRequest { name: name.into() }).await {
            Err(lost) => lost,
            Ok(updates) => {
                let mut updates = updates.into_inner();
                loop {
                    match updates.message().await {
                        Ok(Some(job)) => {
                            service.well();
                            if last.as_ref() != Some(&job) {
                                each(&job)?;
                                last = Some(job);
                            }
                        }
                        Ok(None) if last.as_ref().is_some_and(is_over) => {
                            return Ok(last.unwrap_or_default());
                        }
                        // It has ended in good order, though the job is not over.
                        Ok(None) => break Status::unavailable("the coordinator ended"),
                        Err(lost) => break lost,
                    }
                }
            }
        };
        service.lost(lost).await?;
    }
}

/// Waits until a job is over, and shows what became of it. The exit code is that of `local`.
pub(super) async fn until_over(
    service: &mut Lasting,
    name: &str,
    output: Format,
) -> Result<ExitCode, CliError> {
    let job = watch(service, name, |_| Ok(())).await?;
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

/// Says on standard error how a job's training gets on, now and then, until it is over.
pub(super) async fn progress(service: &mut Lasting, name: &str) -> Result<(), CliError> {
    let mut said: Option<(Instant, u64)> = None;
    let each = |job: &v1::Job| {
        let training = job.progress.as_ref().and_then(|progress| progress.training.as_ref());
        let (Some(training), Some(started)) = (training, &job.started) else { return Ok(()) };
        let is_news = said.is_none_or(|(at, step)| step != training.step && at.elapsed() >= SAID_EVERY);
        if job.phase == "running" && is_news {
            said = Some((Instant::now(), training.step));
            let (step, total) = (number(training.step), number(started.total_steps));
            let rows = number(training.rows_per_second as u64);
            let left = job.eta_ms.map(|ms| format!("  ETA {}", duration(Duration::from_millis(ms))));
            note(format_args!(
                "{name}: step {step}/{total}  epoch {:.1}  loss {:.4}  {rows} rows/s{}",
                training.epoch,
                training.loss,
                left.unwrap_or_default()
            ));
        }
        Ok(())
    };
    watch(service, name, each).await.map(drop)
}

/// Shows what a job's workers logged, and if the request says so what they log until it is over.
pub(super) async fn logs(
    service: &mut Lasting,
    request: v1::LogsRequest,
    mut each: impl FnMut(&v1::LogLine) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut shown = Shown::default();
    loop {
        // What was shown is told from what is new here: all of it may come again.
        let tail = if shown.is_empty() { request.tail } else { 0 };
        let lost = match service.jobs().logs(v1::LogsRequest { tail, ..request.clone() }).await {
            Err(lost) => lost,
            Ok(lines) => {
                service.well();
                let mut lines = lines.into_inner();
                loop {
                    match lines.message().await {
                        Ok(Some(line)) if shown.is_new(&line) => each(&line)?,
                        Ok(Some(_)) => {}
                        Ok(None) => return Ok(()),
                        Err(lost) => break lost,
                    }
                }
            }
        };
        service.lost(lost).await?;
    }
}

/// Shows what happened to a job after an event, and if wanted what happens until it is over.
pub(super) async fn events(
    service: &mut Lasting,
    mut request: v1::EventsRequest,
    mut each: impl FnMut(&v1::JobEvent) -> Result<(), CliError>,
) -> Result<(), CliError> {
    loop {
        let lost = match service.jobs().events(request.clone()).await {
            Err(lost) => lost,
            Ok(events) => {
                service.well();
                let mut events = events.into_inner();
                loop {
                    match events.message().await {
                        Ok(Some(event)) => {
                            request.after = event.sequence;
                            each(&event)?;
                        }
                        Ok(None) => return Ok(()),
                        Err(lost) => break lost,
                    }
                }
            }
        };
        service.lost(lost).await?;
    }
}

/// Whether nothing follows by itself.
pub(super) fn is_over(job: &v1::Job) -> bool {
    matches!(job.phase.as_str(), "succeeded" | "failed" | "cancelled" | "paused")
}

/// Which lines of a log were shown.
#[derive(Default)]
struct Shown {
    /// Where the log begins for who wanted its last lines only.
    first: Option<(String, String)>,
    /// The next line of each chunk, by chunk and worker.
    next: HashMap<(String, String), u32>,
}

impl Shown {
    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    fn is_new(&mut self, line: &v1::LogLine) -> bool {
        let chunk = (line.chunk.clone(), line.worker.clone());
        if chunk < *self.first.get_or_insert_with(|| chunk.clone()) {
            return false;
        }
        let next = self.next.entry(chunk).or_default();
        let is_new = line.number >= *next;
        if is_new {
            *next = line.number + 1;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use std::sync::Arc;

    use tokio::sync::mpsc;
    use twinspire_control::{Policy, Verb};
    use twinspire_job::JobFile;
    use twinspire_store::{Embedded, MetadataStore};

    use super::*;
    use crate::service::{Engine, Handle, Listening, Records, Server, Submission};

    /// A coordinator that leads, until it is dropped.
    struct Leader {
        handle: Handle,
        engine: tokio::task::AbortHandle,
        _server: Server,
    }

    impl Leader {
        async fn start(store: &Arc<dyn MetadataStore>, listening: Listening) -> Leader {
            let mut records = Records::over(Arc::clone(store));
            let found = records.read().await.unwrap();
            let (handle, engine) = Engine::start(Policy::default(), records, found);
            let server = Server::start(listening, std::future::pending()).await;
            server.lead(handle.clone(), Policy::default().idle_heartbeat, None);
            Leader { handle, engine: engine.abort_handle(), _server: server }
        }
    }

    impl Drop for Leader {
        fn drop(&mut self) {
            self.engine.abort();
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_job_is_gone_along_with_from_one_coordinator_to_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn MetadataStore> =
            Arc::new(Embedded::open(&dir.path().join("state.redb")).await.unwrap());
        let text = "name: beauty\nlog: {uri: /data/events.parquet}";
        let spec = JobFile::parse(text, "job.yaml", &[]).unwrap().into_spec();
        // The second listens before the first has gone, as one does that stands by.
        let first = Listening::on("127.0.0.1:0").await.unwrap();
        let second = Listening::on("127.0.0.1:0").await.unwrap();
        let addresses = [first.url(), second.url()];
        let one = Leader::start(&store, first).await;
        one.handle.submit(Submission::new(spec, "key".into(), 0, 0, None)).await.unwrap().unwrap();
        let (sender, mut phases) = mpsc::unbounded_channel();
        let watching = tokio::spawn(async move {
            let mut service = Lasting::connect(&addresses).await.unwrap();
            let each = |job: &v1::Job| {
                let _ = sender.send(job.phase.clone());
                Ok(())
            };
            watch(&mut service, "beauty", each).await.unwrap()
        });
        assert_eq!(phases.recv().await.as_deref(), Some("pending"));
        drop(one);

        let two = Leader::start(&store, second).await;
        two.handle.ask(Verb::Cancel("beauty".into())).await.unwrap().unwrap();
        let job = tokio::time::timeout(std::time::Duration::from_secs(60), watching).await;
        assert_eq!(job.expect("it was not noticed in time").unwrap().phase, "cancelled");
    }

    fn line(chunk: &str, number: u32) -> v1::LogLine {
        v1::LogLine { worker: "worker-0".into(), line: String::new(), chunk: chunk.into(), number }
    }

    #[test]
    fn a_log_that_comes_again_goes_on_where_it_was() {
        let mut shown = Shown::default();
        assert!(shown.is_empty());
        // The last two lines of the log were asked for.
        assert!(shown.is_new(&line("00002-00000", 4)));
        assert!(shown.is_new(&line("00002-00001", 0)));
        // All of it comes again.
        let again = [("00001-00000", 0), ("00002-00000", 3), ("00002-00000", 4), ("00002-00001", 0)];
        assert!(again.iter().all(|(chunk, number)| !shown.is_new(&line(chunk, *number))));
        assert!(shown.is_new(&line("00002-00001", 1)));
        assert!(shown.is_new(&line("00003-00000", 0)));
    }
}
