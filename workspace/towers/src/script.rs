//! The towers as TorchScript, for serving without Twinspire.
//!
//! Tracing fixes every number that passes through Rust and keeps every operation on tensors: so what
//! may differ between calls (the number of items or users) is only ever written `-1` in the towers'
//! views, and what may not is fixed here (the length of histories).

use std::path::Path;

use tch::{CModule, Device, Kind, Tensor};

use crate::block::Mode;
use crate::item::{FeatureInput, FeatureWidth, ItemInputs};
use crate::table::Rows;
use crate::user::{ActionInputs, Times};
use crate::{Model, TowersError};

/// Method of both modules.
const FORWARD: &str = "forward";
/// How far apart the embeddings of a loaded module and of the towers may be.
const TOLERANCE: f64 = 1e-5;

/// A tower saved as TorchScript, with inputs to try it on.
pub struct Script {
    /// What the inputs of its `forward` are, in order.
    pub inputs: Vec<String>,
    example: Vec<Tensor>,
    expected: Tensor,
}

/// Saves the item tower: `items [n]`, then by feature in catalogue order `{name}.ids [tokens]` and
/// `{name}.offsets [n + 1]`, or `{name}.values [n, max, dim]` and `{name}.present [n, max]`
/// -> embeddings `[n, dim]`.
pub fn item_tower(model: &Model, path: &Path) -> Result<Script, TowersError> {
    let kinds: Vec<(String, FeatureWidth)> =
        model.features.kinds().into_iter().map(|(name, width)| (name.to_string(), width)).collect();
    let mut names = vec!["items".to_string()];
    for (name, width) in &kinds {
        let parts = match width {
            FeatureWidth::Tokens { .. } => ["ids", "offsets"],
            FeatureWidth::Vectors { .. } => ["values", "present"],
        };
        names.extend(parts.map(|part| format!("{name}.{part}")));
    }
    let flatten = |inputs: &ItemInputs| {
        let mut flat = vec![inputs.items.shallow_clone()];
        for feature in &inputs.features {
            match feature {
                FeatureInput::Tokens { ids, offsets, .. } => flat.extend([ids.copy(), offsets.copy()]),
                FeatureInput::Vectors { values, present } => flat.extend([values.copy(), present.copy()]),
            }
        }
        flat
    };
    let forward = |flat: &[Tensor]| {
        let pairs = flat[1..].chunks_exact(2).zip(&kinds);
        let features = pairs.map(|(pair, (_, width))| match width {
            FeatureWidth::Tokens { .. } => {
                FeatureInput::tokens(pair[0].shallow_clone(), pair[1].shallow_clone())
            }
            FeatureWidth::Vectors { .. } => {
                FeatureInput::Vectors { values: pair[0].shallow_clone(), present: pair[1].shallow_clone() }
            }
        });
        let inputs = ItemInputs { items: flat[0].shallow_clone(), features: features.collect() };
        model.item.forward(&inputs, &Rows::all(&model.tables), Mode::Eval)
    };
    let example = |count: i64| {
        let count = count.min(model.features.items());
        flatten(&model.features.gather(&Tensor::arange(count, (Kind::Int64, model.device()))))
    };
    save(model, path, "ItemTower", names, example(3), example(5), &forward)
}

