//! Numbers that must not be mistaken for one another.

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($of:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $of);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl $name {
            /// The one after it.
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }
    };
}

number! {
    /// One connection of one worker, numbered by the shell; never used twice.
    WorkerId(u64)
}
number! {
    /// One membership of a job: which workers, which ranks, which lanes each holds. Only grows.
    Generation(u64)
}
number! {
    /// Place of a worker within a generation.
    Rank(u32)
}
number! {
    /// One start of all worker processes.
    Launch(u32)
}
