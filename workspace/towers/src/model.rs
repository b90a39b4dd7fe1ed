use tch::{Device, Tensor};
use twinspire_dataset::{ItemTable, Manifest, Tokens};
use twinspire_job::{ItemVectorSource, JobSpec};

use crate::TowersError;
use crate::block::Mode;
use crate::item::{ItemFeatures, ItemTower};
use crate::params::{Builder, Decay, Dense, Init};
use crate::table::{Rows, Table};
use crate::user::{ActionInputs, UserColumns, UserTower};

/// Name of the learned log-scale (log of 1/temperature).
pub(crate) const LOG_SCALE: &str = "loss.log_scale";

/// Both towers with their parameters.
pub struct Model {
    /// Dense parameters.
    pub dense: Dense,
    /// Embedding tables.
    pub tables: Vec<Table>,
    /// The item tower.
    pub item: ItemTower,
    /// The user tower.
    pub user: UserTower,
    /// What the item tower reads.
    pub features: ItemFeatures,
    /// Log of 1/temperature, `[1]`.
    pub log_scale: Tensor,
    /// Where the vectors of actions' items come from.
    pub source: ItemVectorSource,
    frozen: Option<Tensor>,
    columns: UserColumns,
    device: Device,
}

impl Model {
    /// Builds the towers a job describes for a dataset, with weights drawn from its seed.
    pub fn new(
        spec: &JobSpec,
        manifest: &Manifest,
        items: &ItemTable,
        device: Device,
    ) -> Result<Self, TowersError> {
        let towers = &spec.towers;
        let features = ItemFeatures::new(items, towers.item.features.as_deref(), device);
        let source = towers.user.item_vector;
        let frozen = match source {
            ItemVectorSource::Frozen => Some(features.first_vector().ok_or_else(|| {
                TowersError::Unbuildable(
                    "item_vector: frozen needs a catalogue feature of type vector".into(),
                )
            })?),
            ItemVectorSource::Tower | ItemVectorSource::TowerDetached => None,
        };
        let mut builder = Builder::new(device, spec.seed);
        let item = ItemTower::new(&mut builder, towers, &features)?;
        let columns = UserColumns {
            actions: manifest.actions.len() as i64,
            surfaces: manifest.surfaces.len() as i64,
            times: manifest.has_time,
            durations: manifest.has_durations,
            item_vector: frozen.as_ref().map_or(i64::from(towers.dim), |vectors| vectors.size()[1]),
        };
        let user = UserTower::new(&mut builder, towers, columns);
        let initial = (1.0 / spec.loss.temperature.initial).ln();
        let log_scale = builder.param(LOG_SCALE, &[1], Init::Constant(initial), Decay::No);
        let (dense, tables) = builder.finish();
        Ok(Model { dense, tables, item, user, features, log_scale, source, frozen, columns, device })
    }

    /// The device of the model.
    pub fn device(&self) -> Device {
        self.device
    }

    /// What the user tower reads.
    pub fn columns(&self) -> UserColumns {
        self.columns
    }

    /// Item vectors of a frozen feature for tokens, when that is what actions are known by.
    pub fn frozen_vectors(&self, items: &Tensor) -> Option<Tensor> {
        self.frozen.as_ref().map(|vectors| vectors.index_select(0, items))
    }

    /// Embeddings of items `[n]`, without gradient or dropout: `[n, dim]`.
    pub fn encode_items(&self, items: &Tensor) -> Tensor {
        tch::no_grad(|| {
            let inputs = self.features.gather(&items.to_device(self.device));
            self.item.forward(&inputs, &Rows::all(&self.tables), Mode::Eval)
        })
    }

    /// Embeddings of the users of `tokens` after their newest action, in the order of its lengths,
    /// given the embeddings of all items: `[users, dim]`.
    pub fn encode_users(&self, tokens: &Tokens, item_embeddings: &Tensor) -> Tensor {
        tch::no_grad(|| {
            let inputs = ActionInputs::new(tokens, self.device);
            let vectors = self
                .frozen_vectors(&inputs.items)
                .unwrap_or_else(|| item_embeddings.index_select(0, &inputs.items));
            let last = Tensor::from_slice(&tokens.last_tokens()).to_device(self.device);
            self.user.forward(&inputs, &vectors, &last, Mode::Eval)
        })
    }
}
