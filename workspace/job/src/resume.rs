//! May a run go on with this job file? Only if it is the same training.

use std::fmt;

use serde_json::Value;

use crate::path::FieldPath;
use crate::spec::JobSpec;

/// What may differ between a run and its resumption: where and how fast it runs, what is measured
/// and what is kept. `loss.tile_*` and `train.graphs` change the order of sums, not what is summed.
const FREE: [&[&str]; 17] = [
    &["device"],
    &["workers"],
    &["recovery_target"],
    &["chaos"],
    &["stragglers"],
    &["runs"],
    &["evaluate"],
    &["checkpoint"],
    &["export"],
    &["log", "max_bad_rows"],
    &["prepare", "memory"],
    &["prepare", "threads"],
    &["loss", "tile_rows"],
    &["loss", "tile_columns"],
    &["train", "graphs"],
    &["train", "log_every"],
    &["train", "threads"],
];

/// The length of training: it may grow.
const LENGTH: [&[&str]; 2] = [&["train", "steps"], &["train", "epochs"]];

/// A field that keeps a run from being resumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// The field.
    pub path: FieldPath,
    /// Its value when the run began.
    pub old: Value,
    /// Its value now.
    pub new: Value,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was {} and is now {}", self.path, self.old, self.new)
    }
}

impl JobSpec {
    /// The part of a job that must be equal for a run to be resumed (its length may grow besides,
    /// see [`resume_conflicts`]).
    pub fn identity(&self) -> Value {
        let mut json = self.json();
        for path in FREE.iter().chain(&LENGTH) {
            remove(&mut json, path);
        }
        json
    }
}

/// What keeps a run of `old` from being resumed with `new`; empty when nothing does.
///
/// A length may grow (10 epochs to 20, 1000 steps to 2000): the rate's schedule then runs to the
/// new end from here on. It may not shrink, nor change between epochs and steps.
pub fn resume_conflicts(old: &JobSpec, new: &JobSpec) -> Vec<Conflict> {
    let mut conflicts = Vec::new();
    compare(&old.identity(), &new.identity(), &FieldPath::default(), &mut conflicts);
    let (old, new) = (&old.train, &new.train);
    let lengths =
        [("epochs", old.epochs.map(u64::from), new.epochs.map(u64::from)), ("steps", old.steps, new.steps)];
    for (name, before, after) in lengths {
        let grows = matches!((before, after), (Some(before), Some(after)) if after >= before);
        if before != after && !grows {
            let path = FieldPath::default().key("train").key(name);
            conflicts.push(Conflict { path, old: before.into(), new: after.into() });
        }
    }
    conflicts
}

fn remove(json: &mut Value, path: &[&str]) {
    let Some((last, sections)) = path.split_last() else { return };
    let section = sections.iter().try_fold(json, |json, key| json.get_mut(*key));
    if let Some(map) = section.and_then(Value::as_object_mut) {
        map.shift_remove(*last);
    }
}

fn compare(old: &Value, new: &Value, path: &FieldPath, conflicts: &mut Vec<Conflict>) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            for key in before.keys().chain(added) {
                let get = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                compare(&get(before), &get(after), &path.key(key), conflicts);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                compare(before, after, &path.index(index), conflicts);
            }
        }
        _ if old == new => {}
        _ => conflicts.push(Conflict { path: path.clone(), old: old.clone(), new: new.clone() }),
    }
}
