//! What a pool takes on at most.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use twinspire_control::{Answer, Limits, Policy, Refusal, Verb};
use twinspire_coordinator::service::{Engine, Found, Handle, Records, Submission};
use twinspire_job::JobFile;

fn pool(limits: Limits) -> Handle {
    let policy = Policy { limits, ..Policy::default() };
    Engine::start(policy, Records::nothing(), Found::default()).0
}

fn job(name: &str, workers: u32) -> Submission {
    let text = format!("name: {name}\nlog: {{uri: /data/events.parquet}}\nworkers: {workers}\n");
    let spec = JobFile::parse(&text, "job.yaml", &[]).unwrap().into_spec();
    Submission::new(spec, name.into(), 0, 0, None)
}

#[tokio::test]
async fn a_job_too_many_is_refused_and_taken_on_once_another_is_over() {
    let pool = pool(Limits { jobs: Some(1), ..Limits::default() });
    assert_eq!(pool.submit(job("one", 1)).await.unwrap(), Ok(Answer::Done));
    // The same again is no further job.
    assert_eq!(pool.submit(job("one", 1)).await.unwrap(), Ok(Answer::Already));
    let refused = pool.submit(job("two", 1)).await.unwrap().unwrap_err();
    assert_eq!(refused, Refusal::TooManyJobs { job: "two".into(), there: 1, limit: 1 });
    assert_eq!(refused.code(), "TW5306");
    assert!(pool.board().job(&"two".into()).is_none(), "something was kept of it");

    pool.ask(Verb::Cancel("one".into())).await.unwrap().unwrap();
    assert_eq!(pool.submit(job("two", 1)).await.unwrap(), Ok(Answer::Done));
    let refused = pool.ask(Verb::Retry("one".into())).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), "TW5306");
}

#[tokio::test]
async fn a_job_that_asks_for_too_many_workers_is_refused_and_told_what_it_may_have() {
    let pool = pool(Limits { workers_per_job: Some(2), ..Limits::default() });
    assert_eq!(pool.submit(job("two", 2)).await.unwrap(), Ok(Answer::Done));
    let refused = pool.submit(job("four", 4)).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), "TW5307");
    assert!(refused.to_string().contains("--set workers='{min: 2, max: 2}'"), "{refused}");
    assert!(pool.board().job(&"four".into()).is_none(), "something was kept of it");
}
