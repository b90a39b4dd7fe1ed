//! Where the ranks of a group meet: a small key-value server on one of them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, ToSocketAddrs, UdpSocket};
use std::os::fd::IntoRawFd;
use std::time::Duration;

use super::ffi::{RawGroup, RawServer};
use crate::CollectiveError;
use crate::error::readable;

/// How long the host may take to answer itself, which it does within milliseconds.
const HOST_ANSWERS: Duration = Duration::from_secs(10);

/// The address of a [`RendezvousHost`], as a rank sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendezvous {
    host: String,
    port: u16,
    bind: Option<String>,
}

impl Rendezvous {
    /// The host that listens on `host` (a name or an address) and `port`.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, bind: None }
    }

    /// Has the other ranks connect to this one at the local address `bind`.
    ///
    /// By default it is the address from which this machine reaches the host: 127.0.0.1 when that is on the
    /// loopback interface, else that of the interface that the route to it leaves by. A host that meets at its own
    /// name must give its address if the name means a loopback address to itself.
    pub fn bind(self, bind: impl Into<String>) -> Self {
        Self { bind: Some(bind.into()), ..self }
    }

    /// Meets the other ranks; an error is in words.
    pub(super) fn meet(
        &self,
        rank: usize,
        size: usize,
        prefix: &str,
        timeout: Duration,
    ) -> Result<RawGroup, String> {
        let bind = match &self.bind {
            Some(bind) => bind.clone(),
            None => local_address(&self.host, self.port)
                .map_err(|error| format!("no way to {self}: {error}"))?
                .to_string(),
        };
        RawGroup::connect(&self.host, self.port, &bind, prefix, rank, size, timeout)
            .map_err(|message| readable(&message))
    }
}

impl fmt::Display for Rendezvous {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.port)
    }
}

/// A running rendezvous server. It serves any number of groups, under their prefixes; a group that has met no
/// longer needs it. Dropping it closes it.
pub struct RendezvousHost {
    port: u16,
    _server: RawServer,
}

impl RendezvousHost {
    /// Listens on a free port of the local `address` (a name or an address; `0.0.0.0` for all interfaces).
    pub fn listen(address: &str) -> Result<Self, CollectiveError> {
        let refuse = |reason: String| CollectiveError::Host { address: address.to_owned(), reason };
        let listener = TcpListener::bind((address, 0)).map_err(|error| refuse(error.to_string()))?;
        let local = listener.local_addr().map_err(|error| refuse(error.to_string()))?;
        // The server is also its own first client, and cannot call "all interfaces".
        let own = match local.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let server = RawServer::start(listener.into_raw_fd(), &own.to_string(), local.port(), HOST_ANSWERS)
            .map_err(|message| refuse(readable(&message)))?;
        Ok(Self { port: local.port(), _server: server })
    }

    /// The port that was free.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The local address that packets to `host` leave from. Nothing is sent: connecting a datagram socket only asks
/// the routing table.
fn local_address(host: &str, port: u16) -> io::Result<IpAddr> {
    let target = (host, port)
        .to_socket_addrs()?
        .min_by_key(|address| address.is_ipv6())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
    let any: IpAddr =
        if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = UdpSocket::bind((any, 0))?;
    probe.connect(target)?;
    Ok(probe.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_loopback_host_is_reached_from_loopback() {
        assert_eq!(local_address("127.0.0.1", 9).unwrap(), Ipv4Addr::LOCALHOST);
        assert!(local_address("localhost", 9).unwrap().is_loopback());
    }

    #[test]
    fn an_address_of_another_machine_cannot_be_hosted_on() {
        // 192.0.2.0/24 is kept for documentation: no interface has it.
        let error = RendezvousHost::listen("192.0.2.1").err().unwrap();
        assert_eq!(error.code(), "TW4101");
        assert!(error.to_string().contains("192.0.2.1"), "{error}");
    }
}
