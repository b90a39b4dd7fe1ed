//! Metrics files, TensorBoard event files and reports.
