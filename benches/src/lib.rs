//! Benchmarks, each against a named rival on the same work.
