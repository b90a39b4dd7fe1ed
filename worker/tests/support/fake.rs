//! A coordinator without a mind: it does what a test says.
#![allow(dead_code, reason = "every test program uses another part of it")]

use std::{net::SocketAddr, pin::Pin, time::Duration};

use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_stream::{
    Stream,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use twinspire_proto::{
    from_coordinator,
    v1::{
        CoordinatorMessage, Register, Welcome, WorkerMessage,
        coordinator_message::Body as Order,
        coordinator_server::{Coordinator, CoordinatorServer},
        worker_message::Body,
    },
};

/// Far beyond what anything should need.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) type Answer = Result<CoordinatorMessage, Status>;

/// A coordinator that listens.
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    connections: mpsc::UnboundedReceiver<Connection>,
    serving: JoinHandle<()>,
}

/// A worker's connection.
pub(crate) struct Connection {
    pub(crate) register: Register,
    words: Streaming<WorkerMessage>,
    orders: mpsc::Sender<Answer>,
}

impl Fake {
    /// On a port nobody has.
    pub(crate) async fn start() -> Fake {
        Fake::listen("127.0.0.1:0".parse().unwrap()).await
    }

    /// On the port of one that is gone.
    pub(crate) async fn listen(address: SocketAddr) -> Fake {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, connections) = mpsc::unbounded_channel();
        let serving = tokio::spawn(async move {
            let service = CoordinatorServer::new(Door { arrived });
            Server::builder()
                .add_service(service)
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await
                .unwrap();
        });
        Fake { address, connections, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next worker that connects, welcomed.
    pub(crate) async fn connection(&mut self) -> Connection {
        let connection = tokio::time::timeout(DEADLINE, self.connections.recv()).await;
        let connection = connection.expect("a worker connects in time").expect("the door is open");
        connection.order(0, Order::Welcome(Welcome { session: 1, heartbeat_ms: 50 })).await;
        connection
    }

    /// Listens no more; connections there are go on.
    pub(crate) async fn stop(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }
}

impl Connection {
    /// The next thing the worker says besides heartbeats.
    pub(crate) async fn next(&mut self) -> (u64, Body) {
        loop {
            let message = tokio::time::timeout(DEADLINE, self.words.message()).await;
            let message = message.expect("in time").expect("a connection").expect("one more");
            match message.body.expect("a body") {
                Body::Heartbeat(_) => {}
                body => return (message.generation, body),
            }
        }
    }

    /// The next thing the worker says, heartbeats included; none when it is gone.
    pub(crate) async fn message(&mut self) -> Option<WorkerMessage> {
        tokio::time::timeout(DEADLINE, self.words.message()).await.expect("in time").ok().flatten()
    }

    pub(crate) async fn order(&self, generation: u64, order: Order) {
        // A worker that is gone hears nothing; tests see that otherwise.
        let _ = self.orders.send(Ok(from_coordinator(generation, order))).await;
    }

    /// What comes in, and what goes out.
    pub(crate) fn split(self) -> (Register, Streaming<WorkerMessage>, mpsc::Sender<Answer>) {
        (self.register, self.words, self.orders)
    }
}

struct Door {
    arrived: mpsc::UnboundedSender<Connection>,
}

#[tonic::async_trait]
impl Coordinator for Door {
    type SessionStream = Pin<Box<dyn Stream<Item = Answer> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<WorkerMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut words = request.into_inner();
        let first = words.message().await?.and_then(|message| message.body);
        let Some(Body::Register(register)) = first else {
            return Err(Status::invalid_argument("the first message is not `register`"));
        };
        let (orders, stream) = mpsc::channel(16);
        if self.arrived.send(Connection { register, words, orders }).is_err() {
            return Err(Status::unavailable("this coordinator is gone"));
        }
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}
