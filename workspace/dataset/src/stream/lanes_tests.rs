#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tempfile::TempDir;
use twinspire_job::Objective;
use twinspire_storage::Location;

use super::*;
use crate::audit::{Audit, AuditPart, AuditRecord};
use crate::batch::LaneBatch;
use crate::bucket::BucketRules;
use crate::error::DatasetError;
use crate::objective::{QueryRules, action_values};
use crate::plan::{Plan, PlanSettings};
use crate::read::Dataset;
use crate::testing::TestDataset;

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn open(directory: &Path, cache: usize) -> Dataset {
    block_on(Dataset::open_with_cache(Location::local(directory).unwrap(), cache)).unwrap()
}

struct Job {
    _directory: TempDir,
    dataset: Dataset,
    plan: Plan,
    settings: LaneReaderSettings,
}

fn job(users: usize, lanes: u32, per_lane: u32, cache: usize) -> Job {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(5, users, 8).write(directory.path());
    let dataset = open(directory.path(), cache);
    let settings = PlanSettings { seed: 9, lanes, global_batch: lanes * per_lane, shuffle_shards: 2 };
    let plan = Plan::new(dataset.manifest(), settings).unwrap();
    let queries = QueryRules {
        objective: Objective::DenseAllAction,
        max_actions: 10,
        dense_positions: 3,
        max_positives: 3,
        window_ms: 4_000,
        equal_users: true,
        actions: action_values(dataset.manifest()),
    };
    let settings = LaneReaderSettings { queries, buckets: BucketRules::default(), threads: 2, depth: 2 };
    Job { _directory: directory, dataset, plan, settings }
}

impl Job {
    fn read(&self, lanes: &[u32], steps: std::ops::Range<u64>) -> Vec<Vec<LaneBatch>> {
        let mut reader =
            LaneReader::start(&self.dataset, &self.plan, &self.settings, lanes, steps.clone()).unwrap();
        steps.map(|_| reader.next().unwrap()).collect()
    }
}

#[test]
fn lanes_come_in_order_and_hold_the_planned_rows() {
    let job = job(83, 3, 4, 0);
    let steps = 2 * job.plan.steps_per_epoch() + 2;
    for (step, batches) in job.read(&[0, 1, 2], 0..steps).into_iter().enumerate() {
        assert_eq!(batches.iter().map(|batch| batch.lane).collect::<Vec<_>>(), [0, 1, 2]);
        for batch in batches {
            assert_eq!((batch.step, batch.epoch), (step as u64, job.plan.cursor(step as u64).epoch));
            let (mut trained, mut planned) = (batch.rows.clone(), job.plan.rows_of(batch.lane, step as u64));
            trained.sort_unstable();
            planned.sort_unstable();
            assert_eq!(trained, planned);
        }
    }
}

/// Invariant 2, end to end: what readers yield passes the audit.
#[test]
fn what_is_read_in_an_epoch_passes_the_audit() {
    let job = job(83, 3, 4, 1 << 20);
    let steps = 2 * job.plan.steps_per_epoch();
    let mut part = AuditPart::default();
    for batch in job.read(&[0, 1, 2], 0..steps).iter().flatten() {
        part.push(&AuditRecord::of(batch, 1));
    }
    let mut audit = Audit::default();
    audit.add_part("part", &part.take().unwrap().1.into()).unwrap();
    let report = audit.check(&job.plan, steps);
    assert!(report.passed(), "{report:?}");
    assert_eq!(report.expected, 166);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Invariants 1 and 2: neither the other lanes, nor the step it was started at, nor threads
    /// and caches change what a lane yields.
    #[test]
    fn a_lane_yields_the_same_alone_and_after_a_restart_anywhere(
        users in 1usize..90,
        lanes in 1u32..5,
        per_lane in 1u32..6,
        start in 0u64..60,
        cached: bool,
        threads in 1usize..4,
    ) {
        let mut job = job(users, lanes, per_lane, if cached { 1 << 20 } else { 0 });
        let all: Vec<u32> = (0..lanes).collect();
        let steps = start + 12;
        let whole = job.read(&all, 0..steps);
        job.settings.threads = threads;
        job.settings.depth = 1;
        for lane in 0..lanes {
            let resumed = job.read(&[lane], start..steps);
            for (batches, expected) in resumed.iter().zip(&whole[start as usize..]) {
                prop_assert_eq!(&batches[0], &expected[lane as usize]);
            }
        }
    }
}

