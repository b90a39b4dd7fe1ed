//! Embedding tables of which a step touches a few rows.
//!
//! A dense gradient of a table with 100 million rows would cost a pass over all of it every step.
//! Instead, a step first says which rows it will read ([`Touched::union`]: sorted, the same on every
//! worker), copies them into a leaf tensor, reads only from that, and gets a gradient of just those
//! rows, which the optimizer applies. Nothing of a step is as large as the table.

use tch::{Kind, Tensor};
use twinspire_collective::{Collective, CollectiveError};

/// Which table, by the order of creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableId(pub usize);

/// One table.
pub struct Table {
    /// Its name.
    pub name: String,
    /// `[rows, dim]`, outside autograd.
    pub weight: Tensor,
}

/// The rows of one table a step reads.
pub struct Touched {
    /// Sorted row numbers `[touched]`; `None` = all rows.
    pub ids: Option<Tensor>,
    /// The rows `[touched, dim]`, a leaf of autograd.
    pub rows: Tensor,
    /// Their gradient, summed over lanes.
    pub grad: Option<Tensor>,
}

impl Touched {
    /// All rows of a table, for reading without gradient.
    pub fn all(table: &Table) -> Self {
        Touched { ids: None, rows: table.weight.shallow_clone(), grad: None }
    }

    /// All rows of a table, for a step that reads (nearly) all of it.
    pub fn all_with_grad(table: &Table) -> Self {
        let rows = table.weight.detach().set_requires_grad(true);
        Touched { ids: None, rows, grad: None }
    }

    /// The rows any worker's lanes read: the sorted union of everybody's ids.
    pub fn union(
        table: &Table,
        wanted: &[Tensor],
        collective: &dyn Collective,
    ) -> Result<Self, CollectiveError> {
        let device = table.weight.device();
        let mine = if wanted.is_empty() {
            Tensor::zeros([0], (Kind::Int64, device))
        } else {
            sorted_unique(&Tensor::cat(wanted, 0))
        };
        let ids = match collective.size() {
            1 => mine,
            _ => sorted_unique(&Tensor::cat(&collective.all_gather(&mine)?, 0)),
        };
        let rows = table.weight.index_select(0, &ids).set_requires_grad(true);
        Ok(Touched { ids: Some(ids), rows, grad: None })
    }

    /// Looks ids of any shape up: `[.., dim]`.
    pub fn get(&self, ids: &Tensor) -> Tensor {
        Tensor::embedding(&self.rows, &self.slots(ids), -1, false, false)
    }

    /// Where ids are among the touched rows.
    pub fn slots(&self, ids: &Tensor) -> Tensor {
        match &self.ids {
            None => ids.shallow_clone(),
            Some(touched) => ids.searchsorted(touched, false, false, "left", None::<Tensor>),
        }
    }

    /// Adds one backward pass's gradient.
    pub fn accumulate(&mut self, gradient: &Tensor) {
        if !gradient.defined() {
            return;
        }
        match &mut self.grad {
            Some(sum) => {
                let _ = sum.g_add_(gradient);
            }
            None => self.grad = Some(gradient.shallow_clone()),
        }
    }

    /// The gradient, zero where nothing was differentiated.
    pub fn take_grad(&mut self) -> Tensor {
        self.grad.take().unwrap_or_else(|| self.rows.detach().zeros_like())
    }
}

/// The rows of all tables a step reads, by [`TableId`].
pub struct Rows(pub Vec<Touched>);

impl Rows {
    /// Everything, for reading without gradient.
    pub fn all(tables: &[Table]) -> Self {
        Rows(tables.iter().map(Touched::all).collect())
    }

    /// One table's.
    pub fn of(&self, table: TableId) -> &Touched {
        &self.0[table.0]
    }
}

fn sorted_unique(ids: &Tensor) -> Tensor {
    ids.internal_unique(true, false).0
}
