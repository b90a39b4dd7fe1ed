//! The gRPC server: workers' sessions, the jobs service, health and reflection.

use std::{future::Future, net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{service::Routes, transport::Endpoint};
use twinspire_proto::v1::{coordinator_server::CoordinatorServer, jobs_server::JobsServer};

use super::{Handle, api::Api, gate::Gate, sessions::Sessions};
use crate::ControlError;

/// Between two pings on a quiet connection; one that does not answer is closed.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long a leader may take to answer a follower that connects to it.
const CONNECT: Duration = Duration::from_secs(5);

/// An address that is listened on, before anybody is served.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Listens.
    pub async fn on(address: &str) -> Result<Listening, ControlError> {
        let failed = |source| ControlError::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Listening { listener, address })
    }

    /// The address, with the port that was free when none was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What clients and workers of this machine connect to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// A server that serves until it is dropped.
pub struct Server {
    gate: Gate,
    task: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Server {
    /// Serves, though for now nobody leads, until `end`.
    pub async fn start(listening: Listening, end: impl Future<Output = ()> + Send + 'static) -> Server {
        let gate = Gate::new();
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<JobsServer<Api>>().await;
        let mut own = Routes::new(health_service).prepare();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(twinspire_proto::DESCRIPTORS)
            .build_v1();
        if let Ok(reflection) = reflection {
            own = own.add_service(reflection);
        }
        let router = own.into_axum_router().fallback_service(gate.clone());
        let service = tonic::transport::Server::builder()
            .tcp_nodelay(true)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE))
            .add_routes(Routes::from(router))
            .serve_with_incoming_shutdown(TcpListenerStream::new(listening.listener), end);
        Server { gate, task: tokio::spawn(service) }
    }

    /// This coordinator leads. `runs` is where jobs that do not say otherwise keep their things.
    pub fn lead(&self, handle: Handle, idle_heartbeat: Duration, runs: Option<String>) {
        let sessions = CoordinatorServer::new(Sessions::new(handle.clone(), idle_heartbeat));
        let routes = Routes::new(sessions).add_service(JobsServer::new(Api::new(handle, runs)));
        self.gate.lead(routes.prepare().into_axum_router());
    }

    /// The coordinator at `url` leads.
    pub fn follow(&self, url: &str) {
        match Endpoint::from_shared(url.to_owned()) {
            Ok(leader) => {
                let leader = leader.connect_timeout(CONNECT).tcp_nodelay(true);
                self.gate.follow(leader.connect_lazy());
            }
            Err(why) => {
                tracing::error!(url, %why, "the leader's address is none");
                self.gate.close();
            }
        }
    }

    /// Nobody leads.
    pub fn close(&self) {
        self.gate.close();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
