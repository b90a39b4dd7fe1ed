//! What the engine is told, and how others tell it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use twinspire_control::{
    Answer, Generation, JobName, Rank, Refusal, Request, Session, Verb, Worker, WorkerName,
};
use twinspire_job::JobSpec;
use twinspire_proto::v1::{Register, worker_message::Body};

use super::{
    Board, Places,
    convert::{device_wish, plan, stragglers},
    sessions::Outbox,
    timeouts,
};
use crate::ControlError;

/// Inputs that may wait for the engine: more, and whoever sends them waits.
pub(super) const WAITING: usize = 4096;

/// What the engine is told.
#[derive(Debug)]
pub(super) enum Input {
    /// A worker connected.
    Registered { session: Session, register: Register, outbox: Outbox },
    /// A worker said something.
    Said { session: Session, generation: u64, body: Body },
    /// A worker's connection ended.
    Left { session: Session, why: String },
    /// A worker's process was seen to end.
    Ended { worker: WorkerName, why: String },
    /// Somebody asks for something.
    Asked { verb: Verb, spec: Option<Arc<JobSpec>>, answer: oneshot::Sender<Result<Answer, Refusal>> },
    /// Somebody wants to see the workers.
    Workers { answer: oneshot::Sender<Vec<WorkerView>> },
}

/// A worker, as people see it.
#[derive(Clone, Debug)]
pub struct WorkerView {
    /// Its name.
    pub name: WorkerName,
    /// What the core knows of it.
    pub worker: Worker,
    /// What it said when it registered.
    pub register: Arc<Register>,
    /// It gets no more tasks.
    pub drained: bool,
    /// Its rank in its job.
    pub rank: Option<Rank>,
    /// The lanes it holds there.
    pub lanes: std::ops::Range<u32>,
    /// Jobs whose work it cannot do.
    pub left_out_of: Vec<JobName>,
    /// Milliseconds since it was last heard of.
    pub silent_ms: u64,
}

/// A job that is submitted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What it is.
    pub spec: Arc<JobSpec>,
    /// What is to be decided about.
    pub request: Request,
}

impl Submission {
    /// A job with the plan of its spec. `generation` and `checkpoint` are what there is of it
    /// already.
    pub fn new(
        spec: JobSpec,
        key: String,
        priority: i32,
        generation: u64,
        checkpoint: Option<u64>,
    ) -> Submission {
        let request = Request {
            name: spec.name.as_str().into(),
            key,
            priority,
            lanes: spec.lanes,
            min_workers: spec.workers.min().max(1),
            max_workers: spec.workers.max().max(1),
            device: device_wish(spec.device),
            plan: plan(&spec),
            generation: Generation(generation),
            checkpoint,
            timeouts: timeouts(spec.recovery_target.0),
            chaos: spec.chaos,
            stragglers: stragglers(spec.stragglers),
        };
        Submission { spec: Arc::new(spec), request }
    }

    /// Where its things are.
    pub fn places(&self) -> Places {
        Places::of(&self.spec)
    }
}

/// The way to a running engine. Cheap to copy.
#[derive(Clone)]
pub struct Handle {
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) board: Arc<Board>,
}

impl Handle {
    /// What people see.
    pub fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// Takes a job on.
    pub async fn submit(&self, submission: Submission) -> Result<Result<Answer, Refusal>, ControlError> {
        let Submission { spec, request } = submission;
        self.asked(Verb::Submit(Box::new(request)), Some(spec)).await
    }

    /// Asks for something; the answer comes once it is recorded.
    pub async fn ask(&self, verb: Verb) -> Result<Result<Answer, Refusal>, ControlError> {
        self.asked(verb, None).await
    }

    async fn asked(
        &self,
        verb: Verb,
        spec: Option<Arc<JobSpec>>,
    ) -> Result<Result<Answer, Refusal>, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.send(Input::Asked { verb, spec, answer }).await?;
        answered.await.map_err(|_| ControlError::Stopped)
    }

    /// All workers there are.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.send(Input::Workers { answer }).await?;
        answered.await.map_err(|_| ControlError::Stopped)
    }

    /// A worker's process was seen to end.
    pub async fn ended(&self, worker: WorkerName, why: String) -> Result<(), ControlError> {
        self.send(Input::Ended { worker, why }).await
    }

    /// Waits until the engine has ended.
    pub(super) async fn closed(&self) {
        self.inputs.closed().await;
    }

    pub(super) async fn send(&self, input: Input) -> Result<(), ControlError> {
        self.inputs.send(input).await.map_err(|_| ControlError::Stopped)
    }

    /// The job's phase is final, or it is paused.
    pub async fn until_over(&self, job: &JobName) -> Option<super::View> {
        self.board.until(job, |view| view.job.phase.is_final() || view.is_paused()).await
    }
}
