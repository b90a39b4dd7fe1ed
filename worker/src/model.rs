//! What training, evaluation and export begin with: the dataset, the towers, their checkpoints.

use std::sync::Arc;

use tch::{Kind, Tensor};
use twinspire_checkpoint::{
    Best, CheckpointStore, Dtype, Manifest, Restored, Retention, State, Step, TensorData, Which,
};
use twinspire_collective::{Collective, Solo, Timed};
use twinspire_dataset::{Dataset, ItemTable, Plan, PlanSettings};
use twinspire_job::{BestMetric, JobSpec};
use twinspire_storage::Location;
use twinspire_towers::{NamedTensor, Trainer};

use crate::task::{Group, Task, TaskError};

/// Which checkpoint is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The newest whole one: to train on from.
    Newest,
    /// The best by the job's metric, the newest when there is none: to use.
    Best,
    /// That of this step.
    Step(u64),
}

/// What a checkpoint said besides its tensors.
pub(crate) struct Found {
    pub(crate) manifest: Manifest,
    /// Newer checkpoints that were damaged and why, in words.
    pub(crate) passed_over: Vec<String>,
}

/// The dataset, the towers, their checkpoints, and the other ranks, while there are any.
pub(crate) struct Loaded {
    pub(crate) dataset: Dataset,
    pub(crate) items: ItemTable,
    pub(crate) plan: Plan,
    pub(crate) total_steps: u64,
    pub(crate) trainer: Trainer,
    pub(crate) checkpoints: CheckpointStore,
    best: Option<Best>,
    pub(crate) collective: Arc<dyn Collective>,
    /// The same, which knows how long it took.
    pub(crate) communication: Arc<Timed>,
    group: Option<Group>,
}

impl Loaded {
    /// Opens the dataset, builds the towers at step 0, and meets the other ranks.
    pub(crate) fn load(task: &Task) -> Result<Loaded, TaskError> {
        let mut loaded = Loaded::open(task)?;
        loaded.join(task)?;
        Ok(loaded)
    }

    /// Opens the dataset and builds the towers at step 0, alone.
    pub(crate) fn open(task: &Task) -> Result<Loaded, TaskError> {
        // Before anything else of libtorch: see the function.
        let device = twinspire_towers::device::choose(task.spec.device)?;
        tch::set_num_threads(i32::try_from(task.threads()).unwrap_or(1));
        tracing::info!(?device, threads = task.threads(), "computing");
        let communication = Arc::new(Timed::new(Arc::new(Solo)));
        let collective: Arc<dyn Collective> = Arc::clone(&communication) as _;

        let dataset = task.block_on(Dataset::open(Location::parse(&task.assign.dataset_uri)?))??;
        let items = task.block_on(dataset.items())??;
        let plan = Plan::new(dataset.manifest(), PlanSettings::of(&task.spec))?;
        let total_steps = total_steps(&task.spec, &plan);
        let (spec, manifest) = (&task.spec, dataset.manifest());
        let trainer =
            Trainer::new(spec, manifest, &items, device, Arc::clone(&collective), task.lanes(), total_steps)?;
        let best = BestBy::of(spec).map(|by| Best { metric: by.key, higher_is_better: true });
        let place = Location::parse(&task.places.checkpoints)?;
        let checkpoints = CheckpointStore::new(place, retention(spec, best.clone()));
        Ok(Loaded {
            dataset,
            items,
            plan,
            total_steps,
            trainer,
            checkpoints,
            best,
            collective,
            communication,
            group: None,
        })
    }

    /// Meets the other ranks of a task, whoever they were before.
    pub(crate) fn join(&mut self, task: &Task) -> Result<(), TaskError> {
        tch::set_num_threads(i32::try_from(task.threads()).unwrap_or(1));
        let group = Group::meet(task)?;
        let communication = Arc::new(Timed::new(Arc::clone(&group.collective)));
        self.collective = Arc::clone(&communication) as _;
        self.communication = communication;
        self.total_steps = total_steps(&task.spec, &self.plan);
        self.trainer.join(Arc::clone(&self.collective), task.lanes(), self.total_steps);
        self.group = Some(group);
        Ok(())
    }

    /// Leaves the other ranks: those that still wait for this one learn it at once.
    pub(crate) fn part(&mut self) {
        let solo: Arc<dyn Collective> = Arc::new(Solo);
        self.trainer.join(Arc::clone(&solo), 0..0, self.total_steps);
        self.communication = Arc::new(Timed::new(Arc::clone(&solo)));
        self.collective = solo;
        self.group = None;
    }

    /// Puts the towers where a checkpoint was; `None` when there is none. Rank 0 chooses which,
    /// so that all ranks take the same.
    pub(crate) fn restore(&mut self, task: &Task, wanted: Wanted) -> Result<Option<Found>, TaskError> {
        let mut chosen = if task.is_first() { task.block_on(self.choose(wanted))?? } else { None };
        let mut step = Tensor::from(chosen.as_ref().map_or(-1, |restored| restored.manifest.step.0 as i64));
        self.collective.broadcast(&mut step, 0)?;
        let step = step.int64_value(&[]);
        if chosen.is_none() && step >= 0 {
            chosen = task.block_on(self.checkpoints.restore(Which::Step(Step(step as u64))))??;
        }
        let Some(Restored { manifest, tensors, skipped }) = chosen else { return Ok(None) };
        self.refuse_strangers(task, &manifest)?;
        let tensors = tensors.iter().map(to_tensor).collect::<Result<Vec<_>, _>>()?;
        self.trainer.restore(manifest.step.0, &tensors)?;
        tracing::info!(step = manifest.step.0, "restored a checkpoint");
        let passed_over = skipped.iter().map(ToString::to_string).collect();
        Ok(Some(Found { manifest, passed_over }))
    }

