//! Writing in the background.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use support::{check, local, state};
use tokio::runtime::Handle;
use twinspire_checkpoint::{
    Busy, CheckpointStore, Generation, Manifest, Patience, Retention, State, Step, TensorSlice, Which, Writer,
};
use twinspire_storage::Location;
use twinspire_test_s3::{Fault, S3Server};

fn slices(step: u64, rank: usize, of: usize) -> Vec<TensorSlice> {
    state(step, 50).iter().map(|tensor| tensor.slice(rank, of)).collect()
}

async fn s3(server: &S3Server) -> CheckpointStore {
    let mut variables = server.environment();
    variables.push(("AWS_MAX_ATTEMPTS".into(), "1".into()));
    let location = Location::parse_with("s3://bucket/jobs/x", &variables).unwrap();
    CheckpointStore::new(location, Retention::default())
}

fn impatient(give_up_after: Duration) -> Patience {
    let first_delay = Duration::from_millis(5);
    Patience { first_delay, longest_delay: Duration::from_millis(20), give_up_after }
}

#[tokio::test]
async fn two_ranks_write_in_the_background_and_one_commits() {
    let directory = tempfile::tempdir().unwrap();
    let store = local(directory.path());
    let mut writers = [0, 1].map(|_| Writer::new(store.clone(), Handle::current(), Patience::default()));
    for (rank, writer) in writers.iter_mut().enumerate() {
        writer.begin(Step(9), Generation(1), rank, 2, slices(9, rank, 2)).unwrap();
        assert_eq!(writer.busy(), Some(Step(9)));
    }
    let mut parts = Vec::new();
    for writer in &mut writers {
        // As the trainer does: between steps, without waiting.
        let finished = loop {
            match writer.finished() {
                Some(finished) => break finished,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!((finished.step, finished.tries), (Step(9), 1));
        assert!(writer.finished().is_none() && writer.busy().is_none());
        parts.push(finished.result.unwrap());
    }
    let tensors = state(9, 50).into_iter().map(|tensor| tensor.info).collect();
    store.commit(Manifest::new(Step(9), Generation(1), tensors, parts)).await.unwrap();
    assert_eq!(check(&store.restore(Which::Latest).await.unwrap().unwrap(), 50), 9);
}

#[tokio::test]
async fn one_part_is_in_flight_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(local(directory.path()), Handle::current(), Patience::default());
    writer.begin(Step(1), Generation(1), 0, 1, slices(1, 0, 1)).unwrap();
    assert_eq!(writer.begin(Step(2), Generation(1), 0, 1, slices(2, 0, 1)), Err(Busy { step: Step(1) }));
    assert_eq!(writer.wait().await.unwrap().step, Step(1));
    assert!(writer.wait().await.is_none());
    writer.begin(Step(2), Generation(1), 0, 1, slices(2, 0, 1)).unwrap();
    writer.wait().await.unwrap().result.unwrap();
}

#[tokio::test]
async fn a_storage_that_recovers_costs_nothing_but_tries() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let mut writer = Writer::new(s3(&server).await, Handle::current(), impatient(Duration::from_secs(60)));
    server.set_fault(Fault::Full);
    writer.begin(Step(1), Generation(1), 0, 1, slices(1, 0, 1)).unwrap();
    while server.requests() < 3 {
        assert!(writer.finished().is_none());
        tokio::task::yield_now().await;
    }
    server.set_fault(Fault::None);
    let finished = writer.wait().await.unwrap();
    assert!(finished.tries > 2 && finished.result.is_ok(), "{finished:?}");
}

#[tokio::test]
async fn a_storage_that_does_not_recover_is_reported_and_the_next_checkpoint_is_tried() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let mut writer = Writer::new(s3(&server).await, Handle::current(), impatient(Duration::from_millis(50)));
    server.set_fault(Fault::AccessDenied);
    writer.begin(Step(1), Generation(1), 0, 1, slices(1, 0, 1)).unwrap();
    let finished = writer.wait().await.unwrap();
    assert_eq!(finished.result.unwrap_err().code(), "TW3007");
    server.set_fault(Fault::None);
    writer.begin(Step(2), Generation(1), 0, 1, slices(2, 0, 1)).unwrap();
    writer.wait().await.unwrap().result.unwrap();
}

#[tokio::test]
async fn wrong_slices_are_not_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(local(directory.path()), Handle::current(), Patience::default());
    writer.begin(Step(1), Generation(1), 1, 2, slices(1, 0, 1)).unwrap();
    let finished = writer.wait().await.unwrap();
    assert_eq!((finished.tries, finished.result.unwrap_err().code()), (1, "TW3105"));
}

#[tokio::test]
async fn a_writer_dropped_while_writing_leaves_nothing_that_looks_finished() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let store = s3(&server).await;
    let mut writer = Writer::new(store.clone(), Handle::current(), Patience::default());
    server.set_fault(Fault::SlowDown);
    writer.begin(Step(1), Generation(1), 0, 1, slices(1, 0, 1)).unwrap();
    while server.requests() < 1 {
        tokio::task::yield_now().await;
    }
    drop(writer);
    server.set_fault(Fault::None);
    assert!(store.restore(Which::Latest).await.unwrap().is_none());
    assert!(store.list().await.unwrap().iter().all(|summary| summary.state == State::Unfinished));
}
