//! Everything around the core that touches the world: connections, processes, the store, the
//! clock and Ctrl-C.
//!
//! [`Engine`] is the loop: it turns what happens into [`crate::core::Event`]s, applies them, and
//! carries out the [`crate::core::Command`]s that come back, in order.

mod convert;
mod engine;
mod log;
mod places;
mod processes;
mod recorder;
mod server;
mod signals;

pub use engine::Engine;
pub use log::tail;
pub use places::Places;
pub use processes::Processes;
pub use recorder::{Keep, Saved};
pub use server::Server;
pub use signals::Signals;
