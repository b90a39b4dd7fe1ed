//! Dense parameters, all in one flat tensor.
//!
//! Blocks are built with a [`Builder`] and keep their parameters as leaf tensors. When the model
//! stands, [`Builder::finish`] moves all of them into one flat tensor that the leaves are views of:
//! then a gradient all-reduce, a norm, an optimizer update or a checkpoint slice is one operation.
//! Parameters under weight decay come first, so that decay is one operation on a prefix.

use tch::{Device, Kind, Tensor};

use crate::seed::{Purpose, seed_of};
use crate::table::{Table, TableId};

/// Standard deviation of embeddings of ids, positions and types, as in BERT4Rec and S3-Rec: small, so
/// that the first steps turn them rather than unlearn them.
pub const EMBEDDING_STD: f64 = 0.02;

/// How a parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All the same value.
    Constant(f64),
    /// Normal with this standard deviation.
    Normal(f64),
    /// Uniform within ±sqrt(6 / (fan in + fan out)), for `[out, in]` matrices.
    XavierUniform,
    /// Normal with variance 2 / (fan in + fan out).
    XavierNormal,
    /// Uniform in [0, 2π): a phase.
    Phase,
}

/// Whether weight decay applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// Matrices.
    Yes,
    /// Biases, norms, positions, scalars.
    No,
}

struct Declared {
    name: String,
    tensor: Tensor,
    decay: Decay,
}

/// Collects parameters and tables while a model is built. Seeded before, so that every worker begins
/// with the same weights.
pub struct Builder {
    device: Device,
    declared: Vec<Declared>,
    tables: Vec<Table>,
}

impl Builder {
    /// An empty model on `device`, its weights drawn from the job's seed.
    pub fn new(device: Device, seed: u64) -> Self {
        tch::manual_seed(seed_of(seed, Purpose::Weights, 0, 0) as i64);
        Builder { device, declared: Vec::new(), tables: Vec::new() }
    }

    /// The device of the model.
    pub fn device(&self) -> Device {
        self.device
    }

    /// A new parameter. Drawn on the CPU, so that all devices begin alike.
    pub fn param(&mut self, name: impl Into<String>, shape: &[i64], init: Init, decay: Decay) -> Tensor {
        let tensor = draw(shape, init).to_device(self.device).set_requires_grad(true);
        self.declared.push(Declared { name: name.into(), tensor: tensor.shallow_clone(), decay });
        tensor
    }

    /// A new embedding table of `[rows, dim]`.
    pub fn table(&mut self, name: impl Into<String>, rows: i64, dim: i64, init: Init) -> TableId {
        let weight = draw(&[rows, dim], init).to_device(self.device);
        self.tables.push(Table { name: name.into(), weight });
        TableId(self.tables.len() - 1)
    }

    /// Moves all parameters into one flat tensor.
    pub fn finish(self) -> (Dense, Vec<Table>) {
        let mut declared = self.declared;
        declared.sort_by_key(|d| d.decay == Decay::No);
        let total: i64 = declared.iter().map(|d| d.tensor.numel() as i64).sum();
        let decayed =
            declared.iter().filter(|d| d.decay == Decay::Yes).map(|d| d.tensor.numel() as i64).sum();
        let flat = Tensor::zeros([total], (Kind::Float, self.device));
        let grad = flat.zeros_like();
        let mut leaves = Vec::with_capacity(declared.len());
        let mut start = 0;
        tch::no_grad(|| {
            for Declared { name, mut tensor, .. } in declared {
                let shape = tensor.size();
                let len = tensor.numel() as i64;
                let mut view = flat.narrow(0, start, len).view(shape.as_slice());
                view.copy_(&tensor);
                tensor.set_data(&view);
                leaves.push(Leaf { name, tensor, start, len });
                start += len;
            }
        });
        (Dense { flat, grad, leaves, decayed }, self.tables)
    }
}

/// One parameter: a leaf of autograd whose storage is a part of the flat tensor.
pub struct Leaf {
    /// Its name.
    pub name: String,
    /// The leaf.
    pub tensor: Tensor,
    start: i64,
    len: i64,
}

/// All dense parameters.
pub struct Dense {
    /// Values, `[parameters]`.
    pub flat: Tensor,
    /// Gradients summed over lanes, `[parameters]`.
    pub grad: Tensor,
    /// The parameters, in the order of the flat tensor.
    pub leaves: Vec<Leaf>,
    /// The first so many numbers are under weight decay.
    pub decayed: i64,
}

impl Dense {
    /// Clears the gradient.
    pub fn zero_grad(&mut self) {
        let _ = self.grad.zero_();
    }

    /// Adds one backward pass's gradients, in the order of `leaves`; undefined ones are zero.
    pub fn accumulate(&mut self, gradients: &[Tensor]) {
        for (leaf, gradient) in self.leaves.iter().zip(gradients) {
            if gradient.defined() {
                let _ = self.grad.narrow(0, leaf.start, leaf.len).g_add_(&gradient.reshape([-1]));
            }
        }
    }

    /// Adds to the gradient of a parameter that is differentiated by hand.
    pub fn accumulate_leaf(&mut self, name: &str, gradient: &Tensor) {
        if let Some(leaf) = self.leaves.iter().find(|leaf| leaf.name == name) {
            let _ = self.grad.narrow(0, leaf.start, leaf.len).g_add_(&gradient.reshape([-1]));
        }
    }
}

fn draw(shape: &[i64], init: Init) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    let fans = || (shape[0] + shape.get(1).copied().unwrap_or(1)) as f64;
    let mut tensor = Tensor::zeros(shape, options);
    match init {
        Init::Constant(value) => tensor.fill_(value),
        Init::Normal(std) => tensor.normal_(0.0, std),
        Init::XavierUniform => {
            let bound = (6.0 / fans()).sqrt();
            tensor.uniform_(-bound, bound)
        }
        Init::XavierNormal => tensor.normal_(0.0, (2.0 / fans()).sqrt()),
        Init::Phase => tensor.uniform_(0.0, std::f64::consts::TAU),
    }
}
