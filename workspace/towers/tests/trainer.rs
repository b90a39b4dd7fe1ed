//! The step as a whole: any number of workers, kept or recomputed graphs, resumed or not.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use support::{LANES, Threads, batch, catalogue, job, manifest};
use tch::{Device, Kind, Tensor};
use twinspire_collective::{Collective, CollectiveError, Solo};
use twinspire_dataset::audit::RowDigest;
use twinspire_job::JobSpec;
use twinspire_towers::{NamedTensor, StepReport, Told, TowersError, Trainer};

/// libtorch has one generator a process: tests that draw weights or dropout take turns.
static GENERATOR: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    tch::set_num_threads(1); // These tensors are too small to share among threads.
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

fn trainer(spec: &JobSpec, collective: Arc<dyn Collective>, lanes: std::ops::Range<u32>) -> Trainer {
    Trainer::new(spec, &manifest(), &catalogue(), Device::Cpu, collective, lanes, 100).unwrap()
}

/// Users of a lane; the last lane is empty, as at the end of an epoch.
fn users(lane: u32) -> usize {
    if lane == LANES - 1 { 0 } else { 3 + lane as usize }
}

fn run(trainer: &mut Trainer, steps: std::ops::Range<u64>) -> Vec<StepReport> {
    steps
        .map(|step| {
            let batches: Vec<_> = trainer.lanes().map(|lane| batch(step, lane, users(lane))).collect();
            trainer.step(&batches, Told::default()).unwrap()
        })
        .collect()
}

fn solo(spec: &JobSpec, steps: u64) -> (Vec<NamedTensor>, Vec<StepReport>) {
    let mut trainer = trainer(spec, Arc::new(Solo), 0..LANES);
    let reports = run(&mut trainer, 0..steps);
    (trainer.state(), reports)
}

fn largest_difference(a: &[NamedTensor], b: &[NamedTensor]) -> f64 {
    assert_eq!(a.len(), b.len());
    let difference = |(a, b): (&NamedTensor, &NamedTensor)| {
        assert_eq!(a.name, b.name);
        let (a, b) = (a.tensor.to_kind(Kind::Double), b.tensor.to_kind(Kind::Double));
        (&a - &b).norm().double_value(&[]) / b.norm().double_value(&[]).max(1e-12)
    };
    a.iter().zip(b).map(difference).fold(0.0, f64::max)
}

/// All the ways items are encoded and negatives chosen.
fn variants() -> Vec<(&'static str, Value)> {
    let id = json!({"encoder": "id", "id_embedding": "table"});
    let transformer = json!({"encoder": "transformer", "id_embedding": "none"});
    let hashed = json!({"encoder": "transformer", "id_embedding": "hash"});
    let mlp = json!({"encoder": "mlp", "id_embedding": "table"});
    let mut variants = Vec::new();
    for (name, item) in [("id", &id), ("transformer", &transformer), ("hashed", &hashed), ("mlp", &mlp)] {
        for mode in ["mixed_concat", "mixed_sum", "in_batch", "random", "full"] {
            let job =
                json!({"towers": {"item": item}, "loss": {"negatives": {"mode": mode, "max_in_batch": 40}}});
            variants.push((name, job));
        }
    }
    variants
}

