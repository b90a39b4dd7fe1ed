//! States whose content is a function of the step, so that what is restored can be judged.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use twinspire_checkpoint::{
    CheckpointError, CheckpointStore, Commit, Dtype, Generation, Manifest, Restored, Retention, Step,
    TensorData,
};
use twinspire_storage::Location;

/// Several types and shapes, a scalar and an empty tensor among them; no length is a multiple of
/// the usual worker counts.
pub(crate) fn state(step: u64, scale: usize) -> Vec<TensorData> {
    let tensor = |index: u64, dtype: Dtype, shape: &[usize]| {
        let bytes = shape.iter().product::<usize>() * dtype.size();
        let mut seed = (step * 1_000_003 + index).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let content: Vec<u8> = (0..bytes)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            })
            .collect();
        TensorData::new(format!("tensor.{index}"), dtype, shape.to_vec(), content).unwrap()
    };
    vec![
        tensor(0, Dtype::F32, &[scale, 17]),
        tensor(1, Dtype::Bf16, &[31]),
        tensor(2, Dtype::I64, &[]),
        tensor(3, Dtype::U8, &[3, 1, 7]),
        tensor(4, Dtype::F64, &[0, 5]),
    ]
}

pub(crate) fn local(directory: &std::path::Path) -> CheckpointStore {
    CheckpointStore::new(Location::local(directory).unwrap(), Retention::default())
}

/// Writes all parts of `of` ranks.
pub(crate) async fn write(
    store: &CheckpointStore,
    step: u64,
    generation: u64,
    of: usize,
    state: &[TensorData],
) -> Manifest {
    let (step, generation) = (Step(step), Generation(generation));
    let ranks = (0..of).map(|rank| async move {
        let slices: Vec<_> = state.iter().map(|tensor| tensor.slice(rank, of)).collect();
        store.write_part(step, generation, rank, of, &slices).await.unwrap()
    });
    let parts = futures::future::join_all(ranks).await;
    Manifest::new(step, generation, state.iter().map(|tensor| tensor.info.clone()).collect(), parts)
}

/// Writes and commits the state of `step`.
pub(crate) async fn save(
    store: &CheckpointStore,
    step: u64,
    generation: u64,
    of: usize,
) -> Result<Commit, CheckpointError> {
    let manifest = write(store, step, generation, of, &state(step, 50)).await;
    store.commit(manifest).await
}

/// The steps there, newest first.
pub(crate) async fn steps(store: &CheckpointStore) -> Vec<u64> {
    store.list().await.unwrap().into_iter().map(|summary| summary.step.0).collect()
}

/// Asserts that what was restored is the state of its step, and answers the step.
pub(crate) fn check(restored: &Restored, scale: usize) -> u64 {
    let step = restored.manifest.step.0;
    assert!(restored.tensors == state(step, scale), "step {step} was restored with other content");
    step
}
