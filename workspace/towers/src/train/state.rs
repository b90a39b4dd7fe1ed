use tch::{Device, Tensor};

use super::Trainer;
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
    fn snapshot(name: impl Into<String>, tensor: &Tensor) -> Self {
        let flat = tensor.detach().reshape([-1]).to_device(Device::Cpu);
        // `to_device` is no copy when the tensor is on the CPU already.
        NamedTensor { name: name.into(), tensor: flat.copy() }
    }
}

/// Writes saved tensors back, each found by its name.
struct Restore<'a>(&'a [NamedTensor]);

impl Restore<'_> {
    /// The saved tensor of this name.
    fn find(&self, name: &str) -> Result<&Tensor, TowersError> {
        let found = self.0.iter().find(|saved| saved.name == name);
        let missing = || TowersError::StateMismatch { why: format!("it has no tensor `{name}`") };
        found.map(|saved| &saved.tensor).ok_or_else(missing)
    }

    /// Copies the saved tensor of this name into `target`.
    fn copy_to(&self, name: &str, target: &mut Tensor) -> Result<(), TowersError> {
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

impl Trainer {
    /// A copy of everything a resumed run needs.
    pub fn state(&self) -> Vec<NamedTensor> {
        let mut state = vec![NamedTensor::snapshot("dense", &self.model.dense.flat)];
        let moments = &self.dense_optimizer.moments;
        for (name, moment) in [("dense.first", &moments.first), ("dense.second", &moments.second)] {
            state.extend(moment.as_ref().map(|moment| NamedTensor::snapshot(name, moment)));
        }
        for (table, optimizer) in self.model.tables.iter().zip(&self.table_optimizers) {
            let name = format!("table.{}", table.name);
            state.push(NamedTensor::snapshot(name.as_str(), &table.weight));
            let moments = &optimizer.moments;
            for (kind, moment) in [("first", &moments.first), ("second", &moments.second)] {
                state.extend(moment.as_ref().map(|m| NamedTensor::snapshot(format!("{name}.{kind}"), m)));
            }
        }
        if let Some(sketch) = &self.sketch {
            state.push(NamedTensor { name: "sketch".into(), tensor: Tensor::from_slice(&sketch.to_state()) });
        }
        state
    }

    /// Has every worker hold the state that worker `root` has, which is that after `step` steps.
    ///
    /// # Errors
    /// A worker that is lost on the way; nobody's state has changed then.
    pub fn share_state(&mut self, root: usize, step: u64) -> Result<(), TowersError> {
        let behind = self.step != step;
        let mut state = self.state();
        for named in &mut state {
            self.collective.broadcast(&mut named.tensor, root)?;
        }
        if behind {
            self.restore(step, &state)?;
        }
        Ok(())
    }

    /// Takes back what `state` gave after `step` steps.
    pub fn restore(&mut self, step: u64, saved: &[NamedTensor]) -> Result<(), TowersError> {
        let saved = Restore(saved);
        saved.copy_to("dense", &mut self.model.dense.flat)?;
        let moments = &mut self.dense_optimizer.moments;
        for (name, moment) in [("dense.first", &mut moments.first), ("dense.second", &mut moments.second)] {
            moment.iter_mut().try_for_each(|moment| saved.copy_to(name, moment))?;
        }
        for (table, optimizer) in self.model.tables.iter_mut().zip(&mut self.table_optimizers) {
            let name = format!("table.{}", table.name);
            saved.copy_to(&name, &mut table.weight)?;
            let moments = &mut optimizer.moments;
            for (kind, moment) in [("first", &mut moments.first), ("second", &mut moments.second)] {
                moment.iter_mut().try_for_each(|moment| saved.copy_to(&format!("{name}.{kind}"), moment))?;
            }
        }
        if let Some(sketch) = &mut self.sketch {
            let state = crate::item::host(saved.find("sketch")?);
            if !sketch.restore(&state) {
                return Err(TowersError::StateMismatch { why: "its sketch has another size".into() });
            }
        }
        self.step = step;
        Ok(())
    }
}