#[test]
fn two_and_three_workers_take_the_same_step_as_one() {
    let _turn = turn();
    for (name, changes) in variants() {
        let spec = job(changes.clone());
        let (alone, reports) = solo(&spec, 2);
        for workers in [2u32, 3] {
            let group = Threads::group(workers as usize);
            let spec = &spec;
            let parts: Vec<(Vec<NamedTensor>, Vec<StepReport>)> = std::thread::scope(|scope| {
                // Weights are drawn one trainer after another: the generator is the process's.
                let trainers: Vec<Trainer> = group
                    .into_iter()
                    .map(|member| {
                        let rank = member.rank() as u32;
                        let lanes = LANES * rank / workers..LANES * (rank + 1) / workers;
                        trainer(spec, Arc::new(member), lanes)
                    })
                    .collect();
                let threads: Vec<_> = trainers
                    .into_iter()
                    .map(|mut trainer| {
                        scope.spawn(move || {
                            let reports = run(&mut trainer, 0..2);
                            (trainer.state(), reports)
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            for (state, theirs) in &parts {
                let off = largest_difference(state, &alone);
                assert!(off < 1e-5, "{name} {changes}: {workers} workers are off by {off:e}");
                assert!((theirs[1].loss - reports[1].loss).abs() < 1e-5 * reports[1].loss.abs());
                assert_eq!(theirs[1].rows, reports[1].rows);
            }
            assert_eq!(
                largest_difference(&parts[0].0, &parts[1].0),
                0.0,
                "{name}: workers differ from each other"
            );
        }
    }
}

#[test]
fn recomputed_graphs_give_the_gradient_of_kept_ones_with_dropout() {
    let _turn = turn();
    for (name, changes) in variants() {
        let with = |graphs: &str| {
            let mut changes = changes.clone();
            changes["train"] = json!({"graphs": graphs});
            changes["towers"]["user"] = json!({"dropout": 0.3, "attention_dropout": 0.2});
            changes["towers"]["item"]["dropout"] = json!(0.3);
            solo(&job(changes), 2).0
        };
        assert_eq!(largest_difference(&with("keep"), &with("recompute")), 0.0, "{name} {changes}");
    }
}

#[test]
fn a_restored_trainer_goes_on_exactly() {
    let _turn = turn();
    for optimizer in ["adamw", "adam", "sgd", "adagrad"] {
        let spec = job(json!({
            "towers": {"user": {"dropout": 0.2}},
            "train": {"schedule": "cosine", "clip_norm": 1.0,
                      "optimizer": {"kind": optimizer, "lr": 0.01, "beta1": 0.9, "weight_decay": 0.1}}
        }));
        let (whole, _) = solo(&spec, 6);
        let (half, _) = solo(&spec, 3);
        let mut resumed = trainer(&spec, Arc::new(Solo), 0..LANES);
        resumed.restore(3, &half).unwrap();
        run(&mut resumed, 3..6);
        assert_eq!(largest_difference(&resumed.state(), &whole), 0.0, "{optimizer}");
    }
}

#[test]
fn the_gradient_of_a_step_is_the_numerical_one() {
    let _turn = turn();
    // The loss at nudged weights, by central differences, against the step plain SGD takes.
    let spec = job(json!({
        "towers": {"item": {"encoder": "transformer", "id_embedding": "hash"}, "normalize": true},
        "loss": {"negatives": {"mode": "random", "random": 20}, "logq": "off"},
        "train": {"optimizer": {"kind": "sgd", "lr": 1.0, "beta1": 0.0, "weight_decay": 0.0}}
    }));
    let (start, _) = solo(&spec, 0);
    let (after, _) = solo(&spec, 1);
    let gradient = &start[0].tensor - &after[0].tensor; // lr is 1
    assert_eq!(start[0].name, "dense");
    let loss_at = |weights: &Tensor| {
        let mut state: Vec<NamedTensor> =
            start.iter().map(|s| NamedTensor { name: s.name.clone(), tensor: s.tensor.copy() }).collect();
        state[0].tensor = weights.copy();
        let mut trainer = trainer(&spec, Arc::new(Solo), 0..LANES);
        trainer.restore(0, &state).unwrap();
        run(&mut trainer, 0..1)[0].loss
    };
    tch::manual_seed(5);
    for _ in 0..5 {
        let direction = start[0].tensor.randn_like();
        let direction = &direction / direction.norm();
        let nudge = 0.02;
        let up = loss_at(&(&start[0].tensor + &direction * nudge));
        let down = loss_at(&(&start[0].tensor - &direction * nudge));
        let numerical = (up - down) / (2.0 * nudge);
        let analytical = (&gradient * &direction).sum(Kind::Double).double_value(&[]);
        let size = gradient.norm().double_value(&[]) / (gradient.numel() as f64).sqrt();
        assert!(
            (numerical - analytical).abs() < 0.1 * size.max(analytical.abs()),
            "{numerical} is not {analytical}"
        );
    }
}

#[test]
fn a_loss_that_is_no_number_stops_the_step_and_names_the_lane() {
    let _turn = turn();
    let spec = job(json!({}));
    let mut trainer = trainer(&spec, Arc::new(Solo), 0..LANES);
    let mut batches: Vec<_> = (0..LANES).map(|lane| batch(0, lane, users(lane))).collect();
    batches[2].queries.weight[0] = f32::NAN;
    let before = trainer.state();
    match trainer.step(&batches, Told::default()) {
        Err(TowersError::LossNotFinite { step: 0, lane: 2, .. }) => {}
        other => panic!("{other:?}"),
    }
    let changed = trainer.state().iter().zip(&before).any(|(a, b)| a.tensor != b.tensor);
    assert!(!changed);
}

#[test]
fn control_words_of_all_workers_are_ored() {
    let _turn = turn();
    let spec = job(json!({}));
    let group = Threads::group(2);
    let trainers: Vec<_> = group
        .into_iter()
        .map(|member| {
            let rank = member.rank() as u32;
            trainer(&spec, Arc::new(member), LANES * rank / 2..LANES * (rank + 1) / 2)
        })
        .collect();
    let controls: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = trainers
            .into_iter()
            .enumerate()
            .map(|(rank, mut trainer)| {
                scope.spawn(move || {
                    let batches: Vec<_> = trainer.lanes().map(|lane| batch(0, lane, users(lane))).collect();
                    trainer.step(&batches, Told { control: 1 << (rank * 2), committed: 0 }).unwrap().control
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(controls, vec![0b101, 0b101]);
}

/// A group of two whose other member has no lanes. It fails once so many operations were done.
struct Breaks {
    operations: AtomicUsize,
    last: AtomicUsize,
}

impl Breaks {
    fn meet(&self) -> Result<(), CollectiveError> {
        if self.operations.fetch_add(1, Relaxed) < self.last.load(Relaxed) {
            return Ok(());
        }
        Err(CollectiveError::Closed { operation: "test", reason: "the other one died".into() })
    }
}

impl Collective for Breaks {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        2
    }

    fn all_reduce_sum(&self, _: &mut Tensor) -> Result<(), CollectiveError> {
        self.meet()
    }

    fn all_gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, CollectiveError> {
        self.meet()?;
        Ok(vec![tensor.detach(), tensor.detach().narrow(0, 0, 0)])
    }

    fn reduce_scatter_sum(&self, parts: &[Tensor]) -> Result<Tensor, CollectiveError> {
        self.meet()?;
        Ok(parts[0].detach())
    }

    fn broadcast(&self, _: &mut Tensor, _: usize) -> Result<(), CollectiveError> {
        self.meet()
    }

    fn barrier(&self) -> Result<(), CollectiveError> {
        self.meet()
    }
}

#[test]
fn a_step_that_fails_wherever_it_does_has_changed_nothing_and_can_be_done_again() {
    let _turn = turn();
    let spec = job(json!({"loss": {"negatives": {"mode": "mixed_concat", "random": 30}, "logq": "sketch"}}));
    let mut undisturbed = trainer(&spec, Arc::new(Solo), 0..LANES);
    let group = Arc::new(Breaks { operations: AtomicUsize::new(0), last: AtomicUsize::new(0) });
    let mut disturbed = trainer(&spec, Arc::clone(&group) as _, 0..LANES);
    disturbed.restore(0, &undisturbed.state()).unwrap();
    let same = |a: &Trainer, b: &Trainer| {
        a.state().iter().zip(&b.state()).all(|(a, b)| a.name == b.name && a.tensor == b.tensor)
    };
    for step in 0..2 {
        let batches: Vec<_> = (0..LANES).map(|lane| batch(step, lane, users(lane))).collect();
        let mut failures = 0;
        loop {
            group.operations.store(0, Relaxed);
            group.last.store(failures, Relaxed);
            match disturbed.step(&batches, Told::default()) {
                Ok(_) => break,
                Err(TowersError::Collective(_)) => failures += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(same(&disturbed, &undisturbed), "failing at operation {failures} left a trace");
        }
        assert!(failures >= 4, "only {failures} operations a step");
        undisturbed.step(&batches, Told::default()).unwrap();
        assert!(same(&disturbed, &undisturbed), "after step {step}");
    }
}

#[test]
fn all_workers_come_to_the_state_of_the_one_that_is_ahead() {
    let _turn = turn();
    let spec = job(json!({"loss": {"negatives": {"mode": "mixed_concat", "random": 30}, "logq": "sketch"}}));
    let mut ahead = trainer(&spec, Arc::new(Solo), 0..LANES);
    run(&mut ahead, 0..5);
    let expected = ahead.state();
    let newcomer = trainer(&spec, Arc::new(Solo), 0..LANES);
    let group = Threads::group(2);
    let states: Vec<(u64, Vec<NamedTensor>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = group
            .into_iter()
            .zip([newcomer, ahead])
            .map(|(member, mut trainer)| {
                scope.spawn(move || {
                    trainer.join(Arc::new(member), 0..0, 100);
                    trainer.share_state(1, 5).unwrap();
                    (trainer.step_number(), trainer.state())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (step, state) in states {
        assert_eq!(step, 5);
        assert!(state.iter().zip(&expected).all(|(a, b)| a.name == b.name && a.tensor == b.tensor));
    }
}

#[test]
fn every_worker_learns_which_rows_each_lane_trained() {
    let _turn = turn();
    let spec = job(json!({}));
    let mut trainer = trainer(&spec, Arc::new(Solo), 0..LANES);
    let reports = run(&mut trainer, 0..1);
    let expected: Vec<RowDigest> =
        (0..LANES).map(|lane| RowDigest::of(batch(0, lane, users(lane)).rows)).collect();
    assert_eq!(reports[0].trained, expected);
}

#[test]
fn training_learns_what_it_is_shown() {
    let _turn = turn();
    for mode in ["full", "mixed_concat"] {
        let spec = job(json!({
            "loss": {"negatives": {"mode": mode, "random": 30}},
            "train": {"optimizer": {"kind": "adamw", "lr": 0.01}}
        }));
        let mut trainer = trainer(&spec, Arc::new(Solo), 0..LANES);
        let batches: Vec<_> = (0..LANES).map(|lane| batch(0, lane, users(lane))).collect();
        let losses: Vec<f64> =
            (0..60).map(|_| trainer.step(&batches, Told::default()).unwrap().loss).collect();
        assert!(losses[59] < 0.5 * losses[0], "{mode}: {} -> {}", losses[0], losses[59]);
    }
}
