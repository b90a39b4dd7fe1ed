//! Commit: workers' gradients added up, checked, clipped and applied, on all of them alike.

use tch::{Kind, Tensor};

use super::sums::Sums;
use super::{StepReport, Trainer};
use crate::TowersError;
use crate::optim::learning_rate;
use crate::table::{Rows, Touched};

/// What was applied.
#[derive(Default)]
struct Update {
    /// Norm of the mean gradient before clipping.
    gradient_norm: f64,
    /// Share of the highest learning rate, by the schedule.
    rate: f64,
}

/// Touched rows of a table and their gradient `[touched, dim]`, summed over workers.
type TableGradient = (Touched, Tensor);

impl Trainer {
    /// Adds up workers' gradients and applies them, unless a loss or a gradient is no number. What can fail comes
    /// before the first change.
    pub(super) fn commit(&mut self, sums: Sums, rows: Rows) -> Result<StepReport, TowersError> {
        if let Some((lane, loss)) = sums.not_finite() {
            return Err(TowersError::LossNotFinite { step: self.step, lane, loss });
        }
        let tables = self.reduce_gradients(rows)?;
        let scale = self.scale(); // the one the loss was computed with
        let update = match sums.weight > 0.0 {
            true => tch::no_grad(|| self.apply(&tables, sums.weight))?,
            false => Update::default(),
        };
        self.step += 1;
        Ok(StepReport {
            step: self.step,
            loss: sums.loss(),
            queries: sums.queries,
            rows: sums.rows,
            gradient_norm: update.gradient_norm,
            learning_rate: update.rate * self.spec.train.optimizer.lr,
            scale,
            control: sums.control,
            committed: sums.committed,
            trained: sums.trained,
        })
    }

    /// Sums gradients over workers: the dense one in place, those of tables one after another.
    fn reduce_gradients(&mut self, rows: Rows) -> Result<Vec<TableGradient>, TowersError> {
        let solo = self.collective.size() == 1;
        if !solo {
            self.collective.all_reduce_sum(&mut self.model.dense.grad)?;
        }
        let mut tables = Vec::with_capacity(rows.0.len());
        for mut touched in rows.0 {
            let mut gradient = touched.take_grad();
            if !solo {
                self.collective.all_reduce_sum(&mut gradient)?;
            }
            tables.push((touched, gradient));
        }
        Ok(tables)
    }

    /// Applies the mean gradient, clipped.
    ///
    /// Invariant 1: the mean is by the weight of the *global* batch, so it does not matter how rows
    /// were dealt to workers.
    fn apply(&mut self, tables: &[TableGradient], weight: f64) -> Result<Update, TowersError> {
        let train = &self.spec.train;
        let gradient_norm = self.norm(tables) / weight;
        if !gradient_norm.is_finite() {
            return Err(TowersError::GradientNotFinite { step: self.step });
        }
        let clipped = train.clip_norm > 0.0 && gradient_norm > train.clip_norm;
        let shrink = if clipped { train.clip_norm / gradient_norm } else { 1.0 };
        let factor = shrink / weight;
        let rate = learning_rate(train.schedule, train.warmup_steps, self.total_steps, self.step);

        let gradient = &self.model.dense.grad * factor; // [parameters]
        self.dense_optimizer.apply(&mut self.model.dense, &gradient, rate, self.step);
        let optimizers = self.model.tables.iter_mut().zip(&mut self.table_optimizers);
        for ((table, optimizer), (touched, gradient)) in optimizers.zip(tables) {
            optimizer.apply(table, touched, &(gradient * factor), rate, self.step);
        }
        let highest = (1.0 / self.spec.loss.temperature.min).ln();
        let _ = self.model.log_scale.detach().clamp_max_(highest);
        Ok(Update { gradient_norm, rate })
    }

    /// Norm of the summed gradients of tables and dense parameters together.
    fn norm(&self, tables: &[TableGradient]) -> f64 {
        let by_table = tables.iter().map(|(_, gradient)| gradient);
        let squares = by_table
            .chain(std::iter::once(&self.model.dense.grad))
            .map(|gradient| gradient.square().sum(Kind::Double))
            .fold(Tensor::zeros([], (Kind::Double, self.model.device())), |sum, part| sum + part);
        squares.double_value(&[]).sqrt()
    }
}
