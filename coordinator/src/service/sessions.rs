//! The gRPC service for workers: one stream a worker.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use twinspire_control::Session;
use twinspire_proto::{
    from_coordinator,
    v1::{
        CoordinatorMessage, Welcome, WorkerMessage, coordinator_message::Body as Order,
        coordinator_server::Coordinator, worker_message::Body,
    },
};

use super::{Handle, input::Input};

/// Where a worker's messages go out.
pub(super) type Outbox = mpsc::Sender<Result<CoordinatorMessage, Status>>;

/// Messages a worker may be behind before it is cut off. They are few and small: a worker that
/// does not take them is not there any more.
const OUTBOX: usize = 256;

/// Takes workers' streams in.
pub(super) struct Sessions {
    handle: Handle,
    next: Arc<AtomicU64>,
    idle_heartbeat: Duration,
}

impl Sessions {
    pub(super) fn new(handle: Handle, idle_heartbeat: Duration) -> Sessions {
        Sessions { handle, next: Arc::new(AtomicU64::new(1)), idle_heartbeat }
    }
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
        if register.name.is_empty() {
            return Err(Status::invalid_argument("a worker has a name"));
        }
        let session = Session(self.next.fetch_add(1, Ordering::Relaxed));
        let (outbox, orders) = mpsc::channel(OUTBOX);
        let heartbeat_ms = self.idle_heartbeat.as_millis() as u64;
        // The queue is new: there is room.
        let _ = outbox
            .try_send(Ok(from_coordinator(0, Order::Welcome(Welcome { session: session.0, heartbeat_ms }))));
        tracing::info!(%session, name = register.name, pid = register.pid, device = register.device, "registered");

        let handle = self.handle.clone();
        tokio::spawn(async move {
            // Ends with the connection, or when the engine lets go of the outbox.
            let dismissed = outbox.downgrade();
            if handle.send(Input::Registered { session, register, outbox }).await.is_err() {
                return;
            }
            let why = loop {
                match messages.message().await {
                    Ok(Some(WorkerMessage { generation, body: Some(body) })) => {
                        if dismissed.strong_count() == 0
                            || handle.send(Input::Said { session, generation, body }).await.is_err()
                        {
                            return;
                        }
                    }
                    // A message this version does not know.
                    Ok(Some(WorkerMessage { body: None, .. })) => {}
                    Ok(None) => break "it closed its connection".to_owned(),
                    Err(status) => {
                        tracing::info!(why = status.message(), "a worker's connection broke");
                        break "its connection broke".to_owned();
                    }
                }
            };
            let _ = handle.send(Input::Left { session, why }).await;
        });
        Ok(Response::new(ReceiverStream::new(orders)))
    }
}
