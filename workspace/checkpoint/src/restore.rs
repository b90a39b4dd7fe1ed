//! Reading a checkpoint back, with every byte checked.

use std::fmt;

use bytes::Bytes;
use futures::StreamExt;

use crate::error::CheckpointError;
use crate::ids::{Generation, Step};
use crate::layout::{Attempt, MANIFEST};
use crate::manifest::Manifest;
use crate::part;
use crate::store::CheckpointStore;
use crate::tensor::{TensorData, slice_range};

/// Parts read at a time.
const PARTS_AT_A_TIME: usize = 4;

/// Which checkpoint to restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest that is whole.
    Latest,
    /// That of this step, or none.
    Step(Step),
}

/// A checkpoint, restored.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What it is.
    pub manifest: Manifest,
    /// The whole state, in the order of [`Manifest::tensors`].
    pub tensors: Vec<TensorData>,
    /// Newer ones that were not whole, newest first.
    pub skipped: Vec<Skipped>,
}

/// A checkpoint that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its step.
    pub step: Step,
    /// Its generation.
    pub generation: Generation,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} (generation {}): {}", self.step, self.generation, self.reason)
    }
}

impl CheckpointStore {
    /// Reads a checkpoint, whatever the number of workers that wrote it. `None` when none was ever
    /// committed. That of a writer that was killed before its commit is as if it were not there;
    /// one that was committed and is not whole is passed over, and told in [`Restored::skipped`].
    ///
    /// # Errors
    /// Committed ones are there but none (of the step asked for) is whole; the step asked for is
    /// not there; the storage cannot be read, which is not taken for damage.
    pub async fn restore(&self, which: Which) -> Result<Option<Restored>, CheckpointError> {
        let mut skipped = Vec::new();
        for (attempt, files) in self.attempts().await?.into_iter().rev() {
            let wanted = which == Which::Latest || which == Which::Step(attempt.step);
            if !wanted || !files.contains_key(MANIFEST) {
                continue;
            }
            match self.load(attempt).await? {
                Ok((manifest, tensors)) => return Ok(Some(Restored { manifest, tensors, skipped })),
                Err(reason) => {
                    let passed = Skipped { step: attempt.step, generation: attempt.generation, reason };
                    tracing::warn!("passed over a damaged checkpoint: {passed}");
                    skipped.push(passed);
                }
            }
        }
        let uri = self.location.uri().to_owned();
        match which {
            Which::Latest if skipped.is_empty() => Ok(None),
            Which::Latest => Err(CheckpointError::NoneWhole { uri, skipped }),
            Which::Step(step) if skipped.is_empty() => Err(CheckpointError::NotThere { uri, step }),
            Which::Step(step) => Err(CheckpointError::Damaged { uri, step, skipped }),
        }
    }

    /// The inner `Err` says what is damaged.
    async fn load(
        &self,
        attempt: Attempt,
    ) -> Result<Result<(Manifest, Vec<TensorData>), String>, CheckpointError> {
        let manifest = match self.read_manifest(attempt).await? {
            Ok(manifest) => manifest,
            Err(reason) => return Ok(Err(reason)),
        };
        let of = manifest.parts.len();
        let sizes =
            manifest.tensors.iter().map(|tensor| tensor.elements().unwrap_or(0) * tensor.dtype.size());
        let mut contents: Vec<Vec<u8>> = sizes.map(|size| vec![0; size]).collect();

        let mut parts = futures::stream::iter(0..of)
            .map(|rank| self.load_part(attempt, &manifest, rank))
            .buffer_unordered(PARTS_AT_A_TIME);
        while let Some(loaded) = parts.next().await {
            let (rank, slices) = loaded?;
            let slices = match slices {
                Ok(slices) => slices,
                Err(reason) => return Ok(Err(reason)),
            };
            for ((tensor, content), slice) in manifest.tensors.iter().zip(&mut contents).zip(slices) {
                let size = tensor.dtype.size();
                let range = slice_range(content.len() / size, rank, of);
                content[range.start * size..range.end * size].copy_from_slice(&slice);
            }
        }
        drop(parts);
        let tensors = manifest
            .tensors
            .iter()
            .zip(contents)
            .map(|(info, bytes)| TensorData { info: info.clone(), bytes: bytes.into() })
            .collect();
        Ok(Ok((manifest, tensors)))
    }

    /// Rank `rank`'s slices of all tensors, or what is wrong with its file.
    async fn load_part(
        &self,
        attempt: Attempt,
        manifest: &Manifest,
        rank: usize,
    ) -> Result<(usize, Result<Vec<Bytes>, String>), CheckpointError> {
        let (part, of) = (manifest.parts[rank].clone(), manifest.parts.len());
        let content = match self.directory(attempt).get(&part.file).await {
            Err(error) if error.is_not_found() => {
                return Ok((rank, Err(format!("{} is missing", part.file))));
            }
            read => read?,
        };
        let tensors = manifest.tensors.clone();
        let decoding = tokio::task::spawn_blocking(move || part::decode(&part, &content, &tensors, rank, of));
        let decoded = decoding.await.unwrap_or_else(|error| Err(error.to_string()));
        Ok((rank, decoded))
    }
}
