//! What can go wrong between ranks.

use std::time::Duration;

use tch::TchError;

/// Every code of [`CollectiveError`] with its meaning in one line.
pub const CODES: &[(&str, &str)] = &[
    ("TW4101", "the rendezvous server could not listen"),
    ("TW4102", "the ranks of a group did not all meet in time"),
    ("TW4103", "a rank waited longer than the group's time-out for the others"),
    ("TW4104", "a rank of the group died or left"),
    ("TW4105", "the group was closed by an earlier failure"),
    ("TW4106", "the ranks disagree on what they exchange"),
    ("TW4107", "a tensor or rank that no collective can take"),
    ("TW4108", "libtorch refused a tensor operation"),
    ("TW4109", "Gloo failed in a way that has no code of its own"),
];

/// Why a collective, or the meeting before it, failed.
#[derive(Debug, thiserror::Error)]
pub enum CollectiveError {
    /// The rendezvous server could not listen.
    #[error(
        "cannot host a rendezvous on {address}: {reason}; give an address of this machine that the others reach"
    )]
    Host {
        /// Address that was to be listened on.
        address: String,
        /// What the system said.
        reason: String,
    },
    /// Not all ranks came.
    #[error(
        "rank {rank} of {size} did not meet the others at {address} under {prefix:?} within {timeout:?}: {reason}; \
         see that all {size} workers run, and reach that address and each other"
    )]
    Meet {
        /// Where the ranks were to meet.
        address: String,
        /// The group's name there.
        prefix: String,
        /// This rank.
        rank: usize,
        /// How many were expected.
        size: usize,
        /// How long each stage of meeting may take.
        timeout: Duration,
        /// What Gloo said.
        reason: String,
    },
    /// A peer did not do its part in time.
    #[error(
        "rank {rank} waited {timeout:?} in {operation} for a peer that is frozen, cut off or far behind: {reason}"
    )]
    TimedOut {
        /// The operation waited in.
        operation: &'static str,
        /// This rank.
        rank: usize,
        /// The group's time-out.
        timeout: Duration,
        /// What Gloo said.
        reason: String,
    },
    /// A peer's connection closed.
    #[error("rank {rank} lost a peer in {operation}: {reason}")]
    PeerLost {
        /// The operation it happened in.
        operation: &'static str,
        /// This rank.
        rank: usize,
        /// What Gloo said.
        reason: String,
    },
    /// An earlier failure closed the group.
    #[error(
        "{operation} in a group that has failed before ({reason}); the ranks must meet again as a new group"
    )]
    Closed {
        /// The operation asked for.
        operation: &'static str,
        /// The failure that closed the group.
        reason: String,
    },
    /// The ranks' arguments do not fit together. Every rank is told the same, and the group stays open.
    #[error("the ranks disagree in {operation}: {difference}")]
    Disagree {
        /// The operation asked for.
        operation: &'static str,
        /// Who brought what.
        difference: String,
    },
    /// An argument no rank could take. Nothing was sent, and the group stays open.
    #[error("{operation} cannot take {argument}")]
    Argument {
        /// The operation asked for.
        operation: &'static str,
        /// The argument, and what it should be.
        argument: String,
    },
    /// Copying, joining or adding tensors failed.
    #[error("libtorch refused a tensor operation of a collective: {0}")]
    Tensor(#[from] TchError),
    /// Anything else Gloo throws.
    #[error("rank {rank}: Gloo failed in {operation}: {reason}")]
    Gloo {
        /// The operation it happened in.
        operation: &'static str,
        /// This rank.
        rank: usize,
        /// What Gloo said.
        reason: String,
    },
}

impl CollectiveError {
    /// The stable code, listed in [`CODES`].
    pub fn code(&self) -> &'static str {
        match self {
            Self::Host { .. } => "TW4101",
            Self::Meet { .. } => "TW4102",
            Self::TimedOut { .. } => "TW4103",
            Self::PeerLost { .. } => "TW4104",
            Self::Closed { .. } => "TW4105",
            Self::Disagree { .. } => "TW4106",
            Self::Argument { .. } => "TW4107",
            Self::Tensor(_) => "TW4108",
            Self::Gloo { .. } => "TW4109",
        }
    }

    /// Whether the group can go on: the failure came before anything was sent, or all ranks saw the same one.
    pub fn leaves_group_open(&self) -> bool {
        matches!(self, Self::Disagree { .. } | Self::Argument { .. })
    }

    /// Sorts what Gloo threw in `operation`. Its exceptions have one type, so the words have to tell.
    pub(crate) fn from_gloo(message: &str, operation: &'static str, rank: usize, timeout: Duration) -> Self {
        let reason = readable(message);
        let lower = reason.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if says(&["timed out", "timeout"]) {
            Self::TimedOut { operation, rank, timeout, reason }
        } else if says(&["closed", "reset by peer", "broken pipe", "connection"]) {
            Self::PeerLost { operation, rank, reason }
        } else {
            Self::Gloo { operation, rank, reason }
        }
    }
}

/// The first line of what libtorch threw, without the source position at its head.
pub(crate) fn readable(message: &str) -> String {
    let line = message.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given").trim();
    let text = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((position, text)) if position.contains(".cc:") || position.contains(".h:") => text,
        _ => line,
    };
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(message: &str) -> &'static str {
        CollectiveError::from_gloo(message, "barrier", 0, Duration::from_secs(1)).code()
    }

    #[test]
    fn gloos_words_tell_a_lost_peer_from_a_slow_one() {
        assert_eq!(
            code("[/src/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:4190"),
            "TW4104"
        );
        assert_eq!(
            code("[/src/gloo/transport/tcp/pair.cc:534] Read error [::1]:9: Connection reset by peer"),
            "TW4104"
        );
        assert_eq!(code("[/src/unbound_buffer.cc:81] Timed out waiting 1000ms for recv operation"), "TW4103");
        assert_eq!(code("Application timeout caused pair closure"), "TW4103");
        assert_eq!(code("Connection broken off: this rank leaves the group"), "TW4104");
        assert_eq!(code("Invalid scalar type"), "TW4109");
    }

    #[test]
    fn a_message_keeps_addresses_but_not_source_positions() {
        assert_eq!(
            readable("[../gloo/pair.cc:5] Connection closed by peer [::1]:9\nat 0x1"),
            "Connection closed by peer [::1]:9"
        );
        assert_eq!(readable("[::1] unreachable"), "[::1] unreachable");
        assert_eq!(readable(""), "no reason given");
    }

    #[test]
    fn every_code_is_listed_once() {
        let mut codes: Vec<_> = CODES.iter().map(|(code, _)| *code).collect();
        codes.dedup();
        assert_eq!(codes.len(), 9);
        assert!(codes.contains(&code("anything")));
    }
}
