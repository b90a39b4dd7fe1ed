//! The coordinator as a service: one of several, of which one leads.
//!
//! ```text
//!            ┌──────────── follow: pass everything on to the leader ◄─────────┐
//!   start ──►│                                                                │ lost the lease,
//!            └─ elected ──► read the records ──► lead: engine, sessions, API ─┘ deposed, store away
//! ```
//! Workers go on by themselves in between (invariant 5 of the architecture).

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::task::JoinHandle;
use twinspire_control::Policy;
use twinspire_store::{Election, Leadership, MetadataStore, StoreError};

use crate::{
    ControlError,
    display::note,
    service::{Engine, Listening, Records, Server, Signals},
};

/// A leader that is not heard of for so long is replaced.
const LEASE: Duration = Duration::from_secs(5);

/// Before standing again, after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// How long it may take to put things in order at the end.
const GRACE: Duration = Duration::from_secs(5);

/// What a service needs.
pub(crate) struct Serve {
    /// Where it listens.
    pub(crate) listen: String,
    /// What others reach it by; when not given, what it listens on.
    pub(crate) advertise: Option<String>,
    /// Where jobs that do not say otherwise keep their things.
    pub(crate) runs: String,
    /// What it remembers by.
    pub(crate) store: Arc<dyn MetadataStore>,
    /// How it runs its pool.
    pub(crate) policy: Policy,
}

/// Why leading ended.
enum Ended {
    /// Somebody wants the service to end.
    Signal,
    /// Another coordinator leads, or nobody.
    Deposed,
}

impl Serve {
    /// Serves until it is told to stop; `up` is told where.
    pub(crate) async fn run(self, up: impl FnOnce(SocketAddr)) -> Result<(), ControlError> {
        let mut signals = Signals::listen()?;
        let listening = Listening::on(&self.listen).await?;
        let address = listening.address();
        let url = self.advertise.clone().unwrap_or_else(|| reached_by(address));
        let server = Server::start(listening, std::future::pending()).await;
        up(address);
        let election = Election::new(Arc::clone(&self.store), "leader");
        loop {
            server.close();
            let leadership = tokio::select! {
                () = signals.next() => return Ok(()),
                leadership = self.follow(&election, &url, &server) => leadership?,
            };
            match self.lead(leadership, &server, &mut signals).await {
                Ok(Ended::Signal) => return Ok(()),
                Ok(Ended::Deposed) => tracing::warn!("this coordinator leads no more"),
                Err(why) if may_pass(&why) => {
                    tracing::error!(code = why.code(), %why, "stepping down; training goes on");
                    tokio::select! {
                        () = signals.next() => return Ok(()),
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
                Err(why) => return Err(why),
            }
        }
    }

    /// Passes on to whoever leads, until this coordinator does.
    async fn follow(
        &self,
        election: &Election,
        url: &str,
        server: &Server,
    ) -> Result<Leadership, ControlError> {
        let observe = async {
            loop {
                if let Ok(mut observer) = election.observe().await {
                    while let Some(Ok(leader)) = observer.next().await {
                        match leader.filter(|leader| leader.address != url) {
                            Some(leader) => {
                                note(format_args!("{} leads; passing on to it", leader.address));
                                server.follow(&leader.address);
                            }
                            None => server.close(),
                        }
                    }
                }
                // The store is away; whoever led may lead on.
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            leadership = election.campaign(url, LEASE) => Ok(leadership?),
            never = observe => never,
        }
    }

    /// Leads until that ends.
    async fn lead(
        &self,
        mut leadership: Leadership,
        server: &Server,
        signals: &mut Signals,
    ) -> Result<Ended, ControlError> {
        let mut records = Records::over(Arc::new(leadership.store()));
        let found = records.read().await?;
        let jobs = found.jobs.len();
        note(format_args!("leading, with {jobs} job{}", if jobs == 1 { "" } else { "s" }));
        let (handle, engine) = Engine::start(self.policy, records, found);
        let mut engine = Stops(engine);
        server.lead(handle, self.policy.idle_heartbeat, Some(self.runs.clone()));
        let ended = tokio::select! {
            () = signals.next() => Ok(Ended::Signal),
            () = leadership.lost() => Ok(Ended::Deposed),
            ended = &mut engine.0 => match ended {
                Ok(Err(ControlError::Superseded { .. } | ControlError::Store(StoreError::Deposed { .. }))) => {
                    Ok(Ended::Deposed)
                }
                Ok(Err(why)) => Err(why),
                Ok(Ok(())) | Err(_) => Err(ControlError::Stopped),
            },
        };
        server.close();
        drop(engine);
        if matches!(ended, Ok(Ended::Signal)) {
            // Another one may lead at once. If this fails, the lease runs out.
            let _ = tokio::time::timeout(GRACE, leadership.resign()).await;
        }
        ended
    }
}

/// A running engine, stopped when it is dropped: its workers' streams end with it.
struct Stops(JoinHandle<Result<(), ControlError>>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Whether leading may go better later.
fn may_pass(why: &ControlError) -> bool {
    matches!(why, ControlError::Store(why) if why.is_retryable())
}

/// What other machines reach an address by.
fn reached_by(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return format!("http://{address}");
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "localhost" } else { host.trim() };
    format!("http://{host}:{}", address.port())
}
