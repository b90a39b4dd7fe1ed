//! Scenarios, one sentence each. The simulator (`tests/simulation`) has those nobody thought of.

mod checkpoints;
mod coordinators;
mod failing;
mod finishing;
mod membership;
mod queue;
mod scheduling;
mod verbs;
mod world;

use world::*;
