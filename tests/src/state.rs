//! The state of training as a checkpoint holds it, and how two of them differ.

use std::{fmt, path::Path};

use twinspire_checkpoint::{CheckpointStore, Dtype, Restored, Retention, TensorData, Which};
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

    /// How far the parameters are from those of `other`, tensor by tensor.
    pub fn difference(&self, other: &StateTensors) -> Difference {
        assert_eq!(self.step, other.step, "states of different steps");
        let mut worst = Difference { relative: 0.0, tensor: "none".into() };
        for (one, two) in self.parameters().zip(other.parameters()) {
            assert_eq!(one.info, two.info);
            let (one_values, two_values) = (floats(one), floats(two));
            let apart = norm(one_values.iter().zip(&two_values).map(|(a, b)| a - b));
            let relative = apart / norm(one_values.into_iter()).max(f64::MIN_POSITIVE);
            if relative.is_nan() || relative > worst.relative {
                worst = Difference { relative, tensor: one.info.name.clone() };
            }
        }
        worst
    }

    /// Parameters, without the optimizer's moments and the sketch.
    fn parameters(&self) -> impl Iterator<Item = &TensorData> {
        let is_parameter =
            |name: &str| name != "sketch" && !name.ends_with(".first") && !name.ends_with(".second");
        self.tensors.iter().filter(move |tensor| is_parameter(&tensor.info.name))
    }
}

/// The norm of the difference over the norm, of the tensor where it is largest.
#[derive(Clone, Debug)]
pub struct Difference {
    /// 0 = the same.
    pub relative: f64,
    /// Where.
    pub tensor: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2e} (in `{}`)", self.relative, self.tensor)
    }
}

fn floats(tensor: &TensorData) -> Vec<f64> {
    assert_eq!(tensor.info.dtype, Dtype::F32, "{}", tensor.info.name);
    tensor.bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}
