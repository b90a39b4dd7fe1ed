use tch::{Device, Kind, Tensor};
use twinspire_collective::Collective;
use twinspire_dataset::Tokens;

use super::metrics::{Evaluation, Sums};
use crate::{Model, TowersError};

/// Items encoded at once.
const ITEM_CHUNK: i64 = 8192;
/// Scores that are there at once: 64 MB of f32.
const SCORES: usize = 16 << 20;

/// Users to be ranked for, in the order of `tokens.lengths`.
pub struct HeldOut {
    /// Their histories.
    pub tokens: Tokens,
    /// Held-out items of each.
    pub targets: Vec<Vec<i64>>,
    /// Items each engaged with before, which are not ranked. A target among them is not evaluated: were
    /// it alone to stay, the ranking would know the answer.
    pub seen: Vec<Vec<i64>>,
}

/// The catalogue as the item tower sees it now, ready to be searched.
pub struct Retrieval<'a> {
    model: &'a Model,
    collective: &'a dyn Collective,
    /// `[items, dim]`.
    items: Tensor,
    /// Items by the number of positive training actions, most first, and the place of each.
    popular: Vec<usize>,
    place: Vec<usize>,
    of_model: Sums,
    of_popularity: Sums,
    k: Vec<u32>,
}

impl<'a> Retrieval<'a> {
    /// Encodes all items, each worker its share. `positives` counts the positive training actions on
    /// each: what popularity is.
    pub fn new(
        model: &'a Model,
        collective: &'a dyn Collective,
        k: &[u32],
        positives: &[i64],
    ) -> Result<Self, TowersError> {
        let items = encode_catalogue(model, collective)?;
        if !items.isfinite().all().int64_value(&[]).eq(&1) {
            return Err(TowersError::VectorsNotFinite);
        }
        let count = items.size()[0] as usize;
        let mut popular: Vec<usize> = (0..count).collect();
        popular.sort_by_key(|&item| std::cmp::Reverse(positives.get(item).copied().unwrap_or(0)));
        let mut place = vec![0; count];
        popular.iter().enumerate().for_each(|(at, &item)| place[item] = at);
        Ok(Retrieval {
            model,
            collective,
            items,
            popular,
            place,
            of_model: Sums::new(k, count),
            of_popularity: Sums::new(k, count),
            k: k.to_vec(),
        })
    }

    /// Embeddings of all items `[items, dim]`.
    pub fn items(&self) -> &Tensor {
        &self.items
    }

    /// Ranks the catalogue for some of this worker's users.
    pub fn add(&mut self, held_out: &HeldOut) {
        if held_out.tokens.users() == 0 {
            return;
        }
        let users = self.model.encode_users(&held_out.tokens, &self.items); // [users, dim]
        let count = self.items.size()[0] as usize;
        let most = self.k.iter().copied().max().unwrap_or(1) as usize;
        let block = (SCORES / count.max(1)).max(1);
        let mut scores = Vec::new();
        for start in (0..held_out.tokens.users()).step_by(block) {
            let rows = block.min(held_out.tokens.users() - start);
            let part = users.narrow(0, start as i64, rows as i64);
            let tile = tch::no_grad(|| part.mm(&self.items.tr())).to_device(Device::Cpu).to_kind(Kind::Float);
            scores.resize(rows * count, 0f32);
            tile.contiguous().copy_data(&mut scores, rows * count);
            for (row, scores) in scores.chunks_exact_mut(count).enumerate() {
                let (targets, seen) = (&held_out.targets[start + row], &held_out.seen[start + row]);
                if !targets.is_empty() {
                    self.rank(scores, targets, seen, most);
                }
            }
        }
    }

    /// Adds up all workers' users. Every worker calls it once, after its last user.
    pub fn finish(mut self) -> Result<Evaluation, TowersError> {
        self.of_model.reduce(self.collective)?;
        self.of_popularity.reduce(self.collective)?;
        Ok(Evaluation {
            users: self.of_model.users(),
            targets: self.of_model.targets(),
            items: self.items.size()[0] as u64,
            k: self.k,
            model: self.of_model.means(),
            popularity: self.of_popularity.means(),
        })
    }

