//! What to generate.

use serde::{Deserialize, Serialize};

use crate::GenerateError;

/// What to generate. Everything but `threads` decides the bytes that come out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GenerateSpec {
    /// Users.
    pub users: u64,
    /// Items.
    pub items: u64,
    /// Events, exactly.
    pub events: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// Length of the time the events span.
    pub days: u32,
    /// When it starts, milliseconds since 1970.
    pub start_ms: i64,
    /// Length of an image-like vector.
    pub vector_dim: u32,
    /// Threads; 0 = one a core. Changes nothing but speed.
    #[serde(skip)]
    pub threads: u32,
}

impl Default for GenerateSpec {
    fn default() -> Self {
        GenerateSpec {
            users: 10_000,
            items: 5_000,
            events: 500_000,
            seed: 7,
            days: 90,
            start_ms: 1_704_067_200_000, // 2024-01-01
            vector_dim: 64,
            threads: 0,
        }
    }
}

/// What was generated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Users.
    pub users: u64,
    /// Items of the catalogue.
    pub items: u64,
    /// Events.
    pub events: u64,
    /// Files they are in.
    pub event_files: usize,
    /// Size of all files together.
    pub bytes: u64,
}

impl GenerateSpec {
    /// Events every user has at least.
    pub(crate) fn fewest_events(&self) -> u64 {
        (self.events / self.users).min(5)
    }

    pub(crate) fn threads(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get()),
            threads => threads as usize,
        }
    }

    pub(crate) fn check(&self) -> Result<(), GenerateError> {
        let refuse = |field, value, why: String| Err(GenerateError::Spec { field, value, why });
        if self.users < 2 || self.users > u64::from(u32::MAX) {
            return refuse("users", self.users, "is not between 2 and 4,294,967,295".into());
        }
        if self.items < 64 || self.items > i32::MAX as u64 {
            return refuse("items", self.items, "is not between 64 and 2,147,483,647".into());
        }
        if self.events < self.users {
            return refuse("events", self.events, format!("is fewer than one a user ({} users)", self.users));
        }
        if self.days == 0 || self.days > 36_500 {
            return refuse("days", u64::from(self.days), "is not between 1 and 36,500".into());
        }
        if self.vector_dim < 2 || self.vector_dim > 4096 {
            return refuse("vector_dim", u64::from(self.vector_dim), "is not between 2 and 4,096".into());
        }
        Ok(())
    }
}
