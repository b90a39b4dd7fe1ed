//! Scenarios, one sentence each. The simulator (`tests/simulation`) has those nobody thought of.

mod checkpoints;
mod coordinators;
mod draining;
mod failing;
mod faults;
mod finishing;
mod fitness;
mod leaving;
mod membership;
mod queue;
mod queue_properties;
mod readiness;
mod scheduling;
mod stragglers;
mod verbs;
mod world;

use world::*;
