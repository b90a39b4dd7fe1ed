//! The state of training as a checkpoint holds it, and how two of them differ.

use std::path::Path;

use twinspire_checkpoint::{
    CheckpointStore, Difference, Restored, Retention, TensorData, Which, is_parameter,
};
use twinspire_storage::Location;

/// Weights, moments of the optimizer, sketch.
pub struct StateTensors {
    /// The step it was taken after.
    pub step: u64,
    tensors: Vec<TensorData>,
}

impl StateTensors {
    /// That of the newest checkpoint in a directory.
    #[track_caller]
    pub fn newest(checkpoints: &Path) -> StateTensors {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let location = Location::parse(&checkpoints.display().to_string()).expect("a directory");
        let store = CheckpointStore::new(location, Retention::default());
        let restored = runtime.block_on(store.restore(Which::Latest)).expect("whole checkpoints");
        let Some(Restored { manifest, tensors, .. }) = restored else {
            panic!("no checkpoint in {}", checkpoints.display())
        };
        StateTensors { step: manifest.step.0, tensors }
    }

    /// Names of tensors that are not bit for bit those of `other`.
    pub fn differing(&self, other: &StateTensors) -> Vec<String> {
        assert_eq!(self.tensors.len(), other.tensors.len(), "other tensors");
        let pairs = self.tensors.iter().zip(&other.tensors);
        pairs.filter(|(one, two)| one != two).map(|(one, _)| one.info.name.clone()).collect()
    }

    /// How far the parameters are from those of `other`, without the optimizer's moments and the sketch.
    pub fn difference(&self, other: &StateTensors) -> Difference {
        assert_eq!(self.step, other.step, "states of different steps");
        Difference::between(&self.tensors, &other.tensors, is_parameter)
    }
}
