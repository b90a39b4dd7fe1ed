//! Jobs run by real worker processes on this machine.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, Signal, getpid, kill_process};
use twinspire_checkpoint::{CheckpointStore, Restored, Retention, Which};
use twinspire_coordinator::{
    core::{FailureKind, Generation, Notice, Outcome, Setup, Split, Stage, TaskResult, Timeouts},
    shell::{Engine, Keep, Places},
};
use twinspire_dataset::{Dataset, Plan, PlanSettings, audit};
use twinspire_generate::GenerateSpec;
use twinspire_job::{JobFile, JobSpec};
use twinspire_storage::Location;

const EVERYTHING: [Stage; 4] = [Stage::Prepare, Stage::Train, Stage::Evaluate, Stage::Export];

/// One job at a time: tests look for their workers among the children of this process, and send
/// it signals.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn job(dir: &Path, more: &str) -> JobSpec {
    let log = dir.join("log");
    let spec = GenerateSpec { users: 200, items: 80, events: 4000, vector_dim: 8, ..GenerateSpec::default() };
    twinspire_generate::generate(&spec, &log, &|_| {}).unwrap();
    let text = format!(
        "name: small\nruns: {runs}\ndevice: cpu\nlanes: 4\n\
         log:\n  uri: \"{log}/events-*.parquet\"\n  columns: {{action: action}}\n\
         towers:\n  dim: 16\n  item: {{encoder: id, id_embedding: table}}\n  \
         user: {{d_model: 16, layers: 1, heads: 2, max_actions: 20, objective: sasrec, head: false}}\n\
         loss: {{negatives: {{mode: mixed_concat, random: 32}}}}\n\
         evaluate: {{k: [5]}}\n\
         {more}",
        runs = dir.join("runs").display(),
        log = log.display(),
    );
    JobFile::parse(&text, "job.yaml", &[]).unwrap().into_spec()
}

struct Ran {
    outcome: Outcome,
    notices: Vec<Notice>,
}

impl Ran {
    fn results(&self) -> impl Iterator<Item = &TaskResult> {
        self.notices.iter().filter_map(|notice| match notice {
            Notice::Done(result) => Some(result),
            _ => None,
        })
    }
}

/// Runs a job; `watch` sees every notice as it comes.
fn run(spec: &JobSpec, workers: u32, plan: &[Stage], mut watch: impl FnMut(&Notice) + Send) -> Ran {
    let places = Places::of(spec);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut notices = Vec::new();
    let mut show = |notice: &Notice| {
        watch(notice);
        notices.push(notice.clone());
    };
    let outcome = runtime.block_on(async {
        let mut keep = Keep::open(&places, &spec.name).await.unwrap();
        let generation = keep.saved().map_or(Generation(0), |saved| saved.record.generation);
        keep.begin(spec, generation).await.unwrap();
        let setup = Setup {
            job: spec.name.clone(),
            lanes: spec.lanes,
            workers,
            plan: plan.to_vec(),
            generation,
            checkpoint_step: None,
            split: Split::Test,
            timeouts: Timeouts::from_recovery_target(spec.recovery_target.0),
        };
        let spec_json = serde_json::to_string(spec).unwrap();
        let program = env!("CARGO_BIN_EXE_worker").into();
        Engine::new(program, setup, spec_json, places, keep, &mut show).await.unwrap().run().await.unwrap()
    });
    if let Outcome::Failed(failure) = &outcome {
        eprintln!("{failure:?}");
    }
    Ran { outcome, notices }
}

/// Worker processes of this one.
fn workers() -> Vec<Pid> {
    let me = getpid().as_raw_nonzero().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    numbers
        .filter(|pid| {
            // "pid (name) state ppid …"
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let parent = stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.split(' ').nth(1))
                .unwrap_or_default()
                .to_owned();
            stat.contains("(worker)") && parent == me
        })
        .filter_map(Pid::from_raw)
        .collect()
}

fn checkpoint(spec: &JobSpec) -> Restored {
    let location = Location::parse(&Places::of(spec).checkpoints).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = CheckpointStore::new(location, Retention::default());
    runtime.block_on(store.restore(Which::Latest)).unwrap().unwrap()
}

fn audit(spec: &JobSpec) -> audit::AuditReport {
    let places = Places::of(spec);
    let newest = checkpoint(spec).manifest;
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let dataset = Location::parse(&places.datasets).unwrap().join(&newest.dataset_fingerprint);
        let dataset = Dataset::open(dataset).await.unwrap();
        let plan = Plan::new(dataset.manifest(), PlanSettings::of(spec)).unwrap();
        let records = audit::Audit::load(&Location::parse(&places.run).unwrap()).await.unwrap();
        records.check(&plan, newest.step.0)
    })
}

