use tch::{Kind, Tensor};
use twinspire_dataset::LaneBatch;
use twinspire_job::ItemVectorSource;

use crate::Model;
use crate::block::Mode;
use crate::item::ItemInputs;
use crate::table::Rows;
use crate::user::ActionInputs;

/// One lane's share of a step, on the device. Each distinct item is encoded once.
pub(super) struct Lane {
    pub lane: u32,
    actions: ActionInputs,
    /// The distinct items of tokens, positives and candidates.
    pub items: ItemInputs,
    /// Where tokens' items are among `items` `[tokens]`.
    history: Tensor,
    /// Where positives are among `items` `[queries]`.
    positives: Tensor,
    /// Where candidates are among `items` `[candidates]`.
    candidates: Tensor,
    /// Tokens that predict `[queries]`.
    queries: Tensor,
    /// `[queries]`.
    pub weights: Tensor,
}

/// What the towers made of a lane: the graphs, when they are kept.
pub(super) struct Encoded {
    /// Of the lane's distinct items `[items, dim]`.
    items: Tensor,
    /// `[queries, dim]`.
    users: Tensor,
}

/// The loss's gradient by what a lane contributed.
pub(super) struct LaneGradient {
    /// `[queries, dim]`.
    pub users: Tensor,
    /// `[queries, dim]`.
    pub positives: Tensor,
    /// `[candidates, dim]`.
    pub candidates: Tensor,
}

impl Lane {
    /// `candidates`: items this lane encodes as negatives beside its positives.
    pub(super) fn new(model: &Model, batch: &LaneBatch, candidates: &[i64]) -> Self {
        let device = model.device();
        let actions = ActionInputs::new(&batch.tokens, device);
        let positives = Tensor::from_slice(&batch.queries.positive).to_device(device);
        let candidates = Tensor::from_slice(candidates).to_device(device);
        let (tokens, queries) = (actions.len(), positives.size()[0]);
        let wanted = Tensor::cat(&[&actions.items, &positives, &candidates], 0);
        let (distinct, slots) = wanted.internal_unique(true, true); // [items], [tokens + queries + candidates]
        let part = |start: i64, len: i64| slots.narrow(0, start, len);
        Lane {
            lane: batch.lane,
            items: model.features.gather(&distinct),
            history: part(0, tokens),
            positives: part(tokens, queries),
            candidates: part(tokens + queries, candidates.size()[0]),
            queries: Tensor::from_slice(&batch.queries.token).to_device(device),
            weights: Tensor::from_slice(&batch.queries.weight).to_device(device),
            actions,
        }
    }

    /// Rows of the loss this lane gives.
    pub(super) fn rows(&self) -> i64 {
        self.queries.size()[0]
    }

    /// Candidates this lane encodes.
    pub(super) fn candidates(&self) -> i64 {
        self.candidates.size()[0]
    }

    /// Both towers.
    pub(super) fn encode(&self, model: &Model, rows: &Rows, mode: Mode) -> Encoded {
        let items = model.item.forward(&self.items, rows, mode); // [items, dim]
        let users = if self.rows() == 0 {
            items.narrow(0, 0, 0)
        } else {
            let vectors = model.frozen_vectors(&self.actions.items).unwrap_or_else(|| {
                let source = match model.source {
                    ItemVectorSource::TowerDetached => items.detach(),
                    _ => items.shallow_clone(),
                };
                Tensor::embedding(&source, &self.history, -1, false, false)
            }); // [tokens, width]
            model.user.forward(&self.actions, &vectors, &self.queries, mode) // [queries, dim]
        };
        Encoded { items, users }
    }

    /// `Σ u·dU + Σ v·dV`, whose gradient by the parameters is the loss's.
    pub(super) fn objective(&self, encoded: &Encoded, gradient: &LaneGradient) -> Tensor {
        let items = encoded.items.size()[0];
        let spread = |gradient: &Tensor, slots: &Tensor| {
            Tensor::embedding_dense_backward(gradient, slots, items, -1, false)
        };
        let mut by_item = spread(&gradient.positives, &self.positives); // [items, dim]
        if self.candidates() > 0 {
            by_item += spread(&gradient.candidates, &self.candidates);
        }
        (&encoded.users * &gradient.users).sum(None::<Kind>) + (&encoded.items * by_item).sum(None::<Kind>)
    }
}

impl Encoded {
    /// User vectors `[queries, dim]`, outside autograd.
    pub(super) fn users(&self) -> Tensor {
        self.users.detach()
    }

    /// Vectors of the lane's positives `[queries, dim]`, outside autograd.
    pub(super) fn positives(&self, lane: &Lane) -> Tensor {
        self.items.detach().index_select(0, &lane.positives)
    }

    /// Vectors of the lane's candidates `[candidates, dim]`, outside autograd.
    pub(super) fn candidates(&self, lane: &Lane) -> Tensor {
        self.items.detach().index_select(0, &lane.candidates)
    }
}