    fn rank(&mut self, scores: &mut [f32], targets: &[i64], seen: &[i64], most: usize) {
        let targets: Vec<usize> =
            targets.iter().filter(|target| !seen.contains(target)).map(|&target| target as usize).collect();
        if targets.is_empty() {
            return;
        }
        for &item in seen {
            scores[item as usize] = f32::NEG_INFINITY;
        }
        let ranks: Vec<usize> = targets.iter().map(|&target| rank_of(scores, target)).collect();
        self.of_model.add(&ranks, top(scores, most).into_iter());

        let mut skipped: Vec<usize> = seen.iter().map(|&item| self.place[item as usize]).collect();
        skipped.sort_unstable();
        skipped.dedup();
        let ranks: Vec<usize> = targets
            .iter()
            .map(|&target| self.place[target])
            .map(|place| place + 1 - skipped.partition_point(|&other| other < place))
            .collect();
        let first = (0..scores.len()).filter(|place| skipped.binary_search(place).is_err()).take(most);
        self.of_popularity.add(&ranks, first.map(|place| self.popular[place]));
    }
}

/// Embeddings of all items `[items, dim]`, each worker encoding its share.
pub fn encode_catalogue(model: &Model, collective: &dyn Collective) -> Result<Tensor, TowersError> {
    let (rank, size, total) = (collective.rank() as i64, collective.size() as i64, model.features.items());
    let (first, last) = (total * rank / size, total * (rank + 1) / size);
    let mut parts = Vec::new();
    for start in (first..last).step_by(ITEM_CHUNK as usize) {
        let end = last.min(start + ITEM_CHUNK);
        parts.push(model.encode_items(&Tensor::arange_start(start, end, (Kind::Int64, model.device()))));
    }
    if parts.is_empty() {
        parts.push(model.encode_items(&Tensor::zeros([1], (Kind::Int64, model.device()))).narrow(0, 0, 0));
    }
    let mine = Tensor::cat(&parts, 0);
    if size == 1 {
        return Ok(mine);
    }
    Ok(Tensor::cat(&collective.all_gather(&mine)?, 0))
}

/// Place of an item, 1 = first. Equal scores stand in the order of their numbers, so that a model that
/// tells nothing apart gains nothing by it; nor does one whose scores are no numbers.
fn rank_of(scores: &[f32], item: usize) -> usize {
    use std::cmp::Ordering::{Equal, Less};
    let own = scores[item];
    let by_own = |score: &f32| score.partial_cmp(&own);
    let before = scores[..item].iter().filter(|score| by_own(score) != Some(Less)).count();
    let after =
        scores[item + 1..].iter().filter(|score| !matches!(by_own(score), Some(Less | Equal))).count();
    1 + before + after
}

/// The `most` best items, best first.
fn top(scores: &[f32], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    let better = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
    let most = most.min(order.len());
    if most < order.len() {
        order.select_nth_unstable_by(most, better);
        order.truncate(most);
    }
    order.sort_unstable_by(better);
    order.retain(|&item| scores[item] > f32::NEG_INFINITY);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_stand_in_the_order_of_items() {
        let scores = [0.5, 0.5, 0.9, 0.5];
        assert_eq!(top(&scores, 3), vec![2, 0, 1]);
        assert_eq!([0, 1, 2, 3].map(|item| rank_of(&scores, item)), [2, 3, 1, 4]);
    }

    #[test]
    fn a_score_that_is_no_number_is_the_last() {
        let scores = [0.5, f32::NAN, 0.9, f32::NAN];
        assert_eq!([1, 3].map(|item| rank_of(&scores, item)), [4, 4]);
    }

    #[test]
    fn removed_items_are_not_among_the_first() {
        let scores = [f32::NEG_INFINITY, 0.1, f32::NEG_INFINITY];
        assert_eq!(top(&scores, 3), vec![1]);
        assert_eq!(rank_of(&scores, 1), 1);
    }
}
