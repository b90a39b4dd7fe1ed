//! Writing, committing and listing checkpoints.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use twinspire_storage::{Location, Put, StorageError};

use crate::error::CheckpointError;
use crate::ids::{Generation, Step};
use crate::layout::{Attempt, MANIFEST, part_file};
use crate::manifest::Manifest;
use crate::part::{self, PartInfo};
use crate::retention::Retention;
use crate::tensor::TensorSlice;

/// Manifests read at a time.
const MANIFESTS_AT_A_TIME: usize = 8;

/// The checkpoints of one job.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    pub(crate) location: Location,
    pub(crate) retention: Retention,
}

/// What [`CheckpointStore::commit`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// The checkpoint is there now.
    Created,
    /// This very checkpoint had been committed: an answer was lost, or the call repeated.
    AlreadyThere,
}

/// What a listing says of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Step.
    pub step: Step,
    /// Generation that wrote it.
    pub generation: Generation,
    /// Bytes of its files.
    pub size: u64,
    /// Whether it can be restored.
    pub state: State,
    /// Its manifest, where there is one that can be read.
    pub manifest: Option<Manifest>,
}

/// Whether a checkpoint can be restored, as far as a listing shows: contents are not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Committed, and all files have the right size.
    Whole,
    /// Committed, but no longer what it was.
    Damaged(String),
    /// Being written, or left by a writer that was killed.
    Unfinished,
}

/// Sizes of an attempt's files by name.
type Files = BTreeMap<String, u64>;

impl CheckpointStore {
    /// The checkpoints kept in `location`, which nothing else uses.
    pub fn new(location: Location, retention: Retention) -> CheckpointStore {
        CheckpointStore { location, retention }
    }

    /// Where they are kept.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Writes rank `rank`'s part of `of`. It counts for nothing until [`commit`](Self::commit);
    /// writing it again replaces it.
    ///
    /// # Errors
    /// Slices that are not this rank's; storage errors.
    pub async fn write_part(
        &self,
        step: Step,
        generation: Generation,
        rank: usize,
        of: usize,
        slices: &[TensorSlice],
    ) -> Result<PartInfo, CheckpointError> {
        let content =
            part::encode(slices, rank, of).map_err(|reason| CheckpointError::Unsound { step, reason })?;
        // A checksum of gigabytes would hold up whatever else runs on this thread.
        let described = tokio::task::spawn_blocking(move || {
            let info = part::describe(part_file(rank, of), &content);
            (info, content)
        });
        let (info, content) =
            described.await.map_err(|error| CheckpointError::Unsound { step, reason: error.to_string() })?;
        self.directory(Attempt { generation, step }).put(&info.file, content).await?;
        Ok(info)
    }

    /// Makes the checkpoint visible. All parts must have been written.
    ///
    /// # Errors
    /// [`CheckpointError::Fenced`] when a newer generation has written here, or this one has
    /// committed another state as this step; [`CheckpointError::Unsound`] when parts are missing;
    /// storage errors.
    pub async fn commit(&self, mut manifest: Manifest) -> Result<Commit, CheckpointError> {
        let (step, generation) = (manifest.step, manifest.generation);
        let unsound = |reason| CheckpointError::Unsound { step, reason };
        let fenced = |theirs: Attempt| CheckpointError::Fenced {
            uri: self.location.uri().into(),
            step,
            ours: generation,
            theirs: theirs.generation,
            their_step: theirs.step,
        };
        // JSON has no NaN; a metric that is not a number must not cost the checkpoint.
        manifest.metrics.retain(|_, value| value.is_finite());
        manifest.check().map_err(unsound)?;
        let content = manifest.encode().map_err(|error| unsound(error.to_string()))?;

        let attempt = Attempt { generation, step };
        let attempts = self.attempts().await?;
        if let Some((newest, _)) =
            attempts.last_key_value().filter(|(newest, _)| newest.generation > generation)
        {
            return Err(fenced(*newest));
        }
        let files = attempts.get(&attempt).cloned().unwrap_or_default();
        if let Some(reason) = lacking(&manifest, &files) {
            return Err(unsound(reason));
        }
        match self.directory(attempt).put_if_absent(MANIFEST, content.clone()).await? {
            Put::Created => Ok(Commit::Created),
            Put::AlreadyThere => {
                // Compared as read, so that both have been through the same number parser.
                let ours = Manifest::decode(&content).map_err(unsound)?;
                let theirs = self.read_manifest(attempt).await?.map_err(unsound)?;
                if ours.same_state(&theirs) { Ok(Commit::AlreadyThere) } else { Err(fenced(attempt)) }
            }
        }
    }

