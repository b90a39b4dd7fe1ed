//! The control plane.
pub mod core;
