//! The connection to a coordinator, made again whenever it breaks.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::Streaming;
use twinspire_proto::v1::{
    CoordinatorMessage, Welcome, coordinator_client::CoordinatorClient, coordinator_message::Body as Order,
};

use super::{
    Who,
    addresses::{ANSWER, Addresses, Backoff, address_towards},
};
use crate::voice::Voice;

/// An address that cannot be reached is complained about this often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What comes from the connection.
#[derive(Debug)]
pub(super) enum Heard {
    /// A coordinator welcomes this worker, which it reaches at this address.
    Connected(Welcome, IpAddr),
    /// It says something.
    Order(Box<CoordinatorMessage>),
    /// The connection broke, and is being made again.
    Lost,
    /// There will never be a connection again: a bug.
    Broken,
}

/// The connection, made for ever.
pub(super) struct Line {
    state: State,
    /// Which address is tried next, and what is known of those that do not answer.
    connector: Option<Connector>,
}

enum State {
    Connecting(AbortOnDropHandle<(Connector, Open)>),
    Open { orders: Box<Streaming<CoordinatorMessage>>, since: Instant },
}

/// A coordinator that answered.
struct Open {
    orders: Streaming<CoordinatorMessage>,
    welcome: Welcome,
    host: IpAddr,
}

impl Line {
    pub(super) fn new(addresses: Addresses, who: Who, voice: Voice) -> Line {
        let connector =
            Connector { addresses, who, voice, next: 0, backoff: Backoff::new(), complained: HashMap::new() };
        Line { state: State::connecting(connector, Duration::ZERO), connector: None }
    }

    /// What comes next. May be dropped and called again: nothing is lost.
    pub(super) async fn next(&mut self) -> Heard {
        match &mut self.state {
            State::Connecting(connecting) => match connecting.await {
                Ok((connector, Open { orders, welcome, host })) => {
                    self.connector = Some(connector);
                    self.state = State::Open { orders: Box::new(orders), since: Instant::now() };
                    Heard::Connected(welcome, host)
                }
                // Only a panic ends it otherwise.
                Err(why) => {
                    tracing::error!(%why, "connecting to the coordinator panicked");
                    Heard::Broken
                }
            },
            State::Open { orders, .. } => match orders.message().await {
                Ok(Some(message)) => Heard::Order(Box::new(message)),
                Ok(None) => self.lost("it closed the connection"),
                Err(status) => self.lost(status.message()),
            },
        }
    }

    /// Makes another connection instead of the present one.
    pub(super) fn lost(&mut self, why: &str) -> Heard {
        let State::Open { since, .. } = &self.state else { return Heard::Lost };
        let lived = since.elapsed();
        tracing::warn!(code = "TW5204", "the session with the coordinator ended: {why}; connecting again");
        if let Some(mut connector) = self.connector.take() {
            connector.voice.close();
            // One that welcomes workers and drops them is not asked ten times a second.
            if lived > Backoff::LONGEST {
                connector.backoff = Backoff::new();
            }
            let pause = connector.backoff.pause();
            self.state = State::connecting(connector, pause);
        }
        Heard::Lost
    }
}

impl State {
    fn connecting(connector: Connector, pause: Duration) -> State {
        State::Connecting(AbortOnDropHandle::new(tokio::spawn(connector.connect(pause))))
    }
}

/// Tries one address after another.
struct Connector {
    addresses: Addresses,
    who: Who,
    voice: Voice,
    next: usize,
    backoff: Backoff,
    complained: HashMap<usize, Instant>,
}

impl Connector {
    async fn connect(mut self, mut pause: Duration) -> (Connector, Open) {
        loop {
            tokio::time::sleep(pause).await;
            for _ in 0..self.addresses.len() {
                let tried = timeout(ANSWER, self.try_next()).await;
                match tried.unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER.as_secs()))) {
                    Ok(open) => {
                        self.voice.answered();
                        self.complained.clear();
                        return (self, open);
                    }
                    Err(why) => {
                        self.voice.close();
                        self.complain(&why);
                        self.next = (self.next + 1) % self.addresses.len();
                    }
                }
            }
            pause = self.backoff.pause();
        }
    }

    async fn try_next(&self) -> Result<Open, String> {
        let endpoint = self.addresses.nth(self.next);
        let channel = endpoint.connect().await.map_err(|why| in_full(&why))?;
        let host = address_towards(endpoint.uri()).await;
        let words = self.voice.open(|running, state| self.who.register(host, running, state));
        let answer = CoordinatorClient::new(channel).session(ReceiverStream::new(words)).await;
        let mut orders = answer.map_err(|status| status.message().to_owned())?.into_inner();
        match orders.message().await {
            Ok(Some(CoordinatorMessage { body: Some(Order::Welcome(welcome)), .. })) => {
                tracing::info!(coordinator = %endpoint.uri(), session = welcome.session, "registered");
                Ok(Open { orders, welcome, host })
            }
            Ok(Some(_)) => Err("it speaks another protocol: no welcome".into()),
            Ok(None) => Err("it closed the connection".into()),
            Err(status) => Err(status.message().to_owned()),
        }
    }

    fn complain(&mut self, why: &str) {
        let now = Instant::now();
        let due = |last: &Instant| now.duration_since(*last) >= COMPLAIN_EVERY;
        if self.complained.get(&self.next).is_none_or(due) {
            self.complained.insert(self.next, now);
            let url = self.addresses.nth(self.next).uri();
            tracing::warn!(code = "TW5203", "no coordinator answers at {url}: {why}; trying on");
        }
    }
}

/// An error with all its causes: tonic's own says "transport error" only.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(why) = cause {
        text = why.to_string();
        cause = why.source();
    }
    text
}
