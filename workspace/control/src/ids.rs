//! Numbers and names that must not be mistaken for one another.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($of:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $of);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.into())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                $name(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A job's name: of all jobs there are, one has it.
    JobName
}
name! {
    /// A worker's name: a place, such as `node-3/cuda:0`, in which one process after another may
    /// live.
    WorkerName
}
number! {
    /// One life of a worker's process. A process that connects again says the same number.
    Incarnation(u64)
}
number! {
    /// One connection of a worker, numbered by the shell; never used twice by one coordinator.
    Session(u64)
}
number! {
    /// One membership of a job: which workers, which ranks, which lanes each holds. Only grows, and
    /// over all jobs of a pool, so that a late message about one is never taken for one about another.
    Generation(u64)
}
number! {
    /// Place of a worker within a generation.
    Rank(u32)
}
number! {
    /// Milliseconds since 1970, by the coordinator's clock. Within one coordinator it never goes
    /// back; over a change of coordinators it may, so no time-out spans one.
    Time(u64)
}

impl Generation {
    /// The one after it.
    pub fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

impl Time {
    /// Time since `earlier`; none if that is later.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Time {
    type Output = Time;

    fn add(self, span: Duration) -> Time {
        Time(self.0.saturating_add(span.as_millis() as u64))
    }
}
