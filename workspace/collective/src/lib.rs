//! Collectives on tensors: Gloo on CPUs.
