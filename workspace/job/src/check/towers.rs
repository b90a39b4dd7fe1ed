//! The item tower and the user tower.

use super::Findings;
use crate::code::Code;
use crate::spec::{FeatureKind, FeatureSpec, IdEmbedding, ItemEncoder, ItemVectorSource, JobSpec, Objective};
use crate::suggest::{either, nearest};

fn features(spec: &JobSpec) -> &[FeatureSpec] {
    spec.catalogue.as_ref().map_or(&[], |catalogue| &catalogue.features)
}

pub(super) fn item(spec: &JobSpec, found: &mut Findings) {
    let tower = &spec.towers.item;
    names(spec, found);
    let reads_features = match &tower.features {
        Some(names) => !names.is_empty(),
        None => !features(spec).is_empty(),
    };
    let has_id = tower.id_embedding != IdEmbedding::None;
    match tower.encoder {
        ItemEncoder::Id if !has_id => {
            found
                .add(
                    Code::Combination,
                    "towers.item.id_embedding",
                    "the `id` encoder needs an id embedding",
                    "set towers.item.id_embedding to table (or hash, when there are too many items for a row each)",
                )
                .because("it is all that encoder reads")
                .with(&["towers.item.encoder"]);
        }
        ItemEncoder::Id => {
            if tower.features.as_ref().is_some_and(|names| !names.is_empty()) {
                found
                    .add(
                        Code::Combination,
                        "towers.item.features",
                        "the `id` encoder reads no features",
                        "leave the features out, or use the `transformer` or `mlp` encoder",
                    )
                    .with(&["towers.item.encoder"]);
            }
        }
        ItemEncoder::Transformer | ItemEncoder::Mlp if !reads_features && !has_id => {
            found
                .add(
                    Code::Combination,
                    "towers.item",
                    "the item tower has nothing to read",
                    "describe features under catalogue.features, or set towers.item.encoder: id \
                     (an embedding of each item's id)",
                )
                .because("there are no catalogue features and no id embedding")
                .with(&["catalogue", "catalogue.features"]);
        }
        ItemEncoder::Transformer | ItemEncoder::Mlp => {}
    }
    if tower.encoder == ItemEncoder::Transformer {
        heads(tower.d_model, tower.heads, "towers.item", found);
    }
}

/// Names in `towers.item.features`.
fn names(spec: &JobSpec, found: &mut Findings) {
    let known: Vec<&str> = features(spec).iter().map(|feature| feature.name.as_str()).collect();
    let wanted = spec.towers.item.features.as_deref().unwrap_or_default();
    for (index, name) in wanted.iter().enumerate() {
        let path = format!("towers.item.features[{index}]");
        if wanted[..index].contains(name) {
            found.add(Code::Duplicate, path, format!("`{name}` is listed twice"), "list it once");
        } else if !known.contains(&name.as_str()) {
            let remedy = match (nearest(name, known.iter().copied()), known.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, true) => "describe it under catalogue.features".into(),
                (None, false) => format!("describe it there, or use {}", either(&known)),
            };
            let what = format!("`{name}` is not a feature of the catalogue");
            found.add(Code::Reference, path, what, remedy).with(&["catalogue.features", "catalogue"]);
        }
    }
}

fn heads(d_model: u32, heads: u32, tower: &'static str, found: &mut Findings) {
    if d_model.is_multiple_of(heads) {
        return;
    }
    let below = d_model - d_model % heads;
    let remedy = match below {
        0 => format!("use at most {d_model} heads"),
        _ => format!("use {below} or {}", below + heads),
    };
    let what = format!("{d_model} is not a multiple of heads ({heads})");
    let finding = found.add(Code::Combination, format!("{tower}.d_model"), what, remedy);
    finding.because("each head has an equal part of it");
    finding.with(if tower == "towers.item" { &["towers.item.heads"] } else { &["towers.user.heads"] });
}

pub(super) fn user(spec: &JobSpec, found: &mut Findings) {
    heads(spec.towers.user.d_model, spec.towers.user.heads, "towers.user", found);
    item_vector(spec, found);
    columns(spec, found);
    window(spec, found);
}

fn item_vector(spec: &JobSpec, found: &mut Findings) {
    if spec.towers.user.item_vector != ItemVectorSource::Frozen {
        return;
    }
    let has_vector = features(spec).iter().any(|feature| matches!(feature.kind, FeatureKind::Vector { .. }));
    if !has_vector {
        found
            .add(
                Code::Combination,
                "towers.user.item_vector",
                "`frozen` needs a feature of `type: vector`",
                "describe one under catalogue.features, or use `tower`",
            )
            .because("it reads an item's first vector as it is in the catalogue")
            .with(&["catalogue", "catalogue.features"]);
    }
}

/// Features of actions that the log has no column for. They are asked for in so many words, since
/// [`crate::resolve`] turns off those that are not.
fn columns(spec: &JobSpec, found: &mut Findings) {
    let columns = &spec.log.columns;
    let user = &spec.towers.user;
    let mut need = |is_read: bool, path: &str, given: &Option<String>, column: &'static str, off: &str| {
        if is_read && given.is_none() {
            let what = format!("the log has no {column} to read");
            let remedy = format!("set log.columns.{column}, or {off}");
            let finding = found.add(Code::Combination, format!("towers.user.{path}"), what, remedy);
            finding.because(format!("`log.columns.{column}` is null")).with(&["log.columns"]);
        }
    };
    let time = &columns.timestamp;
    need(user.time.absolute, "time.absolute", time, "timestamp", "leave it out (or false)");
    need(user.time.since_latest, "time.since_latest", time, "timestamp", "leave it out (or false)");
    need(user.time.gap, "time.gap", time, "timestamp", "leave it out (or false)");
    need(user.surface_dim > 0, "surface_dim", &columns.surface, "surface", "leave it out (or 0)");
    need(user.duration, "duration", &columns.duration, "duration", "leave it out (or false)");
    need(user.action_dim > 0, "action_dim", &columns.action, "action", "leave it out (or 0)");
}

fn window(spec: &JobSpec, found: &mut Findings) {
    let user = &spec.towers.user;
    let name = match user.objective {
        Objective::AllAction => "all_action",
        Objective::DenseAllAction => "dense_all_action",
        Objective::NextAction | Objective::Sasrec => return,
    };
    let has_time = spec.log.columns.timestamp.is_some();
    let is_zero = user.window.0.is_zero();
    if has_time && is_zero {
        found
            .add(
                Code::Combination,
                "towers.user.window",
                format!("{name} needs a window longer than 0s"),
                "use 28d, or another objective (sasrec, next_action)",
            )
            .because("its positives lie within it after a position")
            .with(&["towers.user.objective", "log.columns.timestamp"]);
    } else if !has_time && !is_zero {
        found
            .add(
                Code::Combination,
                "towers.user.window",
                "the log has no time to measure a window by",
                "leave it out (all that follows a position may then be its positive), or set log.columns.timestamp",
            )
            .because("`log.columns.timestamp` is null")
            .with(&["towers.user.objective", "log.columns.timestamp"]);
    }
}