#[test]
fn lanes_may_be_given_in_any_order() {
    let job = job(40, 4, 2, 1 << 20);
    let batches = job.read(&[3, 0, 2], 1..2).remove(0);
    assert_eq!(batches.iter().map(|batch| batch.lane).collect::<Vec<_>>(), [3, 0, 2]);
}

#[test]
fn no_step_follows_the_last() {
    let job = job(40, 2, 2, 1 << 20);
    let mut reader = LaneReader::start(&job.dataset, &job.plan, &job.settings, &[0, 1], 5..6).unwrap();
    assert_eq!(reader.next_step(), 5);
    reader.next().unwrap();
    let error = reader.next().unwrap_err();
    assert_eq!(error.code(), "TW2109");
    assert!(error.to_string().contains("step 6"), "{error}");
}

#[test]
fn failures_to_read_surface_at_next() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(5, 83, 8).write(directory.path());
    let job = Job { dataset: open(directory.path(), 0), ..job(83, 2, 4, 0) };
    let last = fs::read_dir(directory.path()).unwrap().count() - 3;
    fs::remove_file(directory.path().join(crate::format::timelines_file(last))).unwrap();
    let mut reader =
        LaneReader::start(&job.dataset, &job.plan, &job.settings, &[0, 1], 0..job.plan.steps_per_epoch())
            .unwrap();
    let error = (0..job.plan.steps_per_epoch()).find_map(|_| reader.next().err()).unwrap();
    assert!(matches!(error, DatasetError::Storage(_)), "{error}");
    assert!(error.to_string().contains("timelines-00002.parquet"), "{error}");
    assert_eq!(reader.next().unwrap_err().code(), "TW2109");
}

#[test]
fn a_dropped_reader_stops_at_once_though_its_queue_is_full() {
    let job = job(83, 3, 4, 0);
    let start = Instant::now();
    for taken in 0..20 {
        let mut reader =
            LaneReader::start(&job.dataset, &job.plan, &job.settings, &[0, 1, 2], 0..u64::MAX).unwrap();
        (0..taken).for_each(|_| drop(reader.next().unwrap()));
        drop(reader);
    }
    // Dropping joins the threads, so getting here proves that they ended.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

#[test]
fn readers_can_be_started_and_dropped_inside_a_runtime() {
    let job = job(40, 2, 2, 1 << 20);
    block_on(async {
        let reader = LaneReader::start(&job.dataset, &job.plan, &job.settings, &[0, 1], 0..10).unwrap();
        drop(reader);
    });
}

/// Nothing is cached and everything is decoded: the whole way from the files to the batches must
/// still be far faster than any tower.
#[test]
fn a_million_tokens_a_second_and_more_come_from_the_files() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset { shard_rows: 500, ..TestDataset::random(5, 4_000, 165) }.write(directory.path());
    let dataset = open(directory.path(), 0);
    let settings = PlanSettings { seed: 9, lanes: 4, global_batch: 256, shuffle_shards: 2 };
    let plan = Plan::new(dataset.manifest(), settings).unwrap();
    let mut job = Job { _directory: directory, dataset, plan, ..job(1, 1, 1, 0) };
    job.settings.queries.max_actions = 200;
    job.settings.threads = 1;
    let (start, mut tokens, steps) = (Instant::now(), 0, 2 * job.plan.steps_per_epoch());
    let mut reader =
        LaneReader::start(&job.dataset, &job.plan, &job.settings, &[0, 1, 2, 3], 0..steps).unwrap();
    for _ in 0..steps {
        tokens += reader.next().unwrap().iter().map(|batch| batch.tokens.actions_held()).sum::<usize>();
    }
    let rate = tokens as f64 / start.elapsed().as_secs_f64();
    println!("{tokens} tokens at {rate:.2e} tokens/s");
    assert!(rate > 1e6, "{rate:.2e} tokens/s");
}
