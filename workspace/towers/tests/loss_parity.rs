//! The tiled loss against a plain dense formula in float64, differentiated by autograd.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};
use twinspire_job::PositiveCorrection;
use twinspire_towers::loss::{Candidates, ColumnItems, Gradients, Masks, Queries, Tiles, softmax};

const DIM: i64 = 8;
const ITEMS: i64 = 40;
const USERS: i64 = 12;

/// One random problem in float64.
struct Problem {
    users: Tensor,
    positives: Tensor,
    weights: Tensor,
    vectors: Tensor,
    row_items: Vec<i64>,
    row_users: Vec<i64>,
    others: Vec<Vec<i64>>,
    columns: ColumnItems,
    column_items: Vec<i64>,
    column_users: Vec<i64>,
    expected_rows: Option<Tensor>,
    expected_columns: Option<Tensor>,
    correction: PositiveCorrection,
    mask_others: bool,
    scale: f64,
}

impl Problem {
    fn random(rng: &mut ChaCha8Rng, correction: PositiveCorrection, full: bool) -> Self {
        let options = (Kind::Double, Device::Cpu);
        tch::manual_seed(rng.random());
        let (rows, extra) = (rng.random_range(1..30), rng.random_range(0..30));
        let row_items: Vec<i64> = (0..rows).map(|_| rng.random_range(0..ITEMS)).collect();
        let row_users: Vec<i64> = (0..rows).map(|_| rng.random_range(0..USERS)).collect();
        let (column_items, column_users): (Vec<i64>, Vec<i64>) = if full {
            ((0..ITEMS).collect(), vec![-1; ITEMS as usize])
        } else {
            let random = (0..extra).map(|_| (rng.random_range(0..ITEMS), -1));
            let in_batch = row_items.iter().copied().zip(row_users.iter().copied());
            in_batch.chain(random).unzip()
        };
        let columns = if full {
            ColumnItems::Identity { items: ITEMS as usize }
        } else {
            ColumnItems::Listed { items: column_items.clone(), users: column_users.clone() }
        };
        let count = column_items.len() as i64;
        let logq = !full;
        let others = (0..rows)
            .map(|_| (0..rng.random_range(0..4)).map(|_| rng.random_range(0..ITEMS)).collect())
            .collect();
        Problem {
            users: Tensor::randn([rows, DIM], options),
            positives: Tensor::randn([rows, DIM], options),
            weights: Tensor::rand([rows], options),
            vectors: Tensor::randn([count, DIM], options),
            expected_rows: logq.then(|| Tensor::randn([rows], options)),
            expected_columns: logq.then(|| Tensor::randn([count], options)),
            row_items,
            row_users,
            others,
            columns,
            column_items,
            column_users,
            correction,
            mask_others: rng.random(),
            scale: rng.random_range(0.3..3.0),
        }
    }

    fn tiled(&self, kind: Kind, tiles: Tiles) -> Gradients {
        let cast = |tensor: &Tensor| tensor.to_kind(kind);
        let others: Vec<&[i64]> = self.others.iter().map(Vec::as_slice).collect();
        let masks = Masks::new(
            &self.columns,
            &self.row_items,
            &self.row_users,
            self.mask_others.then_some(others.as_slice()),
        );
        let expected = self.expected_rows.as_ref().map(cast);
        let queries = Queries {
            users: &cast(&self.users),
            positives: &cast(&self.positives),
            weights: &cast(&self.weights),
            log_expected: expected.as_ref(),
        };
        let expected = self.expected_columns.as_ref().map(cast);
        let candidates = Candidates { vectors: &cast(&self.vectors), log_expected: expected.as_ref() };
        softmax(&queries, &candidates, self.scale, self.correction, &masks, tiles)
    }

