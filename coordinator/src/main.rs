//! The control plane and the `coordinator` command line.
fn main() {}
