use tch::Tensor;
use twinspire_job::{OptimizerKind, OptimizerSpec};

use super::rule::{Moments, apply};
use crate::params::Dense;
use crate::table::{Table, Touched};

/// Optimizer of the flat dense tensor.
pub struct DenseOptimizer {
    spec: OptimizerSpec,
    /// Moments, in the shape of the flat tensor.
    pub moments: Moments,
}

impl DenseOptimizer {
    /// Moments begin at zero.
    pub fn new(spec: OptimizerSpec, dense: &Dense) -> Self {
        let zeros = || dense.flat.zeros_like();
        let moments =
            Moments { first: keeps_first(&spec).then(zeros), second: keeps_second(&spec).then(zeros) };
        DenseOptimizer { spec, moments }
    }

    /// One update; `gradient` is the mean over the global batch, in the order of the flat tensor.
    pub fn apply(&mut self, dense: &mut Dense, gradient: &Tensor, rate: f64, step: u64) {
        let total = dense.flat.size()[0];
        let parts = [(0, dense.decayed, self.spec.weight_decay), (dense.decayed, total - dense.decayed, 0.0)];
        for (start, len, decay) in parts.into_iter().filter(|part| part.1 > 0) {
            let part = |tensor: &Tensor| tensor.narrow(0, start, len);
            let mut moments = Moments {
                first: self.moments.first.as_ref().map(part),
                second: self.moments.second.as_ref().map(part),
            };
            let mut value = part(&dense.flat);
            apply(&self.spec, self.spec.lr * rate, decay, step, &mut value, &part(gradient), &mut moments);
        }
    }
}

/// Optimizer of one table: only touched rows are read and written.
pub struct TableOptimizer {
    spec: OptimizerSpec,
    /// Moments by row: `[rows, dim]` for Adam and momentum, `[rows, 1]` for Adagrad.
    pub moments: Moments,
}

impl TableOptimizer {
    /// Moments begin at zero.
    pub fn new(spec: OptimizerSpec, table: &Table) -> Self {
        let full = || table.weight.zeros_like();
        let second = keeps_second(&spec).then(|| match spec.kind {
            OptimizerKind::Adagrad => table.weight.narrow(1, 0, 1).contiguous().zeros_like(),
            _ => full(),
        });
        TableOptimizer { spec, moments: Moments { first: keeps_first(&spec).then(full), second } }
    }

    /// One update of the touched rows by their gradient `[touched, dim]`.
    pub fn apply(&mut self, table: &mut Table, touched: &Touched, gradient: &Tensor, rate: f64, step: u64) {
        let lr = self.spec.lr * rate;
        let Some(ids) = &touched.ids else {
            return apply(&self.spec, lr, 0.0, step, &mut table.weight, gradient, &mut self.moments);
        };
        let rows = |tensor: &Tensor| tensor.index_select(0, ids);
        let mut moments = Moments {
            first: self.moments.first.as_ref().map(rows),
            second: self.moments.second.as_ref().map(rows),
        };
        let mut value = touched.rows.detach();
        apply(&self.spec, lr, 0.0, step, &mut value, gradient, &mut moments);
        let _ = table.weight.index_copy_(0, ids, &value);
        for (kept, new) in
            [(&mut self.moments.first, &moments.first), (&mut self.moments.second, &moments.second)]
        {
            if let (Some(kept), Some(new)) = (kept, new) {
                let _ = kept.index_copy_(0, ids, new);
            }
        }
    }
}

fn keeps_first(spec: &OptimizerSpec) -> bool {
    match spec.kind {
        OptimizerKind::AdamW | OptimizerKind::Adam => true,
        OptimizerKind::Sgd => spec.beta1 > 0.0,
        OptimizerKind::Adagrad => false,
    }
}

fn keeps_second(spec: &OptimizerSpec) -> bool {
    spec.kind != OptimizerKind::Sgd
}
