//! What is recorded of a job fits into the store, however many workers it may ask for.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::sync::Arc;

use twinspire_control::{
    Command, Device, Event, FromWorker, Generation, Incarnation, Job, Limits, Phase, Policy, Registration,
    Session, State, TaskResult, Time, Verb,
};
use twinspire_coordinator::service::{Records, Saved, Submission};
use twinspire_job::{JobFile, JobSpec};
use twinspire_store::{Embedded, MAX_VALUE, MetadataStore, Swap};

const JOB: &str = "
runs: s3://models/runs
log:
  uri: [s3://logs/2024-*/*.parquet, s3://logs/2025-*/*.parquet]
  columns: {user: uid, item: pin, action: kind, timestamp: at, surface: place, duration: seconds}
  filter: country = 'DE' and seconds < 3600
  actions: {save: {weight: 1.5}, click: {}, view: {positive: false}}
catalogue:
  uri: s3://catalogue/items/*.parquet
  features:
    - {name: title, type: text}
    - {name: category, type: categorical}
    - {name: image, type: vector, dim: 512}
checkpoint: {uri: s3://models/checkpoints/recommendations}
export: {uri: s3://models/export/recommendations}
";

fn spec(workers: u32) -> JobSpec {
    let own = format!("name: recommendations\nworkers: {workers}\nlanes: {workers}\n");
    let batch = format!("train: {{global_batch: {}}}\n", workers * 16);
    let text = format!("{own}{JOB}{batch}");
    JobFile::parse(&text, "job.yaml", &[]).map_err(|why| why.report()).unwrap().into_spec()
}

fn registered(worker: u32) -> Event {
    let registration = Registration {
        name: format!("gpu-node-pools-{worker:08}/cuda:0").into(),
        incarnation: Incarnation(u64::MAX - u64::from(worker)),
        device: Device::Cuda,
        about: String::new(),
        running: None,
        state: None,
    };
    Event::Registered(Session(worker.into()), registration)
}

/// The job when all its workers have begun to train.
fn training(spec: &JobSpec, workers: u32) -> Job {
    let mut state = State::new(Policy::default());
    for worker in 0..workers {
        state.apply(registered(worker), Time(1_700_000_000_000));
    }
    let submission = Submission::new(spec.clone(), spec.fingerprint(), 0, 0, None);
    let said = state.apply(Event::Asked(Verb::Submit(Box::new(submission.request))), Time(1_700_000_000_000));
    let prepares = said.iter().find_map(|command| match command {
        Command::Send { session, .. } => Some(*session),
        _ => None,
    });
    let what = FromWorker::Done(TaskResult::Prepared {
        dataset_uri: format!("{}/datasets/{}", spec.runs, spec.fingerprint()),
        fingerprint: spec.fingerprint(),
        reused: false,
        warnings: Vec::new(),
    });
    let (session, generation) = (prepares.expect("a worker prepares"), Generation(1));
    let said = state.apply(Event::Said { session, generation, what }, Time(1_700_000_100_000));
    let records = said.into_iter().filter_map(|command| match command {
        Command::Record(job) => Some(*job),
        _ => None,
    });
    records.last().expect("it is recorded")
}

#[tokio::test]
async fn a_job_of_as_many_workers_as_one_may_ask_for_can_be_recorded() {
    let workers = Limits::default().workers_per_job.expect("a limit");
    assert_eq!(workers, 2000);
    let spec = spec(workers);
    let job = training(&spec, workers);
    let members = &job.attempt.as_ref().expect("workers are at it").members;
    assert_eq!((job.phase, members.len()), (Phase::Running, 2000));
    assert!(members.iter().all(|member| member.worker.as_str().len() == 30));

    let saved = Saved { spec, job };
    let record = serde_json::to_vec(&saved).unwrap();
    let (bytes, of_spec) = (record.len(), serde_json::to_vec(&saved.spec).unwrap().len());
    assert!(bytes < MAX_VALUE, "{bytes} bytes, {of_spec} of them the job file's");

    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(&dir.path().join("state.redb")).await.unwrap());
    let swapped = store.compare_and_swap("jobs/recommendations", None, Some(record)).await.unwrap();
    assert!(matches!(swapped, Swap::Done(_)), "{swapped:?}");
    assert_eq!(Records::over(store).job("recommendations").await.unwrap(), Some(saved));
}
