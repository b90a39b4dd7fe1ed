//! The towers and everything that trains them: blocks, losses, optimizers, metrics.
//!
//! Two towers turn an item and a user into vectors of the same length; their inner product says how
//! well they fit. Data flows one way:
//!
//! ```text
//!  LaneBatch ──► item tower ──► item vectors ──► user tower ──► user vectors
//!                     │                               │
//!                     └────────► exchange ◄───────────┘      (ids and vectors of all lanes)
//!                                   │
//!                                 loss ──► dU, dV ──► backward, lane by lane ──► all-reduce ──► optimizer
//! ```
//!
//! - [`params`] holds all dense parameters in one flat tensor: one all-reduce, one optimizer update.
//! - [`table`] holds embedding tables; a step reads, differentiates and updates only the rows it touches.
//! - [`block`], [`item`], [`user`] are the models (ItemSage, PinnerFormer).
//! - [`loss`] is the tiled softmax over sampled or all items, with its gradient, without autograd.
//! - [`optim`] updates dense parameters and table rows.
//! - [`train`] is the step: [`Trainer`].
//! - [`evaluate`] ranks the full catalogue; [`script`] makes TorchScript of the towers.
//!
//! Every tensor operation here is the panicking kind of `tch`: shapes are fixed by construction, so a
//! failure is a bug or memory running out. The worker catches such a panic at the task's edge and
//! reports it as [`TowersError::Torch`].

pub mod block;
pub mod device;
mod error;
pub mod evaluate;
pub mod item;
pub mod loss;
mod model;
pub mod optim;
pub mod params;
pub mod script;
mod seed;
pub mod table;
pub mod train;
pub mod user;

pub use error::{CODES, TowersError};
pub use model::Model;
pub use train::{NamedTensor, StepReport, Told, Trainer};
