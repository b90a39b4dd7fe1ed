//! What a worker has trained, kept while its company changes.
//!
//! Invariant 4: a worker's death costs the others the step in flight at most. A task that ends because a peer was lost,
//! or because other workers are to join or leave, leaves its state here; the next task of the same job goes on with it.

use std::sync::{Arc, Mutex, PoisonError};

use super::{ledger::Ledger, reach::may_write, standing::Standing};
use crate::{
    model::{Loaded, identity},
    task::{Task, TaskError},
};

/// Which training a state is of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Of {
    job: String,
    /// Tells jobs of one name apart.
    submitted_ms: u64,
    spec: String,
    dataset_uri: String,
    checkpoints: String,
}

impl Of {
    fn task(task: &Task) -> Of {
        Of {
            job: task.assign.job.clone(),
            submitted_ms: task.assign.submitted_ms,
            spec: identity(&task.spec),
            dataset_uri: task.assign.dataset_uri.clone(),
            checkpoints: task.places.checkpoints.clone(),
        }
    }
}

/// Where the towers of a training are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Towers {
    /// As they were built: good to begin with.
    AsBuilt,
    /// On their way to another state: good for nothing should that break off.
    BetweenStates,
    /// Where training brought them.
    Trained,
}

/// A training between two tasks.
pub(super) struct Kept {
    pub(super) loaded: Loaded,
    pub(super) towers: Towers,
    pub(super) standing: Standing,
    pub(super) ledger: Ledger,
}

impl Kept {
    /// All that can be had without the other ranks: the dataset, and towers as they are built.
    pub(super) fn open(task: &Task) -> Result<Kept, TaskError> {
        let loaded = Loaded::open(task)?;
        may_write(task)?;
        Ok(Kept { loaded, towers: Towers::AsBuilt, standing: Standing::default(), ledger: Ledger::default() })
    }
}

/// The place for it: one training at most.
#[derive(Clone, Default)]
pub(crate) struct Keep(Arc<Mutex<Option<(Of, Kept)>>>);

impl Keep {
    /// What was kept of this task's training. What was kept of another one is let go.
    pub(super) fn take(&self, task: &Task) -> Option<Kept> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let kept = kept.filter(|(of, _)| *of == Of::task(task)).map(|(_, kept)| kept);
        if kept.as_ref().is_none_or(|kept| kept.towers != Towers::Trained) {
            task.link.has_no_state();
        }
        kept
    }

    pub(super) fn put(&self, task: &Task, kept: Kept) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Of::task(task), kept));
    }

    /// Lets go of whatever is kept.
    pub(crate) fn forget(&self, task: &Task) {
        task.link.has_no_state();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
