//! Proof that every row is trained exactly once an epoch (invariant 2).
//!
//! With each step, every rank records which rows its lanes trained: an [`AuditRecord`] a lane-step,
//! encoded into an [`AuditPart`] that is stored, under a name of its own, before the checkpoint
//! that commits its steps. A step that is done again after a fault is recorded again by a later
//! generation; the later record takes the place of the earlier one, just as the later state took
//! the place of the one that was lost.
//!
//! [`Audit::check`] then counts, for every committed epoch, each row's appearances. A whole epoch
//! is held against all rows of the dataset, without trust in the shard plan; only for an epoch
//! under way does the plan say which rows were due.
//!
//! [`RowDigest`] is the cheap form: an order-independent digest of a set of rows. With every step all
//! ranks learn the digests of all lanes. When a rank dies, its records since the last checkpoint die
//! with it, though the survivors go on with what it trained; they store [`Witness`]es instead. The
//! rows of a lane-step that only was witnessed are those of the plan, if their digest is the
//! witnessed one.

mod check;
mod digest;
mod record;
mod witness;

pub use check::{Audit, AuditReport, EpochAudit};
pub use digest::RowDigest;
pub use record::{AuditPart, AuditRecord, part_name};
pub use witness::{Witness, decode_witnesses, encode_witnesses, witness_name};

#[cfg(test)]
mod tests;