    /// All checkpoints, newest first.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn list(&self) -> Result<Vec<Summary>, CheckpointError> {
        let attempts = self.attempts().await?;
        let summaries = futures::stream::iter(attempts.into_iter().rev())
            .map(|(attempt, files)| self.summarise(attempt, files))
            .buffered(MANIFESTS_AT_A_TIME);
        Ok(summaries.try_collect().await?)
    }

    /// The newest checkpoint that is whole by a listing.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn latest_whole(&self) -> Result<Option<Manifest>, CheckpointError> {
        for (attempt, files) in self.attempts().await?.into_iter().rev() {
            let summary = self.summarise(attempt, files).await?;
            if summary.state == State::Whole {
                return Ok(summary.manifest);
            }
        }
        Ok(None)
    }

    /// The newest generation that has written here, finished or not: a job goes on with a newer
    /// one, or its commits are refused.
    ///
    /// # Errors
    /// Storage errors.
    pub async fn highest_generation(&self) -> Result<Option<Generation>, CheckpointError> {
        Ok(self.attempts().await?.last_key_value().map(|(attempt, _)| attempt.generation))
    }

    /// Everything written here, oldest first.
    pub(crate) async fn attempts(&self) -> Result<BTreeMap<Attempt, Files>, StorageError> {
        let mut attempts: BTreeMap<Attempt, Files> = BTreeMap::new();
        for entry in self.location.list("").await? {
            if let Some((attempt, file)) = Attempt::of_file(&entry.name) {
                attempts.entry(attempt).or_default().insert(file.to_owned(), entry.size);
            }
        }
        Ok(attempts)
    }

    /// The manifest, or what is wrong with it.
    pub(crate) async fn read_manifest(
        &self,
        attempt: Attempt,
    ) -> Result<Result<Manifest, String>, StorageError> {
        let bytes = match self.directory(attempt).get(MANIFEST).await {
            Err(error) if error.is_not_found() => return Ok(Err("it has no manifest".into())),
            read => read?,
        };
        let manifest = Manifest::decode(&bytes);
        Ok(manifest.and_then(|manifest| {
            let stands_for = Attempt { generation: manifest.generation, step: manifest.step };
            if stands_for == attempt {
                Ok(manifest)
            } else {
                Err("its manifest is another checkpoint's".into())
            }
        }))
    }

    pub(crate) fn directory(&self, attempt: Attempt) -> Location {
        self.location.join(&attempt.directory())
    }

    async fn summarise(&self, attempt: Attempt, files: Files) -> Result<Summary, StorageError> {
        let manifest = match files.contains_key(MANIFEST) {
            true => Some(self.read_manifest(attempt).await?),
            false => None,
        };
        let state = match &manifest {
            None => State::Unfinished,
            Some(Err(reason)) => State::Damaged(reason.clone()),
            Some(Ok(manifest)) => lacking(manifest, &files).map_or(State::Whole, State::Damaged),
        };
        Ok(Summary {
            step: attempt.step,
            generation: attempt.generation,
            size: files.values().sum(),
            state,
            manifest: manifest.and_then(Result::ok),
        })
    }
}

/// What is wrong with the files of a checkpoint, by their sizes.
fn lacking(manifest: &Manifest, files: &Files) -> Option<String> {
    manifest.parts.iter().find_map(|part| match files.get(&part.file) {
        None => Some(format!(
            "{} is missing, though a worker has written it: do all workers see the same place?",
            part.file
        )),
        Some(size) if *size != part.size => {
            Some(format!("{} has {size} bytes, not {}", part.file, part.size))
        }
        Some(_) => None,
    })
}
