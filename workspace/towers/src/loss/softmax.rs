use std::ops::Range;

use tch::{Kind, Tensor};
use twinspire_job::PositiveCorrection;

use super::Masks;

/// Rows of the loss.
pub struct Queries<'a> {
    /// User vectors `[rows, dim]`.
    pub users: &'a Tensor,
    /// Vectors of their positives `[rows, dim]`.
    pub positives: &'a Tensor,
    /// Weights `[rows]`.
    pub weights: &'a Tensor,
    /// Log of the positives' expected count `[rows]`, under logQ.
    pub log_expected: Option<&'a Tensor>,
}

/// Columns of the loss.
pub struct Candidates<'a> {
    /// Item vectors `[columns, dim]`.
    pub vectors: &'a Tensor,
    /// Log of their expected count `[columns]`, under logQ.
    pub log_expected: Option<&'a Tensor>,
}

/// Largest part of the logits that is there at once.
#[derive(Clone, Copy, Debug)]
pub struct Tiles {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

/// Loss and gradients, summed over rows.
pub struct Gradients {
    /// Weighted loss of each row `[rows]`.
    pub losses: Tensor,
    /// By user vector `[rows, dim]`.
    pub users: Tensor,
    /// By positive's vector `[rows, dim]`.
    pub positives: Tensor,
    /// By candidate's vector `[columns, dim]`.
    pub candidates: Tensor,
}

/// Softmax loss and its gradients, by tiles, without autograd.
///
/// `scale` is 1/τ. With one tile of columns the logits are computed once; with more, once for the
/// normaliser (online log-sum-exp) and once more for the gradient.
pub fn softmax(
    queries: &Queries,
    candidates: &Candidates,
    scale: f64,
    correction: PositiveCorrection,
    masks: &Masks,
    tiles: Tiles,
) -> Gradients {
    tch::no_grad(|| {
        let rows = queries.users.size()[0] as usize;
        let mut out = Gradients {
            losses: queries.weights.zeros_like(),
            users: queries.users.zeros_like(),
            positives: queries.positives.zeros_like(),
            candidates: candidates.vectors.zeros_like(),
        };
        let engine = Engine { queries, candidates, scale, correction, masks, tiles };
        for start in (0..rows).step_by(tiles.rows.max(1)) {
            engine.block(start..rows.min(start + tiles.rows.max(1)), &mut out);
        }
        out
    })
}

struct Engine<'a> {
    queries: &'a Queries<'a>,
    candidates: &'a Candidates<'a>,
    scale: f64,
    correction: PositiveCorrection,
    masks: &'a Masks<'a>,
    tiles: Tiles,
}

/// Exponentials of a tile's logits `e^{s - shift}`.
struct Exponentials {
    values: Tensor,
    /// `[rows, 1]`.
    shift: Tensor,
}

