use tch::Tensor;
use twinspire_collective::{Collective, CollectiveError};

/// Share of impressions that [`Metrics::coverage_p90`] accounts for.
const MOST_IMPRESSIONS: f64 = 0.9;

/// Means over users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// Users with at least one target among their first k, by k.
    pub hit_rate: Vec<f64>,
    /// Share of a user's targets among its first k, by k.
    pub recall: Vec<f64>,
    /// Normalised discounted cumulative gain of the first k, by k.
    pub ndcg: Vec<f64>,
    /// Mean reciprocal rank of a user's best-ranked target.
    pub mrr: f64,
    /// Share of the catalogue that is among anybody's first k, by k.
    pub coverage: Vec<f64>,
    /// Share of the catalogue that makes up 90% of everybody's first k, by k (PinnerFormer, section 5.1).
    pub coverage_p90: Vec<f64>,
}

/// The model beside the popularity ranking of the same users.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Users with at least one target.
    pub users: u64,
    /// Targets.
    pub targets: u64,
    /// Items ranked.
    pub items: u64,
    /// The cut-offs.
    pub k: Vec<u32>,
    /// The model's.
    pub model: Metrics,
    /// Those of ranking by training count.
    pub popularity: Metrics,
}

/// Sums over the users seen so far, by one ranking.
pub(super) struct Sums {
    k: Vec<usize>,
    users: f64,
    targets: f64,
    hits: Vec<f64>,
    recall: Vec<f64>,
    ndcg: Vec<f64>,
    reciprocal: f64,
    /// How often an item is among the first k, `[k, items]`.
    impressions: Vec<Vec<f64>>,
}

impl Sums {
    pub(super) fn new(k: &[u32], items: usize) -> Self {
        Sums {
            k: k.iter().map(|&k| k as usize).collect(),
            users: 0.0,
            targets: 0.0,
            hits: vec![0.0; k.len()],
            recall: vec![0.0; k.len()],
            ndcg: vec![0.0; k.len()],
            reciprocal: 0.0,
            impressions: vec![vec![0.0; items]; k.len()],
        }
    }

    /// One user: ranks of its targets (1 = first) and the items ranked first, best first.
    pub(super) fn add(&mut self, ranks: &[usize], top: impl Iterator<Item = usize>) {
        self.users += 1.0;
        self.targets += ranks.len() as f64;
        let discount = |rank: usize| 1.0 / ((rank + 1) as f64).log2();
        for (slot, &k) in self.k.iter().enumerate() {
            let within = ranks.iter().copied().filter(|&rank| rank <= k);
            let hits = within.clone().count();
            self.hits[slot] += f64::from(hits > 0);
            self.recall[slot] += hits as f64 / ranks.len() as f64;
            let best: f64 = (1..=ranks.len().min(k)).map(discount).sum();
            self.ndcg[slot] += within.map(discount).sum::<f64>() / best;
        }
        self.reciprocal += ranks.iter().min().map_or(0.0, |&rank| 1.0 / rank as f64);
        for (place, item) in top.enumerate() {
            for (impressions, _) in self.impressions.iter_mut().zip(&self.k).filter(|(_, k)| place < **k) {
                impressions[item] += 1.0;
            }
        }
    }

    /// Adds up all workers'.
    pub(super) fn reduce(&mut self, collective: &dyn Collective) -> Result<(), CollectiveError> {
        if collective.size() == 1 {
            return Ok(());
        }
        let mut all: Vec<f64> = vec![self.users, self.targets, self.reciprocal];
        let vectors = |sums: &Sums| -> Vec<f64> {
            let counts = sums.impressions.iter().flatten();
            sums.hits.iter().chain(&sums.recall).chain(&sums.ndcg).chain(counts).copied().collect()
        };
        all.extend(vectors(self));
        let mut tensor = Tensor::from_slice(&all);
        collective.all_reduce_sum(&mut tensor)?;
        tensor.copy_data(&mut all, tensor.numel());
        let mut reduced = all.into_iter();
        let scalars = [&mut self.users, &mut self.targets, &mut self.reciprocal].into_iter();
        let lists = self.hits.iter_mut().chain(&mut self.recall).chain(&mut self.ndcg);
        let slots = scalars.chain(lists).chain(self.impressions.iter_mut().flatten());
        for (slot, value) in slots.zip(&mut reduced) {
            *slot = value;
        }
        Ok(())
    }

    pub(super) fn users(&self) -> u64 {
        self.users as u64
    }

    pub(super) fn targets(&self) -> u64 {
        self.targets as u64
    }

    pub(super) fn means(self) -> Metrics {
        let users = self.users.max(1.0);
        let mean = |sums: &[f64]| sums.iter().map(|sum| sum / users).collect();
        Metrics {
            hit_rate: mean(&self.hits),
            recall: mean(&self.recall),
            ndcg: mean(&self.ndcg),
            mrr: self.reciprocal / users,
            coverage: self.impressions.iter().map(|counts| share_seen(counts)).collect(),
            coverage_p90: self.impressions.into_iter().map(share_of_most).collect(),
        }
    }
}

fn share_seen(impressions: &[f64]) -> f64 {
    impressions.iter().filter(|&&count| count > 0.0).count() as f64 / impressions.len().max(1) as f64
}

/// Share of items, most shown first, that makes up most impressions.
fn share_of_most(mut impressions: Vec<f64>) -> f64 {
    impressions.sort_unstable_by(|a, b| b.total_cmp(a));
    let enough = impressions.iter().sum::<f64>() * MOST_IMPRESSIONS;
    let mut sum = 0.0;
    let needed = impressions.iter().take_while(|&&count| {
        let short = sum < enough;
        sum += count;
        short
    });
    needed.count() as f64 / impressions.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_target_at_rank_three_by_hand() {
        let mut sums = Sums::new(&[2, 5], 10);
        sums.add(&[3], [7, 8, 9, 1, 2].into_iter());
        let metrics = sums.means();
        assert_eq!(metrics.hit_rate, vec![0.0, 1.0]);
        assert_eq!(metrics.recall, vec![0.0, 1.0]);
        assert_eq!(metrics.ndcg, vec![0.0, 0.5]); // 1 / log2(4)
        assert!((metrics.mrr - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(metrics.coverage, vec![0.2, 0.5]);
    }

    #[test]
    fn several_targets_share_recall_and_a_perfect_order_has_ndcg_one() {
        let mut sums = Sums::new(&[2], 4);
        sums.add(&[1, 2, 4], [0, 1].into_iter());
        let metrics = sums.means();
        assert!((metrics.recall[0] - 2.0 / 3.0).abs() < 1e-12);
        assert!((metrics.ndcg[0] - 1.0).abs() < 1e-12);
        assert_eq!(metrics.mrr, 1.0);
    }

    #[test]
    fn ninety_percent_of_impressions() {
        assert_eq!(share_of_most(vec![1.0, 90.0, 9.0, 0.0]), 0.25);
        assert_eq!(share_of_most(vec![50.0, 50.0]), 1.0);
        assert_eq!(share_of_most(vec![0.0, 0.0]), 0.0);
    }
}
