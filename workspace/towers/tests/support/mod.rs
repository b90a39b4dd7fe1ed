//! Small jobs, catalogues and batches, and workers that are threads.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code, unreachable_pub)]

use std::sync::{Arc, Barrier, Mutex};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tch::Tensor;
use twinspire_collective::{Collective, CollectiveError};
use twinspire_dataset::format::ActionInfo;
use twinspire_dataset::{Bucket, FeatureColumn, ItemTable, LaneBatch, Manifest, Queries, Tokens};
use twinspire_job::JobSpec;

pub const ITEMS: usize = 30;
pub const LANES: u32 = 6;

/// A small job; `changes` are merged into it.
pub fn job(changes: Value) -> JobSpec {
    let mut job = json!({
        "name": "small", "lanes": LANES, "log": {"uri": "log.parquet"},
        "towers": {
            "dim": 16, "normalize": true,
            "item": {"encoder": "id", "id_embedding": "table", "d_model": 16, "heads": 2, "ffn": 32, "mlp": [16],
                     "dropout": 0.0, "hash": {"rows": 64, "dim": 16}},
            "user": {"max_actions": 8, "objective": "sasrec", "d_model": 16, "layers": 2, "heads": 2,
                     "dropout": 0.0, "action_dim": 4, "surface_dim": 4}
        },
        "loss": {"negatives": {"mode": "mixed_concat", "random": 13}, "tile_rows": 7, "tile_columns": 9},
        "train": {"global_batch": 24, "schedule": "constant",
                  "optimizer": {"kind": "sgd", "lr": 0.5, "beta1": 0.0, "weight_decay": 0.0}}
    });
    merge(&mut job, changes);
    serde_json::from_value(job).unwrap()
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.into_iter().for_each(|(key, value)| merge(into.entry(key).or_insert(Value::Null), value));
        }
        (into, from) => *into = from,
    }
}

pub fn manifest() -> Manifest {
    let action = |name: &str| ActionInfo { name: name.into(), positive: true, weight: 1.0, count: 1 };
    Manifest {
        items: ITEMS as u64,
        actions: vec![action("click"), action("save")],
        surfaces: vec!["home".into(), "search".into(), "related".into()],
        has_time: true,
        has_durations: true,
        ..Manifest::empty("small")
    }
}

/// Items with a title (some without), one vector and up to three images.
pub fn catalogue() -> ItemTable {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut bounds = |most: usize| {
        let mut offsets = vec![0i64];
        (0..ITEMS).for_each(|_| offsets.push(offsets.last().unwrap() + rng.random_range(0..=most) as i64));
        offsets
    };
    let (words, images) = (bounds(4), bounds(3));
    let mut numbers = ChaCha8Rng::seed_from_u64(2);
    let mut floats =
        |count: usize| (0..count).map(|_| numbers.random_range(-1.0f32..1.0)).collect::<Vec<_>>();
    let (vector, image) = (floats(ITEMS * 5), floats(*images.last().unwrap() as usize * 4));
    let mut tokens = ChaCha8Rng::seed_from_u64(3);
    ItemTable {
        ids: (0..ITEMS).map(|i| format!("item-{i}")).collect(),
        counts: (0..ITEMS).map(|i| (ITEMS - i) as i64).collect(),
        positives: (0..ITEMS).map(|i| (ITEMS - i) as i64).collect(),
        features: vec![
            FeatureColumn::Tokens {
                name: "title".into(),
                vocabulary: 50,
                ids: (0..*words.last().unwrap()).map(|_| tokens.random_range(0..50)).collect(),
                offsets: words,
            },
            FeatureColumn::Vectors {
                name: "graph".into(),
                dim: 5,
                max: 1,
                offsets: (0..=ITEMS as i64).collect(),
                values: vector,
            },
            FeatureColumn::Vectors { name: "images".into(), dim: 4, max: 3, offsets: images, values: image },
        ],
    }
}