/// Saves the user tower, for histories padded at the end to `max_actions` (= L): `item_vectors [n, L, dim]`,
/// `actions [n, L]`, `lengths [n]`, then `surfaces`, `durations`, `times` (ms) `[n, L]`, those the
/// dataset has -> embeddings after the newest action `[n, dim]`.
pub fn user_tower(model: &Model, max_actions: i64, path: &Path) -> Result<Script, TowersError> {
    let columns = model.columns();
    let mut names: Vec<String> = ["item_vectors", "actions", "lengths"].map(String::from).to_vec();
    let optional =
        [("surfaces", columns.surfaces > 0), ("durations", columns.durations), ("times", columns.times)];
    names.extend(optional.iter().filter(|(_, there)| *there).map(|(name, _)| name.to_string()));
    let at = |name: &str| names.iter().position(|known| known == name);
    let (surfaces, durations, times) = (at("surfaces"), at("durations"), at("times"));

    let forward = |flat: &[Tensor]| {
        let lengths = flat[2].unsqueeze(1); // [n, 1]
        let newest = &lengths - 1;
        let grid = |tensor: &Tensor| tensor.reshape([-1]); // [n * L]
        let places = Tensor::arange(max_actions, (Kind::Int64, model.device()));
        let from_newest = (&newest - places).clamp_min(0);
        let times = times.map(|at| {
            let absolute = &flat[at];
            let first = absolute.narrow(1, 0, 1);
            let before = Tensor::cat(&[&first, &absolute.narrow(1, 0, max_actions - 1)], 1);
            Times {
                absolute: grid(absolute),
                since_latest: grid(&(absolute.gather(1, &newest, false) - absolute)),
                gap: grid(&(absolute - before)),
            }
        });
        let inputs = ActionInputs {
            buckets: vec![(-1, max_actions)],
            items: grid(&flat[1]),
            actions: grid(&flat[1]),
            surfaces: surfaces.map(|at| grid(&flat[at])),
            durations: durations.map(|at| grid(&flat[at])),
            times,
            from_newest: grid(&from_newest),
        };
        let width = flat[0].size()[2];
        let row = lengths.ones_like().cumsum(0, Kind::Int64) - 1; // 0, 1, 2, …
        let last = grid(&(row * max_actions + &newest));
        model.user.forward(&inputs, &flat[0].reshape([-1, width]), &last, Mode::Eval)
    };
    let example = |users: i64| {
        let (floats, ints) = ((Kind::Float, model.device()), (Kind::Int64, model.device()));
        let shape = [users, max_actions];
        let mut flat = vec![
            Tensor::randn([users, max_actions, columns.item_vector], floats),
            Tensor::randint(columns.actions.max(1), shape, ints),
            Tensor::randint(max_actions, [users], ints) + 1,
        ];
        flat.extend(surfaces.map(|_| Tensor::randint(columns.surfaces, shape, ints)));
        flat.extend(durations.map(|_| Tensor::rand(shape, floats) * 60.0));
        /// Gaps of up to an hour, from some day in 2023.
        const START_MS: i64 = 1_700_000_000_000;
        const GAP_MS: i64 = 3_600_000;
        flat.extend(times.map(|_| Tensor::randint(GAP_MS, shape, ints).cumsum(1, Kind::Int64) + START_MS));
        flat
    };
    save(model, path, "UserTower", names.clone(), example(2), example(3), &forward)
}

impl Script {
    /// Loads a saved module and compares its embeddings with the towers', on inputs of another size
    /// than it was traced with.
    pub fn prove(&self, path: &Path) -> Result<(), TowersError> {
        let loaded = CModule::load(path)?;
        let got = loaded.forward_ts(&self.example)?;
        let off = (got - &self.expected).abs().max().double_value(&[]);
        if off <= TOLERANCE {
            return Ok(());
        }
        Err(TowersError::Script { path: path.display().to_string(), off })
    }
}

/// Traces on one example, saves, and keeps another example with what the towers make of it.
fn save(
    model: &Model,
    path: &Path,
    name: &str,
    inputs: Vec<String>,
    example: Vec<Tensor>,
    other: Vec<Tensor>,
    forward: &dyn Fn(&[Tensor]) -> Tensor,
) -> Result<Script, TowersError> {
    // Parameters become constants of the module, which must not require a gradient until it is saved.
    let requires_grad = |on: bool| {
        for leaf in &model.dense.leaves {
            // A shallow clone shares the flag.
            let _ = leaf.tensor.shallow_clone().requires_grad_(on);
        }
    };
    tch::no_grad(|| {
        let expected = forward(&other);
        requires_grad(false);
        let traced = CModule::create_by_tracing(name, FORWARD, &example, &mut |inputs| vec![forward(inputs)]);
        let saved = traced.and_then(|mut module| {
            module.to(Device::Cpu, Kind::Float, false);
            module.save(path)
        });
        requires_grad(true);
        saved?;
        let example = other.iter().map(|tensor| tensor.to_device(Device::Cpu)).collect();
        Ok(Script { inputs, example, expected: expected.to_device(Device::Cpu) })
    })
}
