use std::ops::Range;
use std::sync::Arc;

use tch::Device;
use twinspire_collective::Collective;
use twinspire_dataset::{ItemTable, LaneBatch, Manifest};
use twinspire_job::{JobSpec, LogQ, OptimizerSpec};

use super::candidates::uses_in_batch;
use super::sums::Sums;
use super::{StepReport, Told};
use crate::loss::CountMinSketch;
use crate::optim::{DenseOptimizer, TableOptimizer};
use crate::{Model, TowersError};

/// Trains the towers, as one of a job's workers.
pub struct Trainer {
    pub(super) spec: JobSpec,
    pub(super) model: Model,
    pub(super) collective: Arc<dyn Collective>,
    pub(super) dense_optimizer: DenseOptimizer,
    pub(super) table_optimizers: Vec<TableOptimizer>,
    pub(super) sketch: Option<CountMinSketch>,
    /// What the step under way has counted into it.
    pub(super) counted: Vec<i64>,
    /// Positive counts of all items and their sum, for exact logQ.
    pub(super) counts: (Vec<i64>, i64),
    pub(super) step: u64,
    pub(super) total_steps: u64,
    lanes: Range<u32>,
}

impl Trainer {
    /// A trainer at step 0. `lanes` are this worker's, contiguous, in rank order.
    pub fn new(
        spec: &JobSpec,
        manifest: &Manifest,
        items: &ItemTable,
        device: Device,
        collective: Arc<dyn Collective>,
        lanes: Range<u32>,
        total_steps: u64,
    ) -> Result<Self, TowersError> {
        let model = Model::new(spec, manifest, items, device)?;
        let dense_optimizer = DenseOptimizer::new(spec.train.optimizer, &model.dense);
        let for_tables: OptimizerSpec = spec.train.table_optimizer.unwrap_or(spec.train.optimizer);
        let table_optimizers =
            model.tables.iter().map(|table| TableOptimizer::new(for_tables, table)).collect();
        let counted = spec.loss.logq == LogQ::Sketch && uses_in_batch(spec.loss.negatives.mode);
        let sketch = counted.then(|| CountMinSketch::new(spec.loss.sketch.depth, spec.loss.sketch.width));
        let total = items.positives.iter().sum();
        Ok(Trainer {
            spec: spec.clone(),
            model,
            collective,
            dense_optimizer,
            table_optimizers,
            sketch,
            counted: Vec::new(),
            counts: (items.positives.clone(), total),
            step: 0,
            total_steps,
            lanes,
        })
    }

    /// One optimizer step over the global batch. `batches` are those of this worker's lanes, in lane
    /// order; every worker calls it for the same step. What each is `told` by the others comes back in the report.
    ///
    /// # Errors
    /// Whatever it is, the state is that of the step before: the step can be done again, in another company.
    pub fn step(&mut self, batches: &[LaneBatch], told: Told) -> Result<StepReport, TowersError> {
        let outcome = self.attempt(batches, told);
        let counted = std::mem::take(&mut self.counted);
        if let (Err(_), Some(sketch)) = (&outcome, &mut self.sketch) {
            sketch.subtract(counted);
        }
        outcome
    }

    fn attempt(&mut self, batches: &[LaneBatch], told: Told) -> Result<StepReport, TowersError> {
        // What is computed: the columns of the loss, the lanes, the table rows both read.
        let chosen = self.choose_candidates(batches)?;
        let lanes = self.load_lanes(batches);
        let looked_up = self.looked_up(&chosen);
        let mut rows = self.touch(&lanes, looked_up.as_ref())?;

        // Forward, lane by lane, and the candidates of all workers.
        let encoded = self.encode_lanes(&lanes, &rows);
        let own = self.own_vectors(&lanes, &encoded);
        let candidates = match &looked_up {
            Some(inputs) => self.look_up(inputs, &rows),
            None => self.exchange(&own, &chosen)?,
        };

        // The loss, and its gradient by the vectors this worker encoded or looked up.
        let gradients = self.loss(batches, &own, &chosen, &candidates);
        let gradients = self.send_back(gradients, &candidates)?;

        // Backward from the vectors to parameters and table rows.
        self.model.dense.zero_grad();
        self.backward_lanes(lanes, encoded, &gradients, &mut rows)?;
        self.backward_looked_up(candidates, &gradients, &mut rows)?;
        self.backward_temperature(&own, &gradients);

        // Sums over all workers, checked and applied.
        let sums = Sums::of(batches, &gradients.losses, &own.weights, told, self.spec.lanes);
        let sums = sums.reduce(self.collective())?;
        self.commit(sums, rows)
    }

    /// Goes on in another company: `lanes` are this worker's from now on.
    pub fn join(&mut self, collective: Arc<dyn Collective>, lanes: Range<u32>, total_steps: u64) {
        self.collective = collective;
        self.lanes = lanes;
        self.total_steps = total_steps;
    }

    /// Committed steps.
    pub fn step_number(&self) -> u64 {
        self.step
    }

    /// This worker's lanes.
    pub fn lanes(&self) -> Range<u32> {
        self.lanes.clone()
    }

    /// The towers.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The other workers.
    pub fn collective(&self) -> &dyn Collective {
        self.collective.as_ref()
    }

    /// 1/τ.
    pub(super) fn scale(&self) -> f64 {
        self.model.log_scale.double_value(&[0]).exp()
    }
}