fn step_of(notice: &Notice) -> u64 {
    match notice {
        Notice::Progress(progress) => progress.training.map_or(0, |training| training.step),
        Notice::Committed { step } => *step,
        _ => 0,
    }
}

#[test]
fn a_job_goes_from_its_log_to_embeddings_on_two_workers() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let spec = job(dir.path(), "train: {global_batch: 64, epochs: 3}\n");
    let ran = run(&spec, 2, &EVERYTHING, |_| {});
    assert_eq!(ran.outcome, Outcome::Succeeded);

    let report = ran.results().find_map(|result| match result {
        TaskResult::Evaluated { report, .. } => serde_json::from_str::<serde_json::Value>(report).ok(),
        _ => None,
    });
    assert!(report.unwrap()["model"]["ndcg"]["5"].as_f64().unwrap() > 0.0);
    let export = Path::new(&Places::of(&spec).export).to_owned();
    for file in ["item-embeddings.parquet", "user-embeddings.parquet", "weights.safetensors", "item-tower.pt"]
    {
        assert!(export.join(file).is_file(), "{file}");
    }
    let audit = audit(&spec);
    assert!(audit.passed() && audit.expected == 3 * 200, "{audit:?}");
    assert!(workers().is_empty(), "workers end with their job");
}

#[test]
fn killed_workers_are_replaced_and_training_ends_where_it_would_have() {
    let _alone = alone();
    let train = "train: {global_batch: 32, steps: 60}\ncheckpoint: {every_steps: 10}\n";
    let (undisturbed, disturbed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plan = [Stage::Prepare, Stage::Train];

    let expected = job(undisturbed.path(), train);
    assert_eq!(run(&expected, 1, &plan, |_| {}).outcome, Outcome::Succeeded);

    let spec = job(disturbed.path(), train);
    let mut kills = 0;
    let ran = run(&spec, 1, &plan, |notice| {
        if matches!(notice, Notice::Committed { step } if *step >= 20 * (kills + 1)) && kills < 2 {
            kills += 1;
            for worker in workers() {
                kill_process(worker, Signal::KILL).unwrap();
            }
        }
    });
    assert_eq!(ran.outcome, Outcome::Succeeded);
    assert_eq!(kills, 2);
    let resumed = ran
        .notices
        .iter()
        .filter(|notice| matches!(notice, Notice::Started(s) if s.resumed_unix_ms.is_some()));
    assert_eq!(resumed.count(), 2);

    let (expected_end, end) = (checkpoint(&expected), checkpoint(&spec));
    assert_eq!(end.manifest.step.0, 60);
    assert_eq!(expected_end.tensors, end.tensors, "bit by bit");
    let audit = audit(&spec);
    assert!(audit.passed(), "{audit:?}");
}

#[test]
fn ctrl_c_writes_a_checkpoint_and_the_same_again_goes_on() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let spec = job(dir.path(), "train: {global_batch: 32, steps: 2000}\n");
    let spec = JobSpec {
        evaluate: twinspire_job::EvaluateSpec { every_epochs: 0, ..spec.evaluate.clone() },
        ..spec
    };
    let plan = [Stage::Prepare, Stage::Train];
    let mut told = false;
    let ran = run(&spec, 2, &plan, |notice| {
        if step_of(notice) > 0 && !told {
            told = true;
            kill_process(getpid(), Signal::INT).unwrap();
        }
    });
    let Outcome::Stopped { reason } = &ran.outcome else { panic!("{:?}", ran.outcome) };
    let stopped_at = checkpoint(&spec).manifest.step.0;
    assert!(stopped_at < 2000 && reason.contains(&format!("step {stopped_at}")), "{reason}");

    // On another number of workers.
    let mut resumed_at = None;
    let mut told = false;
    run(&spec, 1, &plan, |notice| {
        if let Notice::Started(started) = notice {
            resumed_at = Some(started.step);
        }
        if step_of(notice) > 0 && !told {
            told = true;
            kill_process(getpid(), Signal::INT).unwrap();
        }
    });
    assert_eq!(resumed_at, Some(stopped_at));
    assert!(checkpoint(&spec).manifest.step.0 > stopped_at);
    let audit = audit(&spec);
    assert!(audit.passed(), "{audit:?}");
}

#[test]
fn a_log_that_is_not_there_fails_the_job_as_the_users_mistake() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let mut spec = job(dir.path(), "train: {global_batch: 32, steps: 10}\n");
    spec.log.uri = vec![dir.path().join("nothing-*.parquet").display().to_string()];
    let ran = run(&spec, 1, &EVERYTHING, |_| {});
    let Outcome::Failed(failure) = &ran.outcome else { panic!("{:?}", ran.outcome) };
    assert_eq!((failure.code.as_str(), failure.kind), ("TW2001", FailureKind::BadInput));
}
