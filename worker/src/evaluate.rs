//! The evaluate task, and the measuring that training does too.

use bytes::Bytes;
use tch::Tensor;
use twinspire_checkpoint::{CheckpointError, Patience};
use twinspire_dataset::{HeldOut as Part, UserBatch, UserReader, UserReaderSettings, rows_of_rank};
use twinspire_job::SeenItems;
use twinspire_proto::v1::{Evaluated, Progress, Split};
use twinspire_report::{EvaluationReport, later_evaluation, own_evaluation};
use twinspire_storage::Location;
use twinspire_towers::evaluate::{Evaluation, HeldOut, Retrieval};

use crate::{
    model::{Loaded, Wanted},
    task::{Reporter, Task, TaskError},
};

/// Users encoded at once.
const BATCH_USERS: usize = 512;

/// What was measured, on whom, and on whom it could not be.
pub(crate) struct Measured {
    pub(crate) evaluation: Evaluation,
    /// Users with held-out rows but nothing before them to go by.
    pub(crate) without_history: u64,
}

/// Restores a checkpoint and ranks the catalogue for every user with held-out rows.
pub(crate) fn run(task: &Task) -> Result<Evaluated, TaskError> {
    let mut loaded = Loaded::load(task)?;
    let asked = task.assign.checkpoint_step;
    let wanted = asked.map_or(Wanted::Best, Wanted::Step);
    let found = loaded
        .restore(task, wanted)?
        .ok_or_else(|| TaskError::no_checkpoint(&task.places.checkpoints, asked))?;
    let split = task.assign.split();
    let part = match split {
        Split::Validation => Part::Validation,
        Split::Test | Split::Unspecified => Part::Test,
    };
    let measured = measure(task, &loaded, part, 0)?;
    let report_json = if task.is_first() {
        let report = crate::report::evaluation(split, found.manifest.step.0, &measured);
        keep(task, &report)?;
        serde_json::to_string(&report).map_err(|why| TaskError::protocol("report", why))?
    } else {
        String::new()
    };
    Ok(Evaluated { step: found.manifest.step.0, split: split.into(), report_json })
}

/// Keeps the report with the run, before anybody is told that the task is done: so that whoever knows that it is
/// finds it there, whatever becomes of the coordinator.
fn keep(task: &Task, report: &EvaluationReport) -> Result<(), TaskError> {
    let name = match task.assign.afterwards {
        true => later_evaluation(report.split, report.step),
        false => own_evaluation(report.split),
    };
    let text = report.to_json().map_err(|why| TaskError::protocol("report", why))?;
    let run = Location::parse(&task.places.run)?;
    let text = Bytes::from(text);
    let put = || async { run.put(&name, text.clone()).await.map_err(CheckpointError::from) };
    let (kept, _) = task.block_on(Patience::default().retry("keep the report", put))?;
    Ok(kept?)
}

/// Ranks the catalogue for the first `max_users` users (0 = all), each rank its share of them.
/// Every rank gets the same result.
pub(crate) fn measure(
    task: &Task,
    loaded: &Loaded,
    part: Part,
    max_users: u64,
) -> Result<Measured, TaskError> {
    let all = loaded.dataset.manifest().users;
    let users = if max_users == 0 { all } else { max_users.min(all) };
    let (rank, world) = (task.assign.rank as usize, task.assign.world as usize);
    let mine = rows_of_rank(users, rank, world);
    let total = mine.end - mine.start;
    let max_actions = task.spec.towers.user.max_actions as usize;
    let settings = UserReaderSettings::evaluate(part, max_actions, BATCH_USERS);
    let mut reader = UserReader::start(&loaded.dataset, mine.clone(), settings)?;

    let model = loaded.trainer.model();
    let (k, positives) = (&task.spec.evaluate.k, &loaded.items.positives);
    let mut retrieval = Retrieval::new(model, loaded.collective.as_ref(), k, positives)?;
    let mut progress = Reporter::new(&task.link);
    let mut done = 0;
    let mut without_history = 0;
    while let Some(batch) = reader.next()? {
        task.go_on()?;
        without_history += batch.without_history.len() as u64;
        done = batch.rows.iter().map(|row| row + 1 - mine.start).max().unwrap_or(done).max(done);
        retrieval.add(&held_out(batch, task.spec.evaluate.seen));
        if task.is_first() {
            progress.report(|| Progress {
                stage: "evaluating".into(),
                done,
                total,
                unit: "users".into(),
                training: None,
            });
        }
    }
    let evaluation = retrieval.finish()?;
    let mut sum = Tensor::from(without_history as f64);
    loaded.collective.all_reduce_sum(&mut sum)?;
    Ok(Measured { evaluation, without_history: sum.double_value(&[]) as u64 })
}

/// The dataset's layout (CSR by slot) as the towers'.
fn held_out(batch: UserBatch, seen: SeenItems) -> HeldOut {
    let lists = |offsets: &[i64], values: &[i64]| -> Vec<Vec<i64>> {
        offsets.windows(2).map(|edge| values[edge[0] as usize..edge[1] as usize].to_vec()).collect()
    };
    let targets = lists(&batch.targets_offsets, &batch.targets);
    let seen = match seen {
        SeenItems::Remove => lists(&batch.seen_offsets, &batch.seen),
        SeenItems::Keep => vec![Vec::new(); targets.len()],
    };
    HeldOut { tokens: batch.tokens, targets, seen }
}
