//! The batches of a worker's lanes, step by step.

use std::ops::Range;

use twinspire_job::JobSpec;

use super::background::{Io, Outlet, Producer, Stopped, stopped};
use super::lane_rows::{EpochPlans, LaneRows};
use crate::assemble::{Assembler, LaneStep};
use crate::batch::LaneBatch;
use crate::bucket::BucketRules;
use crate::error::DatasetError;
use crate::objective::QueryRules;
use crate::plan::Plan;
use crate::read::Dataset;

/// How lanes are read.
#[derive(Clone, Debug)]
pub struct LaneReaderSettings {
    /// How queries are made.
    pub queries: QueryRules,
    /// How users are cut into buckets.
    pub buckets: BucketRules,
    /// Threads that assemble batches (reading and decoding has one more).
    pub threads: usize,
    /// Steps made ahead.
    pub depth: usize,
}

impl LaneReaderSettings {
    /// The settings of a job on a dataset.
    pub fn of(job: &JobSpec, dataset: &Dataset) -> LaneReaderSettings {
        LaneReaderSettings {
            queries: QueryRules::of(&job.towers.user, dataset.manifest()),
            buckets: BucketRules::default(),
            threads: 1,
            depth: 4,
        }
    }
}

/// The batches of a set of lanes, step by step.
///
/// What it yields for a step depends on the plan, the settings and the dataset alone: not on the
/// step it was started at, nor on the other lanes (invariants 1 and 2).
pub struct LaneReader {
    lanes: Vec<u32>,
    producers: Vec<Producer<Vec<(usize, LaneBatch)>>>,
    next: u64,
    end: u64,
    /// After the producers: they are stopped first.
    _io: Io,
}

impl LaneReader {
    /// Starts reading `lanes` for the steps of the job in `steps`, over as many epochs as that is.
    pub fn start(
        dataset: &Dataset,
        plan: &Plan,
        settings: &LaneReaderSettings,
        lanes: &[u32],
        steps: Range<u64>,
    ) -> Result<LaneReader, DatasetError> {
        let io = Io::start()?;
        let threads = settings.threads.clamp(1, lanes.len().max(1));
        let producers = (0..threads)
            .map(|thread| {
                let mine = lanes.iter().copied().enumerate().skip(thread).step_by(threads);
                let mut work = Work {
                    plans: EpochPlans::new(plan.clone()),
                    lanes: mine
                        .map(|(at, lane)| (at, lane, LaneRows::new(dataset.clone(), lane, steps.end)))
                        .collect(),
                    assembler: Assembler::new(
                        plan.settings().seed,
                        settings.queries.clone(),
                        settings.buckets,
                    ),
                    plan: plan.clone(),
                };
                let steps = steps.clone();
                Producer::start(&io, settings.depth, move |outlet| work.run(steps, outlet))
            })
            .collect::<Result<_, _>>()?;
        Ok(LaneReader { lanes: lanes.to_vec(), producers, next: steps.start, end: steps.end, _io: io })
    }

    /// The lanes it reads.
    pub fn lanes(&self) -> &[u32] {
        &self.lanes
    }

    /// The step that [`LaneReader::next`] yields next.
    pub fn next_step(&self) -> u64 {
        self.next
    }

    /// The batches of the next step, one a lane, in the order the lanes were given in. Waits for
    /// them; not for use inside async code.
    ///
    /// After an error, and after the last step, every call is an error.
    #[allow(clippy::should_implement_trait, reason = "it does not end with None, but with an error")]
    pub fn next(&mut self) -> Result<Vec<LaneBatch>, DatasetError> {
        if self.next >= self.end {
            return Err(stopped(&format!("it was asked for step {}, past the last", self.next)));
        }
        let mut batches: Vec<Option<LaneBatch>> = vec![None; self.lanes.len()];
        for producer in &mut self.producers {
            let made =
                producer.next().unwrap_or_else(|| Err(stopped("it had failed before, or its thread died")));
            for (at, batch) in made? {
                batches[at] = Some(batch);
            }
        }
        self.next += 1;
        Ok(batches.into_iter().flatten().collect())
    }
}

/// What one thread does.
struct Work {
    plan: Plan,
    plans: EpochPlans,
    /// Place among the reader's lanes, lane, rows.
    lanes: Vec<(usize, u32, LaneRows)>,
    assembler: Assembler,
}

impl Work {
    fn run(&mut self, steps: Range<u64>, outlet: &Outlet<Vec<(usize, LaneBatch)>>) -> Result<(), Stopped> {
        for step in steps {
            let batches = self.step(step, outlet)?;
            let failed = batches.is_err();
            outlet.send(batches)?;
            if failed {
                break;
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        step: u64,
        outlet: &Outlet<Vec<(usize, LaneBatch)>>,
    ) -> Result<Result<Vec<(usize, LaneBatch)>, DatasetError>, Stopped> {
        let mut batches = Vec::with_capacity(self.lanes.len());
        let epoch = self.plan.cursor(step).epoch;
        for (at, lane, rows) in &mut self.lanes {
            let picked = match rows.step(step, &mut self.plans, outlet)? {
                Ok(picked) => picked,
                Err(error) => return Ok(Err(error)),
            };
            let lane_step = LaneStep { epoch, step, lane: *lane };
            batches.push((*at, self.assembler.assemble(lane_step, picked.timelines())));
        }
        Ok(Ok(batches))
    }
}
