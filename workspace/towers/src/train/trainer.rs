use std::ops::Range;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};
use twinspire_collective::Collective;
use twinspire_dataset::{ItemTable, LaneBatch, Manifest};
use twinspire_job::{Graphs, JobSpec, LogQ, NegativesMode, OptimizerSpec};

use super::candidates::{GlobalPositives, no_ids, offered};
use super::lane::{Encoded, Lane, LaneGradient, other_positives};
use super::pools::{Listed, uses_in_batch};
use super::sums::Sums;
use crate::block::{DropoutRng, Mode};
use crate::item::ItemInputs;
use crate::loss::{Candidates, CountMinSketch, Gradients, Masks, Queries, Tiles, softmax};
use crate::model::LOG_SCALE;
use crate::optim::{DenseOptimizer, TableOptimizer, learning_rate};
use crate::seed::{Purpose, seed_of};
use crate::table::{Rows, TableId, Touched};
use crate::{Model, TowersError};

/// Bits of the control word.
pub const CONTROL_BITS: usize = 8;

/// What a step did, the same on every worker.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The step that was committed, counted from 1.
    pub step: u64,
    /// Mean loss by weight.
    pub loss: f64,
    /// Rows of the loss, over all workers.
    pub queries: u64,
    /// Dataset rows, over all workers.
    pub rows: u64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Learning rate of the dense parameters.
    pub learning_rate: f64,
    /// 1/τ.
    pub scale: f64,
    /// Control words of all workers, or-ed.
    pub control: u64,
}

/// Trains the towers, as one of a job's workers.
pub struct Trainer {
    pub(super) spec: JobSpec,
    pub(super) model: Model,
    pub(super) collective: Arc<dyn Collective>,
    pub(super) dense_optimizer: DenseOptimizer,
    pub(super) table_optimizers: Vec<TableOptimizer>,
    pub(super) sketch: Option<CountMinSketch>,
    /// Positive counts of all items and their sum, for exact logQ.
    pub(super) counts: (Vec<i64>, i64),
    lanes: Range<u32>,
    pub(super) step: u64,
    total_steps: u64,
}

