//! The jobs service: what people and scripts ask.

mod job;

use std::{pin::Pin, time::Duration};

use tokio::sync::{mpsc, watch};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status};
use twinspire_control::{Answer, Fault, JobName, Split, Stage, Verb};
use twinspire_proto::v1::{self, jobs_server::Jobs};
use twinspire_storage::Location;

use super::{Handle, Places, View, convert, logs::LogReader};
use crate::{ControlError, display::FAULT, submit};

/// Between two looks at storage for new log lines.
const LOGS_EVERY: Duration = Duration::from_secs(1);

/// Between two updates of a watched job.
const UPDATE_EVERY: Duration = Duration::from_millis(200);

/// What is made to fail on purpose works again after so long.
const LONGEST_FAULT: Duration = Duration::from_secs(600);

/// Until a coordinator that is to be killed has answered whoever wants that.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Messages a client of a stream may be behind.
const BEHIND: usize = 64;

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers people.
pub(super) struct Api {
    handle: Handle,
    /// Where jobs that do not say otherwise keep their things; `None` = there is one job, which says so.
    runs: Option<String>,
}

impl Api {
    pub(super) fn new(handle: Handle, runs: Option<String>) -> Api {
        Api { handle, runs }
    }

    async fn change(&self, verb: Verb) -> Result<Response<v1::Changed>, Status> {
        let answer = self.handle.ask(verb).await?.map_err(ControlError::from)?;
        Ok(Response::new(v1::Changed { already: answer == Answer::Already }))
    }

    fn view(&self, name: &str) -> Result<View, Status> {
        let job = JobName::from(name);
        let view = self.handle.board().job(&job);
        Ok(view.ok_or_else(|| ControlError::from(twinspire_control::Refusal::NoJob(job)))?)
    }

    fn message(&self, view: &View) -> v1::Job {
        job::message(view, self.handle.board())
    }
}

