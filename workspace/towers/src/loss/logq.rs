//! logQ: how many copies of an item a step is expected to sample.

use super::CountMinSketch;

/// How often an item is a positive, by which in-batch negatives are sampled.
pub enum InBatchCounts<'a> {
    /// Counted while training.
    Sketch(&'a CountMinSketch),
    /// Counted in the dataset.
    Exact {
        /// By item.
        counts: &'a [i64],
        /// Their sum.
        total: i64,
    },
}

impl InBatchCounts<'_> {
    /// Probability that one in-batch negative is this item. An item never seen counts as seen once.
    fn probability(&self, item: i64) -> f64 {
        let (count, total) = match self {
            InBatchCounts::Sketch(sketch) => (sketch.count(item), sketch.total()),
            InBatchCounts::Exact { counts, total } => {
                (counts.get(item as usize).copied().unwrap_or(0), *total)
            }
        };
        count.max(1) as f64 / total.max(1) as f64
    }
}

/// Log of the expected number of copies of an item among a step's columns: `in_batch` columns drawn
/// by popularity and `random` ones drawn uniformly from `items`.
///
/// Subtracting it makes the sum over columns an unbiased estimate of the sum over all items. For
/// columns of both kinds under one softmax it is the expectation of both kinds together: each column
/// stands for all copies of its item, wherever they come from.
pub fn log_expected(item: i64, counts: &InBatchCounts, in_batch: usize, random: usize, items: usize) -> f64 {
    let by_popularity = if in_batch == 0 { 0.0 } else { in_batch as f64 * counts.probability(item) };
    let uniform = random as f64 / items.max(1) as f64;
    (by_popularity + uniform).ln()
}