/// Candidates that every worker looks up for itself, when the item tower is a look-up.
struct Shared {
    inputs: ItemInputs,
    vectors: Tensor,
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
            counts: (items.positives.clone(), total),
            lanes,
            step: 0,
            total_steps,
        })
    }

    /// Committed steps.
    pub fn step_number(&self) -> u64 {
        self.step
    }

    /// The towers.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The other workers.
    pub fn collective(&self) -> &dyn Collective {
        self.collective.as_ref()
    }

    /// One optimizer step over the global batch. `batches` are those of this worker's lanes, in lane
    /// order; every worker calls it for the same step. `control` is or-ed over workers.
    pub fn step(&mut self, batches: &[LaneBatch], control: u64) -> Result<StepReport, TowersError> {
        let negatives = self.spec.loss.negatives;
        let device = self.model.device();
        let lookup = self.model.item.is_lookup();
        let in_batch = uses_in_batch(negatives.mode);

        // Which items are candidates. A look-up tower's are looked up by every worker for itself;
        // else each lane encodes its own and the vectors are exchanged.
        let positives = match in_batch {
            true => Some(GlobalPositives::gather(batches, device, self.collective())?),
            false => None,
        };
        if let (Some(sketch), Some(positives)) = (&mut self.sketch, &positives) {
            sketch.add(positives.items.iter().copied());
        }
        let chosen = positives
            .as_ref()
            .map_or(Vec::new(), |p| p.sample(negatives.max_in_batch, self.spec.seed, self.step));
        let offers = |lane: u32| {
            offered(negatives, self.model.features.items(), lane, self.spec.lanes, self.spec.seed, self.step)
        };
        let lanes: Vec<Lane> = batches
            .iter()
            .map(|batch| match lookup {
                true => Lane::new(&self.model, batch, &no_ids(device)),
                false => {
                    let offered = Tensor::from_slice(&offers(batch.lane)).to_device(device);
                    Lane::new(&self.model, batch, &offered)
                }
            })
            .collect();

        // The candidates' items, in lane order: sampled positives first, then what lanes offer.
        let listed = Listed {
            sampled: chosen
                .iter()
                .map(|&at| positives.as_ref().map_or((0, 0), |p| (p.items[at], p.users[at])))
                .collect(),
            offered: match negatives.mode {
                NegativesMode::Full | NegativesMode::InBatch => Vec::new(),
                _ => (0..self.spec.lanes).flat_map(offers).collect(),
            },
        };
        let shared_items = lookup.then(|| self.shared_items(&listed));
        let mut rows = self.touch(&lanes, shared_items.as_ref())?;

        // Towers, lane by lane.
        let keep = self.spec.train.graphs == Graphs::Keep;
        let encoded: Vec<Encoded> = lanes.iter().map(|lane| self.encode(lane, &rows, keep)).collect();
        let dim = i64::from(self.spec.towers.dim);
        let gather_lanes = |part: &dyn Fn(&Encoded, &Lane) -> Tensor| {
            let parts: Vec<Tensor> = encoded.iter().zip(&lanes).map(|(e, lane)| part(e, lane)).collect();
            match parts.is_empty() {
                true => Tensor::zeros([0, dim], (Kind::Float, device)),
                false => Tensor::cat(&parts, 0),
            }
        };
        let users = gather_lanes(&|e, _| e.users());
        let own = gather_lanes(&|e, lane| e.positives(lane));
        let shared = shared_items.map(|inputs| {
            let vectors = self.model.item.forward(&inputs, &rows, Mode::Eval);
            Shared { inputs, vectors }
        });

        // Vectors of the candidates.
        let mine_sampled: Vec<i64> = positives.as_ref().map_or(Vec::new(), |p| {
            let own = p.of_rank(self.collective.rank());
            chosen.iter().filter(|at| own.contains(at)).map(|at| (at - own.start) as i64).collect()
        });
        let mine_sampled = Tensor::from_slice(&mine_sampled).to_device(device);
        let (vectors, by_rank) = match &shared {
            Some(shared) => (shared.vectors.detach(), Vec::new()),
            None => self.exchange(
                &own.index_select(0, &mine_sampled),
                &gather_lanes(&|e, lane| e.candidates(lane)),
            )?,
        };

        // Loss.
        let row_positives: Vec<i64> =
            batches.iter().flat_map(|b| b.queries.positive.iter().copied()).collect();
        let row_users: Vec<i64> = batches.iter().flat_map(|b| b.queries.user.iter().copied()).collect();
        let weights: Vec<Tensor> = lanes.iter().map(|lane| lane.weights.shallow_clone()).collect();
        let weights = if weights.is_empty() {
            Tensor::zeros([0], (Kind::Float, device))
        } else {
            Tensor::cat(&weights, 0)
        };
        let scale = self.scale();
        let mut total = Gradients {
            losses: weights.zeros_like(),
            users: users.zeros_like(),
            positives: own.zeros_like(),
            candidates: vectors.zeros_like(),
        };
        let others = other_positives(batches);
        for (columns, pool) in self.pools(&listed, &vectors) {
            if pool.items.is_empty() || row_positives.is_empty() {
                continue;
            }
            let masked = self.spec.loss.mask_user_positives.then_some(others.as_slice());
            let masks = Masks::new(&pool.items, &row_positives, &row_users, masked);
            let expected =
                pool.expected.as_ref().map(|_| self.expected(&row_positives, pool.in_batch, pool.random));
            let queries = Queries {
                users: &users,
                positives: &own,
                weights: &weights,
                log_expected: expected.as_ref(),
            };
            let candidates = Candidates { vectors: &pool.vectors, log_expected: pool.expected.as_ref() };
            let tiles = self.tiles(pool.items.len());
            let part =
                softmax(&queries, &candidates, scale, self.spec.loss.positive_correction, &masks, tiles);
            total.losses += part.losses;
            total.users += part.users;
            total.positives += part.positives;
            let _ = total
                .candidates
                .narrow(0, columns.start, columns.end - columns.start)
                .g_add_(&part.candidates);
        }

        // Candidates' gradients go back to whoever encoded them.
        let by_candidate = match &shared {
            Some(_) => total.candidates.narrow(0, 0, 0),
            None => {
                let (sampled, offered) =
                    self.send_back(&total.candidates, &by_rank, listed.sampled.len() as i64)?;
                let _ = total.positives.index_add_(0, &mine_sampled, &sampled);
                offered
            }
        };

        // Backward, lane by lane.
        self.model.dense.zero_grad();
        let (mut row, mut candidate) = (0, 0);
        for (lane, encoded) in lanes.iter().zip(encoded) {
            let (queries, candidates) = (lane.rows(), lane.candidates());
            let gradient = LaneGradient {
                users: total.users.narrow(0, row, queries),
                positives: total.positives.narrow(0, row, queries),
                candidates: by_candidate.narrow(0, candidate, candidates),
            };
            (row, candidate) = (row + queries, candidate + candidates);
            if queries + candidates == 0 {
                continue;
            }
            let encoded = if keep { encoded } else { self.encode(lane, &rows, true) };
            self.backward(&lane.objective(&encoded, &gradient), &mut rows)?;
        }
        if let Some(shared) = &shared {
            let objective = (&shared.vectors * &total.candidates).sum(None::<Kind>);
            let share = shared.inputs.items.size()[0];
            if share > 0 {
                self.backward(&objective, &mut rows)?;
            }
        }
        if self.spec.loss.temperature.learned {
            // s = e^θ ⟨u, v⟩, so the gradient by θ is Σ u·dU.
            self.model.dense.accumulate_leaf(LOG_SCALE, &(&users * &total.users).sum(None::<Kind>));
        }
        drop(lanes);
        self.commit(batches, &total.losses, &weights, control, rows)
    }

    /// Adds up workers' parts, checks and applies them.
    fn commit(
        &mut self,
        batches: &[LaneBatch],
        losses: &Tensor,
        weights: &Tensor,
        control: u64,
        mut rows: Rows,
    ) -> Result<StepReport, TowersError> {
        let sums = Sums::of(batches, losses, weights, control, self.spec.lanes).reduce(self.collective())?;
        if let Some((lane, loss)) = sums.not_finite() {
            return Err(TowersError::LossNotFinite { step: self.step, lane, loss });
        }
        let solo = self.collective.size() == 1;
        if !solo {
            self.collective.all_reduce_sum(&mut self.model.dense.grad)?;
        }
        let mut by_table = Vec::with_capacity(rows.0.len());
        for touched in &mut rows.0 {
            let mut gradient = touched.take_grad();
            if !solo {
                self.collective.all_reduce_sum(&mut gradient)?;
            }
            by_table.push(gradient);
        }
        let mut report = StepReport {
            step: self.step + 1,
            loss: sums.loss(),
            queries: sums.queries,
            rows: sums.rows,
            gradient_norm: 0.0,
            learning_rate: 0.0,
            scale: self.scale(),
            control: sums.control,
        };
        if sums.weight > 0.0 {
            let (norm, rate) = self.apply(&rows, &by_table, sums.weight)?;
            report.gradient_norm = norm;
            report.learning_rate = rate * self.spec.train.optimizer.lr;
        }
        self.step += 1;
        Ok(report)
    }

    /// Applies the summed gradients; returns their norm and the schedule's rate.
    fn apply(&mut self, rows: &Rows, by_table: &[Tensor], weight: f64) -> Result<(f64, f64), TowersError> {
        tch::no_grad(|| {
            let squares: Tensor = by_table
                .iter()
                .chain(std::iter::once(&self.model.dense.grad))
                .map(|gradient| gradient.square().sum(Kind::Double))
                .fold(Tensor::zeros([], (Kind::Double, self.model.device())), |sum, part| sum + part);
            let norm = squares.double_value(&[]).sqrt() / weight;
            if !norm.is_finite() {
                return Err(TowersError::GradientNotFinite { step: self.step });
            }
            let clip = self.spec.train.clip_norm;
            let shrink = if clip > 0.0 && norm > clip { clip / norm } else { 1.0 };
            let factor = shrink / weight;
            let train = &self.spec.train;
            let rate = learning_rate(train.schedule, train.warmup_steps, self.total_steps, self.step);
            let gradient = &self.model.dense.grad * factor;
            self.dense_optimizer.apply(&mut self.model.dense, &gradient, rate, self.step);
            let tables = self.model.tables.iter_mut().zip(&mut self.table_optimizers);
            for ((table, optimizer), (touched, gradient)) in tables.zip(rows.0.iter().zip(by_table)) {
                optimizer.apply(table, touched, &(gradient * factor), rate, self.step);
            }
            let highest = (1.0 / self.spec.loss.temperature.min).ln();
            let _ = self.model.log_scale.detach().clamp_max_(highest);
            Ok((norm, rate))
        })
    }

    /// Tiles of the loss; on a CPU no larger than its caches like.
    fn tiles(&self, columns: usize) -> Tiles {
        /// 12 MB of f32: measured best between 3 MB and 50 MB on caches of 2 MB a core.
        const CPU_TILE: usize = 3 << 20;
        let (rows, width) = (self.spec.loss.tile_rows as usize, self.spec.loss.tile_columns as usize);
        let width = width.max(1);
        match self.model.device() {
            Device::Cpu => {
                Tiles { rows: rows.min(CPU_TILE / columns.min(width).max(1)).max(1), columns: width }
            }
            _ => Tiles { rows, columns: width },
        }
    }

    fn scale(&self) -> f64 {
        self.model.log_scale.double_value(&[0]).exp()
    }

    /// Encodes a lane; the same random numbers each time it is called for this step.
    fn encode(&self, lane: &Lane, rows: &Rows, with_graph: bool) -> Encoded {
        // What draws from libtorch's own generator (attention dropout, GPUs) is keyed alike.
        let seed = seed_of(self.spec.seed, Purpose::Dropout, self.step, lane.lane);
        tch::manual_seed(seed as i64);
        let rng = DropoutRng::new(seed);
        match with_graph {
            true => lane.encode(&self.model, rows, Mode::Train(&rng)),
            false => tch::no_grad(|| lane.encode(&self.model, rows, Mode::Train(&rng))),
        }
    }

    /// Differentiates an objective by all dense parameters and touched rows, and adds it up.
    fn backward(&mut self, objective: &Tensor, rows: &mut Rows) -> Result<(), TowersError> {
        let dense = self.model.dense.leaves.iter().map(|leaf| leaf.tensor.shallow_clone());
        let inputs: Vec<Tensor> = dense.chain(rows.0.iter().map(|t| t.rows.shallow_clone())).collect();
        let gradients = Tensor::f_run_backward(&[objective], &inputs, false, false)?;
        let (dense, by_table) = gradients.split_at(self.model.dense.leaves.len());
        tch::no_grad(|| {
            self.model.dense.accumulate(dense);
            for (touched, gradient) in rows.0.iter_mut().zip(by_table) {
                touched.accumulate(gradient);
            }
        });
        Ok(())
    }

    /// Rows of the tables this step reads, over all workers.
    fn touch(&self, lanes: &[Lane], shared: Option<&ItemInputs>) -> Result<Rows, TowersError> {
        let everything = shared.is_some() && self.spec.loss.negatives.mode == NegativesMode::Full;
        if everything {
            return Ok(Rows(self.model.tables.iter().map(Touched::all_with_grad).collect()));
        }
        let mut wanted: Vec<Vec<Tensor>> = self.model.tables.iter().map(|_| Vec::new()).collect();
        for inputs in lanes.iter().map(|lane| &lane.items).chain(shared) {
            for (TableId(table), ids) in self.model.item.touches(inputs) {
                wanted[table].push(ids);
            }
        }
        let touched = self.model.tables.iter().zip(&wanted);
        let touched = touched.map(|(table, ids)| Touched::union(table, ids, self.collective()));
        Ok(Rows(touched.collect::<Result<_, _>>()?))
    }

    /// Inputs of the candidates every worker looks up for itself.
    fn shared_items(&self, listed: &Listed) -> ItemInputs {
        let device = self.model.device();
        let ids = match self.spec.loss.negatives.mode {
            NegativesMode::Full => Tensor::arange(self.model.features.items(), (Kind::Int64, device)),
            _ => Tensor::from_slice(&listed.items()).to_device(device),
        };
        ItemInputs { items: ids, features: Vec::new() }
    }

    /// Vectors of all workers' candidates, in lane order: sampled positives first, then offered ones.
    /// Also how many of each kind every worker gave.
    fn exchange(&self, sampled: &Tensor, offered: &Tensor) -> Result<(Tensor, Vec<(i64, i64)>), TowersError> {
        let gather = |mine: &Tensor| match self.collective.size() {
            1 => Ok(vec![mine.shallow_clone()]),
            _ => self.collective.all_gather(mine),
        };
        let (sampled, offered) = (gather(sampled)?, gather(offered)?);
        let by_rank = sampled.iter().zip(&offered).map(|(s, o)| (s.size()[0], o.size()[0])).collect();
        let parts: Vec<Tensor> = sampled.into_iter().chain(offered).collect();
        Ok((Tensor::cat(&parts, 0), by_rank))
    }

    /// Sums everybody's gradients by the candidates and returns those of this worker's own.
    fn send_back(
        &self,
        gradient: &Tensor,
        by_rank: &[(i64, i64)],
        sampled: i64,
    ) -> Result<(Tensor, Tensor), TowersError> {
        let split = |tensor: Tensor, counts: Vec<i64>| -> Result<Tensor, TowersError> {
            Ok(match self.collective.size() {
                1 => tensor,
                _ => self.collective.reduce_scatter_sum(&tensor.split_with_sizes(counts.as_slice(), 0))?,
            })
        };
        let offered = gradient.size()[0] - sampled;
        Ok((
            split(gradient.narrow(0, 0, sampled), by_rank.iter().map(|counts| counts.0).collect())?,
            split(gradient.narrow(0, sampled, offered), by_rank.iter().map(|counts| counts.1).collect())?,
        ))
    }

    /// This worker's lanes.
    pub fn lanes(&self) -> Range<u32> {
        self.lanes.clone()
    }
}