#[tonic::async_trait]
impl Jobs for Api {
    type WatchStream = Streamed<v1::Job>;
    type EventsStream = Streamed<v1::JobEvent>;
    type LogsStream = Streamed<v1::LogLine>;

    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let v1::SubmitRequest { spec_json, idempotency_key, priority } = request.into_inner();
        let submission = submit::check(&spec_json, idempotency_key, priority, self.runs.as_deref()).await?;
        let name = submission.request.name.clone();
        let answer = self.handle.submit(submission).await?.map_err(ControlError::from)?;
        let job = self.message(&self.view(name.as_str())?);
        Ok(Response::new(v1::SubmitResponse { job: Some(job), already: answer == Answer::Already }))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        let phases = request.into_inner().phases;
        let wanted = |view: &View| phases.is_empty() || phases.contains(&view.job.phase.to_string());
        let jobs = self.handle.board().jobs();
        let jobs = jobs.iter().filter(|view| wanted(view)).map(|view| self.message(view)).collect();
        Ok(Response::new(v1::ListResponse { jobs }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::Job>, Status> {
        let view = self.view(&request.into_inner().name)?;
        Ok(Response::new(self.message(&view)))
    }

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let name = JobName::from(request.into_inner().name);
        self.view(name.as_str())?;
        let handle = self.handle.clone();
        let (sender, stream) = mpsc::channel(BEHIND);
        tokio::spawn(async move {
            let board = handle.board();
            let Some(mut changes) = board.changes(&name) else { return };
            loop {
                changes.borrow_and_update();
                let Some(view) = board.job(&name) else { return };
                if sender.send(Ok(job::message(&view, board))).await.is_err() || is_over(&view) {
                    return;
                }
                match changed(&mut changes, &handle, &sender).await {
                    Next::Look => {}
                    Next::End => return,
                }
                // What comes together is shown together.
                tokio::time::sleep(UPDATE_EVERY).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn cancel(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::Changed>, Status> {
        self.change(Verb::Cancel(request.into_inner().name.into())).await
    }

    async fn pause(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::Changed>, Status> {
        self.change(Verb::Pause(request.into_inner().name.into())).await
    }

    async fn resume(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::Changed>, Status> {
        self.change(Verb::Resume(request.into_inner().name.into())).await
    }

    async fn retry(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::Changed>, Status> {
        self.change(Verb::Retry(request.into_inner().name.into())).await
    }

    async fn delete(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::Changed>, Status> {
        self.change(Verb::Delete(request.into_inner().name.into())).await
    }

    async fn prioritise(
        &self,
        request: Request<v1::PrioritiseRequest>,
    ) -> Result<Response<v1::Changed>, Status> {
        let v1::PrioritiseRequest { name, priority } = request.into_inner();
        self.change(Verb::Prioritise(name.into(), priority)).await
    }

    async fn evaluate(&self, request: Request<v1::EvaluateRequest>) -> Result<Response<v1::Changed>, Status> {
        let request = request.into_inner();
        let split = match request.split() {
            v1::Split::Validation => Split::Validation,
            v1::Split::Test | v1::Split::Unspecified => Split::Test,
        };
        let stage = Stage::Evaluate { split, step: request.step };
        self.change(Verb::Also(request.name.into(), stage)).await
    }

    async fn export(&self, request: Request<v1::ExportRequest>) -> Result<Response<v1::Changed>, Status> {
        let v1::ExportRequest { name, step } = request.into_inner();
        self.change(Verb::Also(name.into(), Stage::Export { step })).await
    }

    async fn inject(
        &self,
        request: Request<v1::InjectRequest>,
    ) -> Result<Response<v1::InjectResponse>, Status> {
        let request = request.into_inner();
        let fault = convert::fault(&request);
        let fault = fault.ok_or_else(|| Status::invalid_argument("a fault this version does not know"))?;
        if request.span_ms > LONGEST_FAULT.as_millis() as u64 {
            let longest = LONGEST_FAULT.as_secs() / 60;
            return Err(Status::invalid_argument(format!("a fault may last {longest} minutes at most")));
        }
        let kills_this = fault == Fault::KillCoordinator;
        if kills_this && self.runs.is_none() {
            return Err(ControlError::OnlyCoordinator.into());
        }
        let worker = (!kills_this).then(|| request.worker.as_str().into());
        let name = JobName::from(request.name);
        self.handle.ask(Verb::Inject(name.clone(), worker, fault)).await?.map_err(ControlError::from)?;
        let events = self.handle.board().events(&name, 0).unwrap_or_default();
        let event = events.into_iter().rev().find(|event| event.kind == FAULT);
        let (sequence, at_ms) = event.map_or((0, 0), |event| (event.sequence, event.at.0));
        if kills_this {
            tokio::spawn(async {
                tokio::time::sleep(LAST_WORDS).await;
                if let Err(why) = twinspire_processes::kill_this_process() {
                    tracing::error!(%why, "the coordinator could not kill itself");
                }
            });
        }
        Ok(Response::new(v1::InjectResponse { sequence, at_ms }))
    }

    async fn losses(
        &self,
        request: Request<v1::LossesRequest>,
    ) -> Result<Response<v1::LossesResponse>, Status> {
        let name = request.into_inner().name;
        self.view(&name)?;
        let losses = self.handle.board().losses(&JobName::from(name)).unwrap_or_default();
        let points = losses.iter().map(|point| v1::LossPoint { step: point.step, loss: point.loss });
        Ok(Response::new(v1::LossesResponse { points: points.collect() }))
    }

    async fn events(
        &self,
        request: Request<v1::EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        let v1::EventsRequest { name, follow, after } = request.into_inner();
        self.view(&name)?;
        let (name, handle) = (JobName::from(name), self.handle.clone());
        let (sender, stream) = mpsc::channel(BEHIND);
        tokio::spawn(async move {
            let board = handle.board();
            let Some(mut changes) = board.changes(&name) else { return };
            let mut seen = after;
            loop {
                changes.borrow_and_update();
                let over = board.job(&name).is_none_or(|view| is_over(&view));
                for event in board.events(&name, seen).unwrap_or_default() {
                    seen = event.sequence;
                    if sender.send(Ok(convert::event(event))).await.is_err() {
                        return;
                    }
                }
                if !follow || over {
                    return;
                }
                match changed(&mut changes, &handle, &sender).await {
                    Next::Look => {}
                    Next::End => return,
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn logs(&self, request: Request<v1::LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        let v1::LogsRequest { name, worker, follow, tail } = request.into_inner();
        let places = Places::of(&self.view(&name)?.spec);
        let run = Location::parse(&places.run).map_err(ControlError::from)?;
        let mut reader = LogReader::new(run, &worker);
        let mut lines = reader.next().await.map_err(ControlError::from)?;
        if tail > 0 {
            lines.drain(..lines.len().saturating_sub(tail as usize));
        }
        let (name, handle) = (JobName::from(name), self.handle.clone());
        let (sender, stream) = mpsc::channel(BEHIND);
        tokio::spawn(async move {
            loop {
                // Asked before reading: what a job wrote last is read once more after its end.
                let over = handle.board().job(&name).is_none_or(|view| is_over(&view));
                for line in std::mem::take(&mut lines) {
                    if sender.send(Ok(line)).await.is_err() {
                        return;
                    }
                }
                if !follow {
                    return;
                }
                tokio::select! {
                    () = tokio::time::sleep(LOGS_EVERY) => {}
                    () = sender.closed() => return,
                    () = handle.closed() => {
                        let _ = sender.send(Err(ControlError::Stopped.into())).await;
                        return;
                    }
                }
                match reader.next().await {
                    Ok(more) if more.is_empty() && over => return,
                    Ok(more) => lines = more,
                    Err(why) => {
                        let _ = sender.send(Err(ControlError::from(why).into())).await;
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn list_workers(
        &self,
        _: Request<v1::ListWorkersRequest>,
    ) -> Result<Response<v1::ListWorkersResponse>, Status> {
        let workers = self.handle.workers().await?;
        Ok(Response::new(v1::ListWorkersResponse { workers: workers.iter().map(job::worker).collect() }))
    }

    async fn drain(&self, request: Request<v1::WorkerRequest>) -> Result<Response<v1::Changed>, Status> {
        self.change(Verb::Drain(request.into_inner().name.into())).await
    }

    async fn undrain(&self, request: Request<v1::WorkerRequest>) -> Result<Response<v1::Changed>, Status> {
        self.change(Verb::Undrain(request.into_inner().name.into())).await
    }
}

/// What a stream does next.
enum Next {
    /// There is news.
    Look,
    /// There will be none, or nobody to hear it.
    End,
}

/// Waits until a job has changed. An engine that has ended changes nothing any more: whoever listens
/// is told to ask again, perhaps of another coordinator.
async fn changed<T>(
    changes: &mut watch::Receiver<u64>,
    handle: &Handle,
    sender: &mpsc::Sender<Result<T, Status>>,
) -> Next {
    tokio::select! {
        changed = changes.changed() => if changed.is_ok() { Next::Look } else { Next::End },
        () = sender.closed() => Next::End,
        () = handle.closed() => {
            let _ = sender.send(Err(ControlError::Stopped.into())).await;
            Next::End
        }
    }
}

fn is_over(view: &View) -> bool {
    view.job.phase.is_final() || view.is_paused()
}

/// An error as the protocol says it: a status, and the stable code beside it.
impl From<ControlError> for Status {
    fn from(error: ControlError) -> Status {
        let grpc = error.grpc_code();
        let mut status = Status::new(grpc, error.to_string());
        if let Ok(code) = error.code().parse() {
            status.metadata_mut().insert(twinspire_proto::CODE_KEY, code);
        }
        status
    }
}
