use tch::{Device, Tensor};

use crate::TowersError;

/// A tensor of the training state: flat, contiguous, a copy on the CPU.
pub struct NamedTensor {
    /// Its name.
    pub name: String,
    /// `[numbers]`.
    pub tensor: Tensor,
}

impl NamedTensor {
    /// A copy that later steps do not change.
    pub(super) fn snapshot(name: impl Into<String>, tensor: &Tensor) -> Self {
        let flat = tensor.detach().reshape([-1]).to_device(Device::Cpu);
        // `to_device` is no copy when the tensor is on the CPU already.
        NamedTensor { name: name.into(), tensor: flat.copy() }
    }
}

/// Writes saved tensors back, each found by its name.
pub(super) struct Restore<'a>(pub &'a [NamedTensor]);

impl Restore<'_> {
    /// The saved tensor of this name.
    pub(super) fn find(&self, name: &str) -> Result<&Tensor, TowersError> {
        let found = self.0.iter().find(|saved| saved.name == name);
        let missing = || TowersError::StateMismatch { why: format!("it has no tensor `{name}`") };
        found.map(|saved| &saved.tensor).ok_or_else(missing)
    }

    /// Copies the saved tensor of this name into `target`.
    pub(super) fn copy_to(&self, name: &str, target: &mut Tensor) -> Result<(), TowersError> {
        let saved = self.find(name)?;
        if saved.numel() != target.numel() {
            return Err(TowersError::StateMismatch {
                why: format!(
                    "tensor `{name}` has {} numbers, the job's has {}",
                    saved.numel(),
                    target.numel()
                ),
            });
        }
        let shape = target.size();
        tch::no_grad(|| target.copy_(&saved.view(shape.as_slice())));
        Ok(())
    }
}
