//! Defaults that depend on other fields.
//!
//! A default is a promise that leaving a field out works. For most fields a constant keeps it; for
//! these the right value follows from the rest of the file, so it is filled in here, and only where
//! the user did not mention the field. What they ask for in so many words is never changed: if it
//! cannot be, [`crate::check`] says so.
//!
//! | field | not mentioned | value |
//! |---|---|---|
//! | `towers.item.encoder` | no `catalogue`, no `towers.item.features` | `id` |
//! | `towers.item.id_embedding` | `encoder: id` | `table` |
//! | `towers.user.time.*`, `.window` | no `log.columns.timestamp` | off; 0s (no window) |
//! | `towers.user.time.since_latest` | `objective: sasrec` or `dense_all_action` | off |
//! | `towers.user.surface_dim`, `.duration`, `.action_dim` | no such column | not read |
//! | `towers.*.ffn` | or 0 | 4 x `d_model` |
//! | `loss.negatives.random` | `mode` uses none | 0 |
//! | `loss.logq` | `mode: full` samples nothing | `off` |
//! | `train.epochs` | nor `train.steps` | 10 |
//! | `train.*optimizer.beta1` | `kind: sgd` | 0 (no momentum) |
//! | `evaluate.every_epochs` | `every_steps` is given | 0 |
//! | `evaluate.best`, `.every_epochs` | the split has no validation rows | `last`, 0 |

use std::time::Duration;

use crate::spec::{
    BestMetric, IdEmbedding, ItemEncoder, JobSpec, LogQ, NegativesMode, Objective, OptimizerKind,
    OptimizerSpec, SplitSpec,
};
use crate::units::Span;

/// Passes over the dataset when the job does not say.
const EPOCHS: u32 = 10;

/// Fills in what follows from the rest. `mentions` tells whether the user gave a field.
pub(crate) fn resolve(mut spec: JobSpec, mentions: &dyn Fn(&str) -> bool) -> JobSpec {
    items(&mut spec, mentions);
    columns(&mut spec, mentions);
    widths(&mut spec, mentions);
    sampling(&mut spec, mentions);
    training(&mut spec, mentions);
    evaluation(&mut spec, mentions);
    spec
}

/// Items without features are known by their id.
fn items(spec: &mut JobSpec, mentions: &dyn Fn(&str) -> bool) {
    let tower = &mut spec.towers.item;
    let features = tower.features.as_deref().unwrap_or_default();
    if spec.catalogue.is_none() && features.is_empty() && !mentions("towers.item.encoder") {
        tower.encoder = ItemEncoder::Id;
    }
    if tower.encoder == ItemEncoder::Id && !mentions("towers.item.id_embedding") {
        tower.id_embedding = IdEmbedding::Table;
    }
}

fn columns(spec: &mut JobSpec, mentions: &dyn Fn(&str) -> bool) {
    let columns = &spec.log.columns;
    let user = &mut spec.towers.user;
    let fill = |path: &str| !mentions(&format!("towers.user.{path}"));
    if columns.timestamp.is_none() {
        for (flag, path) in [
            (&mut user.time.absolute, "time.absolute"),
            (&mut user.time.since_latest, "time.since_latest"),
            (&mut user.time.gap, "time.gap"),
        ] {
            *flag &= !fill(path);
        }
        if fill("window") {
            user.window = Span(Duration::ZERO);
        }
    }
    let queries_within = matches!(user.objective, Objective::Sasrec | Objective::DenseAllAction);
    if queries_within && fill("time.since_latest") {
        // A query in the middle would be told when its target comes.
        user.time.since_latest = false;
    }
    if columns.surface.is_none() && fill("surface_dim") {
        user.surface_dim = 0;
    }
    if columns.duration.is_none() && fill("duration") {
        user.duration = false;
    }
    if columns.action.is_none() && fill("action_dim") {
        user.action_dim = 0;
    }
}

fn widths(spec: &mut JobSpec, mentions: &dyn Fn(&str) -> bool) {
    let item = &mut spec.towers.item;
    if item.ffn == 0 || !mentions("towers.item.ffn") {
        item.ffn = item.d_model.saturating_mul(4);
    }
    let user = &mut spec.towers.user;
    if user.ffn == 0 || !mentions("towers.user.ffn") {
        user.ffn = user.d_model.saturating_mul(4);
    }
}

fn sampling(spec: &mut JobSpec, mentions: &dyn Fn(&str) -> bool) {
    let loss = &mut spec.loss;
    let unsampled = matches!(loss.negatives.mode, NegativesMode::InBatch | NegativesMode::Full);
    if unsampled && !mentions("loss.negatives.random") {
        loss.negatives.random = 0;
    }
    if loss.negatives.mode == NegativesMode::Full && !mentions("loss.logq") {
        loss.logq = LogQ::Off;
    }
}

fn training(spec: &mut JobSpec, mentions: &dyn Fn(&str) -> bool) {
    let train = &mut spec.train;
    if train.epochs.is_none() && train.steps.is_none() {
        train.epochs = Some(EPOCHS);
    }
    let momentum = |optimizer: &mut OptimizerSpec, path: &str| {
        if optimizer.kind == OptimizerKind::Sgd && !mentions(path) {
            optimizer.beta1 = 0.0;
        }
    };
    momentum(&mut train.optimizer, "train.optimizer.beta1");
    if let Some(tables) = &mut train.table_optimizer {
        momentum(tables, "train.table_optimizer.beta1");
    }
}

fn evaluation(spec: &mut JobSpec, mentions: &dyn Fn(&str) -> bool) {
    let evaluate = &mut spec.evaluate;
    let by_epochs = !mentions("evaluate.every_epochs");
    if evaluate.every_steps > 0 && by_epochs {
        evaluate.every_epochs = 0;
    }
    if has_no_validation(&spec.split) {
        if by_epochs {
            evaluate.every_epochs = 0;
        }
        if !mentions("evaluate.best") {
            evaluate.best = BestMetric::Last;
        }
    }
}

pub(crate) fn has_no_validation(split: &SplitSpec) -> bool {
    matches!(split, SplitSpec::Files { validation, .. } if validation.is_empty())
}
