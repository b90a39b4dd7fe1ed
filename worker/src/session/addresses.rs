//! Where coordinators listen, and how often they are asked.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use tonic::transport::{Endpoint, Uri};

use super::SessionError;

/// How long an address that does not answer is waited for, to connect and to be welcomed.
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// A connection on which nothing has come for so long is asked whether it is still there…
const ASK_AFTER: Duration = Duration::from_secs(3);

/// …and given up when there is no answer within this: a coordinator's machine that is gone says no
/// goodbye. Both together are less than the time workers have to come back to a new coordinator.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The addresses of coordinators: the first one that answers is used.
#[derive(Clone, Debug)]
pub(crate) struct Addresses(Vec<Endpoint>);

impl Addresses {
    /// # Errors
    /// One is no address, or there is none.
    pub(crate) fn parse(urls: &[String]) -> Result<Addresses, SessionError> {
        let endpoints: Vec<Endpoint> = urls
            .iter()
            .map(|url| url.trim())
            .filter(|url| !url.is_empty())
            .map(|url| {
                let invalid = |why: String| SessionError::Url { url: url.into(), why };
                let endpoint =
                    Endpoint::from_shared(url.to_owned()).map_err(|why| invalid(why.to_string()))?;
                match endpoint.uri().scheme_str() {
                    Some("http") => Ok(endpoint
                        .tcp_nodelay(true)
                        .connect_timeout(ANSWER)
                        .http2_keep_alive_interval(ASK_AFTER)
                        .keep_alive_timeout(ANSWER_WITHIN)
                        .keep_alive_while_idle(true)),
                    Some(scheme) => Err(invalid(format!("`{scheme}://` is not spoken here"))),
                    None => Err(invalid("it does not say http://".into())),
                }
            })
            .collect::<Result<_, _>>()?;
        if endpoints.is_empty() {
            return Err(SessionError::Url { url: urls.join(","), why: "it is empty".into() });
        }
        Ok(Addresses(endpoints))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The `n`-th, counted round and round.
    pub(super) fn nth(&self, n: usize) -> &Endpoint {
        &self.0[n % self.0.len()]
    }
}

/// Pauses between rounds of tries: longer and longer, and at every worker others, so that ten
/// thousand of them do not come back in the same moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    pub(super) const LONGEST: Duration = Duration::from_secs(5);

    pub(super) fn new() -> Backoff {
        Backoff { next: Backoff::FIRST }
    }

    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(rand::random_range(0.5..1.0));
        self.next = (self.next * 2).min(Backoff::LONGEST);
        pause
    }
}

/// The address of this machine as the coordinator, and so the other workers, see it. Nothing is
/// sent: connecting a datagram socket only asks the routing table.
pub(super) async fn address_towards(coordinator: &Uri) -> IpAddr {
    let host = coordinator.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = coordinator.port_u16().unwrap_or(80);
    let found = tokio::net::lookup_host((host, port)).await.ok().and_then(|mut found| found.next());
    found.and_then(source_towards).unwrap_or(Ipv4Addr::LOCALHOST.into())
}

fn source_towards(target: SocketAddr) -> Option<IpAddr> {
    let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let probe = UdpSocket::bind(any).ok()?;
    probe.connect(target).ok()?;
    Some(probe.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_coordinator_on_loopback_has_its_workers_meet_on_loopback() {
        for url in ["http://127.0.0.1:7070/", "http://127.0.0.1"] {
            assert_eq!(address_towards(&url.parse().unwrap()).await, Ipv4Addr::LOCALHOST);
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_are_never_the_same() {
        let pauses = || {
            let mut backoff = Backoff::new();
            (0..10).map(|_| backoff.pause()).collect::<Vec<_>>()
        };
        let (some, others) = (pauses(), pauses());
        assert!(some[0] <= Backoff::FIRST && some[9] >= Backoff::LONGEST / 2, "{some:?}");
        assert!(some.iter().all(|pause| *pause <= Backoff::LONGEST));
        assert_ne!(some, others);
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for wrong in ["", "127.0.0.1:7070", "https://there:7070", "ftp://x", "http://", "http://a b"] {
            let error = Addresses::parse(&[wrong.to_owned()]).err().unwrap_or_else(|| panic!("{wrong}"));
            assert_eq!(error.code(), "TW5202");
            assert!(error.to_string().contains("http://127.0.0.1:7070"), "{error}");
        }
    }

    #[test]
    fn addresses_are_taken_round_and_round() {
        let both = Addresses::parse(&["http://a:1".into(), " http://b:2 ".into()]).unwrap();
        let hosts: Vec<_> = (0..3).map(|n| both.nth(n).uri().host().unwrap_or_default()).collect();
        assert_eq!(hosts, ["a", "b", "a"]);
    }
}
