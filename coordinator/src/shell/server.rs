//! The gRPC side: one stream a worker.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};
use twinspire_proto::{
    from_coordinator,
    v1::{
        CoordinatorMessage, Register, Welcome, WorkerMessage,
        coordinator_message::Body as Order,
        coordinator_server::{Coordinator, CoordinatorServer},
        worker_message::Body,
    },
};

use crate::{core::WorkerId, error::ControlError};

/// Where a worker's messages go out.
pub(crate) type Outbox = mpsc::Sender<Result<CoordinatorMessage, Status>>;

/// Messages a worker may be behind before it is cut off. They are few and small: a worker that
/// does not take them is not there any more.
const OUTBOX: usize = 256;

/// What comes in from workers.
#[derive(Debug)]
pub(crate) enum Incoming {
    Registered { worker: WorkerId, register: Register, outbox: Outbox },
    Said { worker: WorkerId, generation: u64, body: Body },
    Left { worker: WorkerId, why: String },
}

/// The listening server. It ends when it is dropped.
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
}

impl Server {
    /// Listens on loopback, at a free port.
    pub async fn on_loopback(heartbeat: Duration) -> Result<Server, ControlError> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(|source| ControlError::Listen { source })?;
        let address = listener.local_addr().map_err(|source| ControlError::Listen { source })?;
        let (events, incoming) = mpsc::channel(1024);
        let sessions = Sessions { events, next: Arc::new(AtomicU64::new(1)), heartbeat };
        let service = tonic::transport::Server::builder()
            .tcp_nodelay(true)
            .add_service(CoordinatorServer::new(sessions))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let task = tokio::spawn(async move {
            if let Err(why) = service.await {
                tracing::error!(%why, "the gRPC server ended");
            }
        });
        Ok(Server { address, task, incoming })
    }

    /// What workers connect to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Sessions {
    events: mpsc::Sender<Incoming>,
    next: Arc<AtomicU64>,
    heartbeat: Duration,
}

#[tonic::async_trait]
impl Coordinator for Sessions {
    type SessionStream = ReceiverStream<Result<CoordinatorMessage, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await?;
        let Some(WorkerMessage { body: Some(Body::Register(register)), .. }) = first else {
            return Err(Status::failed_precondition("the first message of a session must be `register`"));
        };
        let worker = WorkerId(self.next.fetch_add(1, Ordering::Relaxed));
        let (outbox, orders) = mpsc::channel(OUTBOX);
        let welcome = Welcome { worker: worker.0, heartbeat_ms: self.heartbeat.as_millis() as u64 };
        // The queue is new: there is room.
        let _ = outbox.try_send(Ok(from_coordinator(0, Order::Welcome(welcome))));
        tracing::info!(%worker, name = register.name, pid = register.pid, device = register.device, "registered");

        let events = self.events.clone();
        tokio::spawn(async move {
            let registered = Incoming::Registered { worker, register, outbox };
            if events.send(registered).await.is_err() {
                return;
            }
            let why = loop {
                match messages.message().await {
                    Ok(Some(WorkerMessage { generation, body: Some(body) })) => {
                        if events.send(Incoming::Said { worker, generation, body }).await.is_err() {
                            return;
                        }
                    }
                    // A message this version does not know.
                    Ok(Some(WorkerMessage { body: None, .. })) => {}
                    Ok(None) => break "it closed its connection".to_owned(),
                    Err(status) => break format!("its connection broke ({})", status.message()),
                }
            };
            let _ = events.send(Incoming::Left { worker, why }).await;
        });
        Ok(Response::new(ReceiverStream::new(orders)))
    }
}
