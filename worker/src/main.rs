//! The `worker` process: a session with the coordinator and the trainer loop.
fn main() {}
