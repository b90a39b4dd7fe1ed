//! The stream to the coordinator.

use std::{
    net::{IpAddr, Ipv4Addr, ToSocketAddrs, UdpSocket},
    time::Duration,
};

use tokio::{runtime::Handle, sync::mpsc, time::MissedTickBehavior};
use tokio_stream::wrappers::UnboundedReceiverStream;
use twinspire_proto::{
    from_worker,
    v1::{
        CoordinatorMessage, FailureKind, Heartbeat, Register, TaskFailed,
        coordinator_client::CoordinatorClient, coordinator_message::Body as Order, worker_message::Body,
    },
};

use crate::task::{self, Outbox, Running};

/// How long a coordinator that does not answer yet is waited for.
const CONNECT: Duration = Duration::from_secs(15);

/// Why a session could not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("threads cannot be started: {source}")]
    Runtime { source: std::io::Error },
    #[error("{url} is no address of a coordinator: {why}; write it as http://127.0.0.1:7070")]
    Url { url: String, why: String },
    #[error("no coordinator answers at {url}: {why}")]
    Unreachable { url: String, why: String },
    #[error("the coordinator ended the session: {why}")]
    Ended { why: String },
}

impl SessionError {
    pub(crate) fn code(&self) -> &'static str {
        match self {
            SessionError::Runtime { .. } => "TW5201",
            SessionError::Url { .. } => "TW5202",
            SessionError::Unreachable { .. } => "TW5203",
            SessionError::Ended { .. } => "TW5204",
        }
    }
}

/// What the process was doing when it was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Idle,
    Busy,
}

/// Registers with the coordinator and serves it until it says `shutdown`.
pub(crate) async fn run(url: &str, name: &str) -> Result<End, SessionError> {
    let mut client = connect(url).await?;
    let (outbox, stream) = mpsc::unbounded_channel();
    let host = address_towards(url);
    let register = Register {
        name: name.to_owned(),
        device: if std::path::Path::new("/dev/nvidia0").exists() { "cuda" } else { "cpu" }.into(),
        pid: std::process::id(),
        host: host.to_string(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let _ = outbox.send(from_worker(0, Body::Register(register)));
    let ended = |why: String| SessionError::Ended { why };
    let answer = client.session(UnboundedReceiverStream::new(stream)).await;
    let mut orders = answer.map_err(|status| ended(status.message().to_owned()))?.into_inner();

    let mut session = Session { outbox, host, newest: 0, running: None };
    let mut heartbeat = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            message = orders.message() => {
                let message = message.map_err(|status| ended(status.message().to_owned()))?;
                let Some(CoordinatorMessage { generation, body }) = message else {
                    return Err(ended("it closed the connection".into()));
                };
                match body {
                    Some(Order::Welcome(welcome)) => {
                        tracing::info!(worker = welcome.worker, url, "registered");
                        heartbeat = tokio::time::interval(Duration::from_millis(welcome.heartbeat_ms.max(10)));
                        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    }
                    Some(Order::Shutdown(_)) => return Ok(session.end()),
                    Some(order) => session.obey(generation, order),
                    None => tracing::warn!("a message this version does not know"),
                }
            }
            _ = heartbeat.tick() => {
                let _ = session.outbox.send(from_worker(session.newest, Body::Heartbeat(Heartbeat {})));
            }
        }
    }
}

struct Session {
    outbox: Outbox,
    host: IpAddr,
    newest: u64,
    running: Option<Running>,
}

impl Session {
    fn obey(&mut self, generation: u64, order: Order) {
        if generation < self.newest {
            return tracing::warn!(
                generation,
                newest = self.newest,
                "refused an order of an older generation"
            );
        }
        self.newest = generation;
        self.running = self.running.take().filter(Running::is_alive);
        match (order, &self.running) {
            (Order::Assign(assign), None) => {
                match task::start(generation, assign, self.host, self.outbox.clone(), Handle::current()) {
                    Ok(running) => self.running = Some(running),
                    Err(why) => {
                        self.refuse(generation, format!("the task's thread cannot be started: {why}"))
                    }
                }
            }
            (Order::Assign(_), Some(_)) => {
                self.refuse(generation, "this worker still has another task".into());
            }
            (order, Some(running)) if running.generation == generation => running.tell(order),
            (order, _) => tracing::warn!(?order, generation, "an order for a task that is not running"),
        }
    }

    fn refuse(&self, generation: u64, message: String) {
        let failed = TaskFailed { code: "TW5205".into(), message, kind: FailureKind::Internal.into() };
        let _ = self.outbox.send(from_worker(generation, Body::TaskFailed(failed)));
    }

    fn end(self) -> End {
        if self.running.is_some_and(|running| running.is_alive()) { End::Busy } else { End::Idle }
    }
}

async fn connect(url: &str) -> Result<CoordinatorClient<tonic::transport::Channel>, SessionError> {
    let endpoint = tonic::transport::Endpoint::from_shared(url.to_owned())
        .map_err(|why| SessionError::Url { url: url.into(), why: why.to_string() })?
        .tcp_nodelay(true)
        .connect_timeout(CONNECT);
    let deadline = tokio::time::Instant::now() + CONNECT;
    loop {
        match endpoint.connect().await {
            Ok(channel) => return Ok(CoordinatorClient::new(channel)),
            Err(_) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(why) => return Err(SessionError::Unreachable { url: url.into(), why: why.to_string() }),
        }
    }
}

/// The address of this machine as the coordinator, and so the other workers, see it. Nothing is
/// sent: connecting a datagram socket only asks the routing table.
fn address_towards(url: &str) -> IpAddr {
    let host = url.rsplit("://").next().unwrap_or(url).trim_end_matches('/');
    let ask = || -> Option<IpAddr> {
        let target = host.to_socket_addrs().ok()?.next()?;
        let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let probe = UdpSocket::bind(any).ok()?;
        probe.connect(target).ok()?;
        Some(probe.local_addr().ok()?.ip())
    };
    ask().unwrap_or(Ipv4Addr::LOCALHOST.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coordinator_on_loopback_has_its_workers_meet_on_loopback() {
        assert_eq!(address_towards("http://127.0.0.1:7070/"), Ipv4Addr::LOCALHOST);
    }
}
