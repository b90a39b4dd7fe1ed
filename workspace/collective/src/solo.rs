//! The meeting of one.

use tch::Tensor;

use crate::{Collective, CollectiveError, rows};

/// A group of one worker: every operation is the identity.
#[derive(Debug, Clone, Copy, Default)]
pub struct Solo;

impl Collective for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
        rows::check_kind("all_reduce_sum", tensor)
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, CollectiveError> {
        rows::check_rows("all_gather", tensor)?;
        Ok(vec![tensor.f_detach()?])
    }

    fn reduce_scatter_sum(&self, parts: &[Tensor]) -> Result<Tensor, CollectiveError> {
        rows::check_parts("reduce_scatter_sum", parts, 1)?;
        Ok(parts[0].f_detach()?)
    }

    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), CollectiveError> {
        rows::check_root("broadcast", root, 1)?;
        rows::check_kind("broadcast", tensor)
    }

    fn barrier(&self) -> Result<(), CollectiveError> {
        Ok(())
    }
}
