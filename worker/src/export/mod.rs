//! The export task: a checkpoint as files that other programs read.

mod embeddings;
mod torchscript;
mod weights;

use twinspire_proto::v1::{Exported, Progress};
use twinspire_storage::Location;
use twinspire_towers::evaluate::encode_catalogue;

use crate::{
    model::{Loaded, Wanted},
    task::{Link, Reporter, Task, TaskError},
};

/// Item id and embedding, one row an item.
const ITEM_EMBEDDINGS: &str = "item-embeddings.parquet";
/// User id and embedding, one row a user.
const USER_EMBEDDINGS: &str = "user-embeddings.parquet";
/// Every parameter by name.
const WEIGHTS: &str = "weights.safetensors";

/// Restores a checkpoint and writes what the job wants of it.
pub(crate) fn run(task: &Task) -> Result<Exported, TaskError> {
    let mut loaded = Loaded::load(task)?;
    let asked = task.assign.checkpoint_step;
    let found = loaded
        .restore(task, asked.map_or(Wanted::Best, Wanted::Step))?
        .ok_or_else(|| TaskError::no_checkpoint(&task.places.checkpoints, asked))?;
    let place = Location::parse(&task.places.export)?;
    let wanted = &task.spec.export;
    let mut files = Vec::new();

    let items = encode_catalogue(loaded.trainer.model(), loaded.collective.as_ref())?;
    if wanted.item_embeddings {
        say(&task.link, "writing item embeddings");
        embeddings::items(task, &place, ITEM_EMBEDDINGS, &loaded.items.ids, &items)?;
        files.push(ITEM_EMBEDDINGS.into());
    }
    if wanted.user_embeddings {
        say(&task.link, "writing user embeddings");
        embeddings::users(task, &place, USER_EMBEDDINGS, &loaded, &items)?;
        files.push(USER_EMBEDDINGS.into());
    }
    if wanted.weights {
        say(&task.link, "writing weights");
        task.block_on(weights::write(&place, WEIGHTS, loaded.trainer.model()))??;
        files.push(WEIGHTS.into());
    }
    if wanted.torchscript {
        say(&task.link, "tracing the towers");
        files.extend(torchscript::write(task, &place, loaded.trainer.model())?);
    }
    Ok(Exported { step: found.manifest.step.0, files })
}

fn say(link: &Link, stage: &str) {
    Reporter::new(link).report(|| Progress { stage: stage.into(), ..Progress::default() });
}