    /// Loss of each row and the gradient of their sum by users, positives and vectors.
    fn dense(&self) -> (Tensor, Vec<Tensor>) {
        let leaf = |tensor: &Tensor| tensor.detach().copy().set_requires_grad(true);
        let (users, positives, vectors) = (leaf(&self.users), leaf(&self.positives), leaf(&self.vectors));
        let raw = (&users * &positives).sum_dim_intlist([1i64].as_slice(), false, Kind::Double) * self.scale;
        let fit = match (&self.expected_rows, self.correction) {
            (Some(expected), PositiveCorrection::Marginal) => raw - expected,
            _ => raw,
        };
        let mut logits = users.mm(&vectors.tr()) * self.scale;
        if let Some(expected) = &self.expected_columns {
            logits -= expected;
        }
        let mask: Vec<bool> = (0..self.row_items.len())
            .flat_map(|row| (0..self.column_items.len()).map(move |column| (row, column)))
            .map(|(row, column)| {
                let item = self.column_items[column];
                item == self.row_items[row]
                    || self.column_users[column] == self.row_users[row]
                    || (self.mask_others && self.others[row].contains(&item))
            })
            .collect();
        let mask = Tensor::from_slice(&mask).view(logits.size().as_slice());
        let logits = logits.masked_fill(&mask, f64::NEG_INFINITY);
        let losses = match self.correction {
            PositiveCorrection::None => {
                let any = mask.logical_not().any_dim(1, false);
                let negatives = logits.logsumexp([1i64].as_slice(), false);
                let miss: Tensor = 1.0 - (&fit - negatives.logaddexp(&fit)).exp();
                let missed = miss.detach();
                // Rows without any negative cannot be told from anything.
                let safe = negatives.where_self(&any, &fit.detach());
                (safe - fit) * missed * any.to_kind(Kind::Double)
            }
            _ => Tensor::cat(&[logits, fit.unsqueeze(1)], 1).logsumexp([1i64].as_slice(), false) - fit,
        };
        let losses = losses * &self.weights;
        let gradients =
            Tensor::run_backward(&[losses.sum(Kind::Double)], &[users, positives, vectors], false, false);
        (losses.detach(), gradients)
    }
}

fn close(name: &str, got: &Tensor, want: &Tensor, tolerance: f64) {
    let difference = (got.to_kind(Kind::Double) - want).abs().max().double_value(&[]);
    let size = want.abs().max().double_value(&[]).max(1.0);
    assert!(difference <= tolerance * size, "{name} is off by {difference:e}, its size being {size:e}");
}

fn check(correction: PositiveCorrection, full: bool) {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..25 {
        let problem = Problem::random(&mut rng, correction, full);
        let (losses, by) = problem.dense();
        let tiles = [
            Tiles { rows: 1024, columns: 8192 },
            Tiles { rows: rng.random_range(1..9), columns: rng.random_range(1..9) },
            Tiles { rows: rng.random_range(1..40), columns: 8192 },
        ];
        for tiles in tiles {
            for (kind, tolerance) in [(Kind::Double, 1e-11), (Kind::Float, 1e-5)] {
                let got = problem.tiled(kind, tiles);
                close("loss", &got.losses, &losses, tolerance);
                close("dU", &got.users, &by[0], tolerance);
                close("dP", &got.positives, &by[1], tolerance);
                close("dV", &got.candidates, &by[2], tolerance);
            }
        }
    }
}

#[test]
fn sampled_softmax_with_marginal_correction_equals_the_dense_formula() {
    check(PositiveCorrection::Marginal, false);
}

#[test]
fn sampled_softmax_with_conditional_correction_equals_the_dense_formula() {
    check(PositiveCorrection::Conditional, false);
}

#[test]
fn corrected_logq_without_the_positive_equals_the_dense_formula() {
    check(PositiveCorrection::None, false);
}

#[test]
fn full_softmax_equals_the_dense_formula() {
    check(PositiveCorrection::Marginal, true);
}

#[test]
fn extreme_logits_give_finite_losses_and_gradients() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for tiles in [Tiles { rows: 7, columns: 5 }, Tiles { rows: 64, columns: 64 }] {
        let mut problem = Problem::random(&mut rng, PositiveCorrection::Marginal, true);
        problem.scale = 1e3;
        let (losses, by) = problem.dense();
        let got = problem.tiled(Kind::Double, tiles);
        close("loss", &got.losses, &losses, 1e-11);
        close("dU", &got.users, &by[0], 1e-11);
        let got = problem.tiled(Kind::Float, tiles);
        assert!(got.losses.isfinite().all().int64_value(&[]) == 1);
        assert!(got.candidates.isfinite().all().int64_value(&[]) == 1);
    }
}
