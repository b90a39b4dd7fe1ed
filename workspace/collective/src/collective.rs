//! The meeting of ranks as a trait.

use tch::Tensor;

use crate::CollectiveError;

/// Operations in which all ranks of a group take part, in the same order on each.
///
/// Tensors are dense, of any device, and of kind Float, Double, Half, BFloat16, Int8, Uint8, Int or Int64. A *row*
/// is an index of dimension 0. Results carry no gradient history. A result may share memory with the argument it
/// equals.
pub trait Collective: Send + Sync {
    /// This member's place, `0..size`.
    fn rank(&self) -> usize;

    /// How many members the group has.
    fn size(&self) -> usize;

    /// Replaces `tensor`, of the same shape on every rank, with the sum over ranks: identical bits on all of them.
    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<(), CollectiveError>;

    /// Every rank's `tensor`, in rank order. The number of rows may differ by rank (also be 0); the other
    /// dimensions and the kind may not.
    fn all_gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, CollectiveError>;

    /// Sends `parts[r]` to rank r and returns the sum, in rank order, of all that was sent to this rank.
    ///
    /// `parts[r]` has as many rows on every rank; parts for different ranks may differ in rows (also have 0).
    fn reduce_scatter_sum(&self, parts: &[Tensor]) -> Result<Tensor, CollectiveError>;

    /// Replaces `tensor`, of the same shape on every rank, with that of rank `root`.
    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), CollectiveError>;

    /// Returns once every rank has called it.
    fn barrier(&self) -> Result<(), CollectiveError>;
}
