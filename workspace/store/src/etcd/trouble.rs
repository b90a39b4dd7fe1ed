//! What went wrong with a call to etcd, and whether it is worth trying again.

use std::error::Error;
use std::iter;

use etcd_client::Error as ClientError;
use tonic::{Code, Status};

use crate::error::StoreError;

/// Why a call to etcd failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may pass.
    Passing {
        /// What etcd or the network said.
        reason: String,
        /// Whether etcd may have done, or may yet do, what it was asked to.
        maybe_done: bool,
    },
    /// The revision that was asked for is compacted away.
    Compacted,
    /// There is no such lease.
    NoLease,
    /// The users have changed since we logged in, and etcd wants us to do so again.
    OldToken(String),
    /// No entry with this user, password or certificate.
    Denied(String),
    /// What answers is no etcd that can be used.
    NoEtcd(String),
    /// etcd says that its data is damaged, or something that it should not say.
    Damaged(String),
}

impl Trouble {
    /// No answer in time.
    pub(super) fn too_late() -> Trouble {
        Trouble::Passing { reason: "no answer in time".into(), maybe_done: true }
    }

    /// What it is to who asked.
    pub(super) fn explain(self, place: &str, key: &str) -> StoreError {
        let (place, key) = (place.to_owned(), key.to_owned());
        match self {
            Trouble::Passing { reason, .. } | Trouble::OldToken(reason) => {
                StoreError::Unavailable { place, reason }
            }
            Trouble::Compacted => {
                StoreError::Unavailable { place, reason: "it was compacted meanwhile".into() }
            }
            Trouble::NoLease => StoreError::LeaseLost { key },
            Trouble::Denied(reason) => StoreError::Denied { place, reason },
            Trouble::NoEtcd(reason) => StoreError::Place {
                place,
                reason: format!("what answers there is no etcd 3.4 or newer: {reason}"),
            },
            Trouble::Damaged(reason) => StoreError::Damaged { place, reason },
        }
    }
}

impl From<ClientError> for Trouble {
    fn from(error: ClientError) -> Trouble {
        match error {
            ClientError::GRpcStatus(status) => status.into(),
            // What etcd-client makes of a keep-alive that is answered by no time left.
            ClientError::LeaseKeepAliveError(reason) if reason.contains("not found") => Trouble::NoLease,
            // Calls connect as they go; this is of a certificate or key that cannot be used.
            ClientError::TransportError(error) => {
                Trouble::Denied(with_causes(error.to_string(), error.source()))
            }
            error => Trouble::Passing { reason: error.to_string(), maybe_done: true },
        }
    }
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Trouble {
        let said = status.message().to_owned();
        match status.code() {
            Code::OutOfRange if said.contains("compacted") => Trouble::Compacted,
            Code::NotFound if said.contains("lease not found") => Trouble::NoLease,
            Code::Unauthenticated | Code::PermissionDenied => Trouble::Denied(said),
            Code::InvalidArgument if said.contains("auth store is old") => Trouble::OldToken(said),
            // A wrong password, a user where none is wanted, or none where one is.
            Code::InvalidArgument | Code::FailedPrecondition if is_about_users(&said) => {
                Trouble::Denied(said)
            }
            Code::Unimplemented => Trouble::NoEtcd(said),
            Code::InvalidArgument | Code::DataLoss | Code::AlreadyExists => Trouble::Damaged(said),
            // Refused before etcd took it up: nothing was done.
            Code::ResourceExhausted => {
                let full = said.contains("space exceeded");
                let remedy = if full { " (compact and defragment it, then disarm its alarm)" } else { "" };
                Trouble::Passing { reason: format!("{said}{remedy}"), maybe_done: false }
            }
            _ if is_certificate(&status) => Trouble::Denied(causes(&status)),
            _ => Trouble::Passing { reason: causes(&status), maybe_done: !was_never_sent(&status) },
        }
    }
}

fn is_about_users(said: &str) -> bool {
    ["user", "authentication", "auth token", "password"].iter().any(|word| said.contains(word))
}

/// Whether there was no connection to send it by.
fn was_never_sent(status: &Status) -> bool {
    chain(status.source()).any(|cause| cause.is::<tonic::ConnectError>())
}

/// Whether the server's certificate, or ours, was not accepted.
fn is_certificate(status: &Status) -> bool {
    let said = causes(status);
    ["certificate", "UnknownIssuer", "fatal alert"].iter().any(|word| said.contains(word))
}

fn causes(status: &Status) -> String {
    with_causes(status.message().to_owned(), status.source())
}

/// What was said, and why: a status alone says "transport error" of many things.
fn with_causes(mut said: String, source: Option<&(dyn Error + 'static)>) -> String {
    for cause in chain(source).map(ToString::to_string) {
        if !said.contains(&cause) {
            said = if said.is_empty() { cause } else { format!("{said}: {cause}") };
        }
    }
    said
}

fn chain<'a>(source: Option<&'a (dyn Error + 'static)>) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(source, |&error| error.source())
}
