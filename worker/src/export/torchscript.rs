//! Both towers as TorchScript, each loaded back and compared before it is given out.

use twinspire_storage::Location;
use twinspire_towers::{Model, TowersError, script};

use crate::task::{Task, TaskError};

/// The item tower.
const ITEM_TOWER: &str = "item-tower.pt";
/// The user tower.
const USER_TOWER: &str = "user-tower.pt";
/// What the inputs of both are, by name and in order.
const INPUTS: &str = "towers.json";

/// Writes `item-tower.pt`, `user-tower.pt` and `towers.json`; answers their names.
pub(super) fn write(task: &Task, place: &Location, model: &Model) -> Result<Vec<String>, TaskError> {
    // libtorch writes and reads files by path only.
    let directory =
        std::env::temp_dir().join(format!("twinspire-{}-{}", std::process::id(), task.generation));
    let outcome = write_by_way_of(&directory, task, place, model);
    if let Err(why) = std::fs::remove_dir_all(&directory) {
        tracing::warn!(directory = %directory.display(), %why, "a temporary directory is left");
    }
    outcome
}

fn write_by_way_of(
    directory: &std::path::Path,
    task: &Task,
    place: &Location,
    model: &Model,
) -> Result<Vec<String>, TaskError> {
    let local = |why: std::io::Error| TaskError::file(directory.display(), why);
    std::fs::create_dir_all(directory).map_err(local)?;
    let max_actions = i64::from(task.spec.towers.user.max_actions);
    type Trace<'a> = Box<dyn Fn(&std::path::Path) -> Result<script::Script, TowersError> + 'a>;
    let towers: [(&str, Trace<'_>); 2] = [
        (ITEM_TOWER, Box::new(|path| script::item_tower(model, path))),
        (USER_TOWER, Box::new(|path| script::user_tower(model, max_actions, path))),
    ];
    let mut inputs = serde_json::Map::new();
    for (name, trace) in &towers {
        let path = directory.join(name);
        let traced = trace(&path)?;
        traced.prove(&path)?;
        inputs.insert((*name).into(), serde_json::json!({ "inputs": traced.inputs }));
        let bytes = std::fs::read(&path).map_err(local)?;
        task.block_on(place.put(name, bytes))??;
    }
    let described = format!("{:#}\n", serde_json::Value::Object(inputs));
    task.block_on(place.put(INPUTS, described.into_bytes()))??;
    Ok([ITEM_TOWER, USER_TOWER, INPUTS].map(String::from).into())
}