    /// A checkpoint of another job, or of another dataset, whose items have other numbers, would
    /// fit by its shapes and be nonsense.
    fn refuse_strangers(&self, task: &Task, manifest: &Manifest) -> Result<(), TaskError> {
        let place = self.checkpoints.location().uri();
        if manifest.spec_fingerprint != identity(&task.spec) {
            return Err(TaskError::stranger(place, manifest.step.0, "a job with other settings"));
        }
        if manifest.dataset_fingerprint != self.dataset.manifest().fingerprint {
            let what = "another dataset (the log, the catalogue or the way they are read has changed)";
            return Err(TaskError::stranger(place, manifest.step.0, what));
        }
        Ok(())
    }

    async fn choose(&self, wanted: Wanted) -> Result<Option<Restored>, TaskError> {
        let which = match wanted {
            Wanted::Newest => Which::Latest,
            Wanted::Step(step) => Which::Step(Step(step)),
            Wanted::Best => match self.best().await? {
                Some(step) => Which::Step(step),
                None => Which::Latest,
            },
        };
        Ok(self.checkpoints.restore(which).await?)
    }

    async fn best(&self) -> Result<Option<Step>, TaskError> {
        let Some(best) = &self.best else { return Ok(None) };
        let mut whole = self.checkpoints.list().await?;
        whole.retain(|summary| summary.state == State::Whole);
        whole.reverse(); // oldest first
        let metrics = whole.into_iter().filter_map(|summary| Some((summary.step, summary.manifest?.metrics)));
        Ok(best.of(&metrics.collect::<Vec<_>>()))
    }
}

/// Fingerprint of the part of a job that must be the same for a checkpoint to fit.
pub(crate) fn identity(spec: &JobSpec) -> String {
    twinspire_job::fingerprint(&spec.identity())
}

/// Steps of the whole training.
fn total_steps(spec: &JobSpec, plan: &Plan) -> u64 {
    match (spec.train.steps, spec.train.epochs) {
        (Some(steps), _) => steps,
        (None, epochs) => plan.steps_of_epochs(epochs.unwrap_or(1)),
    }
}

fn retention(spec: &JobSpec, best: Option<Best>) -> Retention {
    Retention {
        keep_last: spec.checkpoint.keep_last as usize,
        keep_every: spec.checkpoint.keep_every_steps,
        best: best.filter(|_| spec.checkpoint.keep_best),
    }
}

/// The metric that names the best checkpoint: at the first cut-off, on the validation rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BestBy {
    /// As people read it.
    pub(crate) label: String,
    /// As checkpoints keep it.
    pub(crate) key: String,
}

impl BestBy {
    /// `None`: the last checkpoint is the result.
    pub(crate) fn of(spec: &JobSpec) -> Option<BestBy> {
        let k = spec.evaluate.k.first().copied().unwrap_or(10);
        let label = match spec.evaluate.best {
            BestMetric::Ndcg => format!("NDCG@{k}"),
            BestMetric::Recall => format!("Recall@{k}"),
            BestMetric::Mrr => "MRR".into(),
            BestMetric::Last => return None,
        };
        Some(BestBy { key: format!("validation.{}", label.to_lowercase()), label })
    }
}

/// The kind of tensor a saved one is.
fn kind(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::Bool => Kind::Bool,
        Dtype::U8 => Kind::Uint8,
        Dtype::I8 => Kind::Int8,
        Dtype::I16 => Kind::Int16,
        Dtype::F16 => Kind::Half,
        Dtype::Bf16 => Kind::BFloat16,
        Dtype::I32 | Dtype::U32 => Kind::Int,
        Dtype::F32 => Kind::Float,
        Dtype::I64 | Dtype::U64 => Kind::Int64,
        Dtype::F64 => Kind::Double,
    }
}

/// How a tensor of this kind is saved; `None` for kinds no state has.
pub(crate) fn dtype(kind: Kind) -> Option<Dtype> {
    Some(match kind {
        Kind::Bool => Dtype::Bool,
        Kind::Uint8 => Dtype::U8,
        Kind::Int8 => Dtype::I8,
        Kind::Int16 => Dtype::I16,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::Bf16,
        Kind::Int => Dtype::I32,
        Kind::Float => Dtype::F32,
        Kind::Int64 => Dtype::I64,
        Kind::Double => Dtype::F64,
        _ => return None,
    })
}

fn to_tensor(saved: &TensorData) -> Result<NamedTensor, TaskError> {
    let kind = kind(saved.info.dtype);
    let elements = (saved.bytes.len() / saved.info.dtype.size()) as i64;
    let tensor = Tensor::f_from_data_size(&saved.bytes, &[elements], kind)
        .map_err(|why| TaskError::from(twinspire_towers::TowersError::Torch(why)))?;
    Ok(NamedTensor { name: saved.info.name.clone(), tensor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_a_state_has_survives_being_saved() {
        for kind_of in [Kind::Float, Kind::Double, Kind::Int64, Kind::Int, Kind::Uint8, Kind::BFloat16] {
            assert_eq!(dtype(kind_of).map(kind), Some(kind_of));
        }
    }
}
