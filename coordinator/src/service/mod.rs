//! Everything around the core that touches the world: connections, the store, storage and the
//! clock.
//!
//! ```text
//!   people ──► api ─────┐                                   ┌──► records (metadata store)
//!                       ├─► Handle ─► Engine ─► State ──────┼──► workers (gRPC sessions)
//!   workers ─► sessions ┘    inputs      events   commands  └──► Board (what people see)
//! ```
//! [`Engine`] is the loop: it turns inputs into [`twinspire_control::Event`]s, applies them one
//! after the other, and carries out the [`twinspire_control::Command`]s that come back, in order.

mod api;
mod board;
mod convert;
mod engine;
mod gate;
mod input;
mod logs;
mod losses;
mod places;
mod records;
mod reports;
mod server;
mod sessions;
mod signals;
mod timeouts;

pub use board::{Board, Happening, View};
pub(crate) use convert::{event, plan};
pub use engine::Engine;
pub use input::{Handle, Submission, WorkerView};
pub(crate) use logs::newest_generation;
pub use losses::LossPoint;
pub use places::Places;
pub(crate) use places::local_directory;
pub use records::{Found, Records, Saved};
pub use reports::ReportFile;
pub use server::{Listening, Server};
pub use signals::Signals;
pub use timeouts::timeouts;
