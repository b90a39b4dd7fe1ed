//! Who takes part in an attempt, in a few bytes: a record lists thousands.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::{Incarnation, Worker, WorkerName};

/// A member: not only a name, but the very process. In records it is a text, `node-3/cuda:0 3w5e11264sgsf`:
/// its name, and its process to the base of 36.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub worker: WorkerName,
    /// Which life of it.
    pub incarnation: Incarnation,
}

/// A text that is no member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name of a worker with the number of its process")]
pub struct NoMember(String);

impl Member {
    /// Whether a worker is that very process.
    pub(crate) fn is(&self, worker: &Worker) -> bool {
        self.incarnation == worker.incarnation
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = Vec::new();
        let mut left = self.incarnation.0;
        while left > 0 || digits.is_empty() {
            digits.extend(char::from_digit((left % BASE) as u32, BASE as u32));
            left /= BASE;
        }
        write!(f, "{} {}", self.worker, digits.iter().rev().collect::<String>())
    }
}

impl FromStr for Member {
    type Err = NoMember;

    /// A name may have spaces in it, a number has none.
    fn from_str(text: &str) -> Result<Member, NoMember> {
        let parts = text.rsplit_once(' ');
        let member = parts.and_then(|(worker, process)| {
            let incarnation = Incarnation(u64::from_str_radix(process, BASE as u32).ok()?);
            Some(Member { worker: worker.into(), incarnation })
        });
        member.ok_or_else(|| NoMember(text.into()))
    }
}

const BASE: u64 = 36;

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Member, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => text.parse().map_err(D::Error::custom),
            Written::Parts { worker, incarnation } => Ok(Member { worker, incarnation }),
        }
    }
}

/// A member in a record.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Text(String),
    /// Records from before it was a text.
    Parts {
        worker: WorkerName,
        incarnation: Incarnation,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(worker: &str, incarnation: u64) -> Member {
        Member { worker: worker.into(), incarnation: Incarnation(incarnation) }
    }

    #[test]
    fn a_member_is_a_name_and_a_short_number() {
        assert_eq!(member("gpu-0/1", u64::MAX).to_string(), "gpu-0/1 3w5e11264sgsf");
        assert_eq!(member("my machine", 36).to_string(), "my machine 10");
        assert_eq!(member("w", 0).to_string(), "w 0");
    }

    #[test]
    fn records_from_before_it_was_a_text_are_read() {
        let earlier = r#"{"worker": "gpu-0/1", "incarnation": 18446744073709551615}"#;
        assert_eq!(serde_json::from_str::<Member>(earlier).ok(), Some(member("gpu-0/1", u64::MAX)));
    }

    #[test]
    fn what_names_no_process_is_no_member() {
        for text in ["", "w", "w ", "w -1", "w 1!", "w 3w5e11264sgsg"] {
            assert_eq!(text.parse::<Member>(), Err(NoMember(text.into())));
        }
        assert!(serde_json::from_str::<Member>("7").is_err());
    }

    proptest! {
        #[test]
        fn whatever_a_worker_is_called_it_is_found_again(name in ".*", incarnation: u64) {
            let member = member(&name, incarnation);
            prop_assert_eq!(member.to_string().parse(), Ok(member.clone()));
            let record = serde_json::to_string(&member).expect("a text");
            prop_assert_eq!(serde_json::from_str::<Member>(&record).expect("a member"), member);
        }
    }
}