impl Engine<'_> {
    /// Loss and gradients of a block of rows against all columns.
    fn block(&self, rows: Range<usize>, out: &mut Gradients) {
        let (start, count) = (rows.start as i64, rows.len() as i64);
        let part = |tensor: &Tensor| tensor.narrow(0, start, count);
        let users = part(self.queries.users) * self.scale; // [rows, dim]
        let positives = part(self.queries.positives);
        let weights = part(self.queries.weights).unsqueeze(1); // [rows, 1]
        let masked = self.masks.of(rows);
        let column_tiles = self.column_tiles();

        // How well the positive fits, and the log-sum-exp of the negatives.
        let raw = (&users * &positives).sum_dim_intlist([1i64].as_slice(), true, None::<Kind>);
        let fit = match (self.correction, self.queries.log_expected) {
            (PositiveCorrection::Marginal, Some(expected)) => raw - part(expected).unsqueeze(1),
            _ => raw,
        };
        let mut kept = None;
        let mut negatives: Option<Tensor> = None; // log-sum-exp, [rows, 1]
        for tile in &column_tiles {
            let exponentials = self.exponentials(&users, tile, &masked, None);
            let tile_sum = exponentials.values.sum_dim_intlist([1i64].as_slice(), true, None::<Kind>);
            let tile_lse = tile_sum.log() + &exponentials.shift;
            negatives = Some(match negatives {
                Some(sum) => sum.logaddexp(&tile_lse),
                None => tile_lse,
            });
            if column_tiles.len() == 1 {
                kept = Some(exponentials);
            }
        }
        let Some(negatives) = negatives else {
            return; // No columns, nothing to tell the positive from.
        };

        // loss = c (lse - fit), c constant; d loss / d s_c = c p_c; d loss / d fit = c (p_fit - 1).
        let with_positive = negatives.logaddexp(&fit);
        let (normaliser, weights, pull) = match self.correction {
            PositiveCorrection::None => {
                let missed = 1.0 - (&fit - &with_positive).exp();
                let any_negative = negatives.gt(least(negatives.kind()) / 2.0).to_kind(negatives.kind());
                let weights: Tensor = weights * missed * any_negative;
                let pull = weights.neg();
                (negatives, weights, pull)
            }
            _ => {
                let pull = ((&fit - &with_positive).exp() - 1.0) * &weights;
                (with_positive, weights, pull)
            }
        };
        part(&out.losses).copy_(&((&normaliser - &fit) * &weights).squeeze_dim(1));

        let mut user_gradient = pull.shallow_clone() * &positives;
        part(&out.positives).copy_(&(&pull * &users));
        for tile in &column_tiles {
            let exponentials =
                kept.take().unwrap_or_else(|| self.exponentials(&users, tile, &masked, Some(&normaliser)));
            // p = e^{s - shift} · e^{shift - lse}: the second factor is one number a row.
            let factor = (&exponentials.shift - &normaliser).exp() * &weights; // [rows, 1]
            let vectors = self.vectors(tile);
            let mut pushed = exponentials.values.mm(&vectors);
            user_gradient += pushed.g_mul_(&factor);
            let _ = out
                .candidates
                .narrow(0, tile.start as i64, tile.len() as i64)
                .addmm_(&exponentials.values.tr(), &(&users * &factor));
        }
        part(&out.users).copy_(&(user_gradient * self.scale));
    }

    /// `e^{s - shift}` of one tile, masked columns 0. Without a `shift`, it is each row's largest logit.
    fn exponentials(
        &self,
        users: &Tensor,
        tile: &Range<usize>,
        masked: &[(u32, u32)],
        shift: Option<&Tensor>,
    ) -> Exponentials {
        let vectors = self.vectors(tile).tr();
        let mut logits = match self.candidates.log_expected {
            Some(expected) => {
                expected.narrow(0, tile.start as i64, tile.len() as i64).neg().addmm(users, &vectors)
            }
            None => users.mm(&vectors),
        };
        let flat: Vec<i64> = masked
            .iter()
            .filter(|(_, column)| tile.contains(&(*column as usize)))
            .map(|&(row, column)| i64::from(row) * tile.len() as i64 + i64::from(column) - tile.start as i64)
            .collect();
        if !flat.is_empty() {
            let at = Tensor::from_slice(&flat).to_device(logits.device());
            let _ = logits.view([-1]).index_fill_(0, &at, least(logits.kind()));
        }
        let shift = match shift {
            Some(shift) => shift.shallow_clone(),
            None => logits.amax([1i64].as_slice(), true),
        };
        let _ = logits.g_sub_(&shift).exp_();
        Exponentials { values: logits, shift }
    }

    fn vectors(&self, tile: &Range<usize>) -> Tensor {
        self.candidates.vectors.narrow(0, tile.start as i64, tile.len() as i64)
    }

    fn column_tiles(&self) -> Vec<Range<usize>> {
        let columns = self.candidates.vectors.size()[0] as usize;
        let width = self.tiles.columns.max(1);
        (0..columns).step_by(width).map(|start| start..columns.min(start + width)).collect()
    }
}

/// What masked logits are: so low that their exponential is 0, and still a number.
fn least(kind: Kind) -> f64 {
    match kind {
        Kind::Double => f64::MIN,
        _ => f64::from(f32::MIN),
    }
}