/// A lane's batch: users with random actions, every action but the first predicted from the one before.
pub fn batch(step: u64, lane: u32, users: usize) -> LaneBatch {
    let mut rng = ChaCha8Rng::seed_from_u64(step * 1000 + u64::from(lane));
    let mut lengths: Vec<usize> = (0..users).map(|_| rng.random_range(1..8)).collect();
    lengths.sort_unstable();
    // Two buckets: the shorter half, the longer half.
    let half = users / 2;
    let buckets: Vec<Bucket> = [&lengths[..half], &lengths[half..]]
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| Bucket { users: part.len(), len: *part.last().unwrap() })
        .collect();
    let grid: usize = buckets.iter().map(|bucket| bucket.users * bucket.len).sum();
    let mut tokens = Tokens {
        lengths: lengths.iter().map(|&length| length as i32).collect(),
        items: vec![0; grid],
        actions: vec![0; grid],
        surfaces: vec![0; grid],
        times: vec![0; grid],
        durations: vec![0.0; grid],
        buckets,
    };
    let mut queries = Queries { user_positives_offsets: vec![0], ..Queries::default() };
    for (slot, first) in tokens.first_tokens().into_iter().enumerate() {
        let (first, length) = (first as usize, lengths[slot]);
        let mut positives = Vec::new();
        for at in first..first + length {
            tokens.items[at] = rng.random_range(0..ITEMS as i64);
            tokens.actions[at] = rng.random_range(0..2);
            tokens.surfaces[at] = rng.random_range(0..3);
            tokens.times[at] = 1_700_000_000_000 + (at - first) as i64 * rng.random_range(1_000..9_000_000);
            tokens.durations[at] = rng.random_range(0.0..60.0);
            let positive = rng.random_range(0..ITEMS as i64);
            queries.token.push(at as i64);
            queries.user.push((step * 1000 + u64::from(lane) * 100) as i64 + slot as i64);
            queries.user_slot.push(slot as i64);
            queries.positive.push(positive);
            queries.weight.push(1.0 / length as f32);
            positives.push(positive);
        }
        positives.sort_unstable();
        positives.dedup();
        queries.user_positives.extend(positives);
        queries.user_positives_offsets.push(queries.user_positives.len() as i64);
    }
    LaneBatch {
        epoch: 0,
        step,
        lane,
        rows: queries.user.iter().map(|&user| user as u64).collect(),
        tokens,
        queries,
    }
}

/// Workers of one process: what one puts in, all can read once all have come.
pub struct Threads {
    rank: usize,
    size: usize,
    meet: Arc<Barrier>,
    slots: Arc<Vec<Mutex<Vec<Tensor>>>>,
}

impl Threads {
    pub fn group(size: usize) -> Vec<Threads> {
        let meet = Arc::new(Barrier::new(size));
        let slots: Arc<Vec<_>> = Arc::new((0..size).map(|_| Mutex::new(Vec::new())).collect());
        (0..size).map(|rank| Threads { rank, size, meet: meet.clone(), slots: slots.clone() }).collect()
    }

    /// Everybody's tensors, in rank order.
    fn exchange(&self, mine: Vec<Tensor>) -> Vec<Vec<Tensor>> {
        *self.slots[self.rank].lock().unwrap() = mine.iter().map(|tensor| tensor.detach().copy()).collect();
        self.meet.wait();
        let all =
            self.slots.iter().map(|slot| slot.lock().unwrap().iter().map(Tensor::copy).collect()).collect();
        self.meet.wait();
        all
    }
}

impl Collective for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_reduce_sum(&self, tensor: &mut Tensor) -> Result<(), CollectiveError> {
        let all = self.exchange(vec![tensor.shallow_clone()]);
        let sum = all.into_iter().map(|mut one| one.remove(0)).reduce(|a, b| a + b).unwrap();
        tensor.copy_(&sum);
        Ok(())
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, CollectiveError> {
        Ok(self.exchange(vec![tensor.shallow_clone()]).into_iter().map(|mut one| one.remove(0)).collect())
    }

    fn reduce_scatter_sum(&self, parts: &[Tensor]) -> Result<Tensor, CollectiveError> {
        let all = self.exchange(parts.iter().map(Tensor::shallow_clone).collect());
        Ok(all.into_iter().map(|mut parts| parts.remove(self.rank)).reduce(|a, b| a + b).unwrap())
    }

    fn broadcast(&self, tensor: &mut Tensor, root: usize) -> Result<(), CollectiveError> {
        let all = self.exchange(vec![tensor.shallow_clone()]);
        tensor.copy_(&all[root][0]);
        Ok(())
    }

    fn barrier(&self) -> Result<(), CollectiveError> {
        self.meet.wait();
        Ok(())
    }
}
