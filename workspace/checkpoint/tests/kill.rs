//! `kill -9` at random moments of writing: every restore finds a whole checkpoint (invariant 1).
//!
//! The writer is this test binary started again as a process of its own; it saves, commits and
//! collects in a loop and says each step it has committed.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{check, state, write};
use twinspire_checkpoint::{CheckpointStore, Retention, Which};
use twinspire_storage::Location;
use twinspire_test_s3::S3Server;

const PLACE: &str = "TWINSPIRE_TEST_CHECKPOINT_PLACE";
const GENERATION: &str = "TWINSPIRE_TEST_CHECKPOINT_GENERATION";
/// Rows of the largest tensor: some 700 kB of state, so that kills hit the writing of parts too.
const SCALE: usize = 10_000;

/// Not a test of its own: what the killed process runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_that_is_killed() {
    let (Ok(place), Ok(generation)) = (std::env::var(PLACE), std::env::var(GENERATION)) else {
        return;
    };
    let generation: u64 = generation.parse().unwrap();
    let store = CheckpointStore::new(Location::parse(&place).unwrap(), Retention::default());
    let restored = store.restore(Which::Latest).await.unwrap();
    let first = restored.map_or(1, |restored| check(&restored, SCALE) + 1);
    for step in first.. {
        // Another number of ranks each time.
        let of = 1 + (step + generation) as usize % 4;
        let manifest = write(&store, step, generation, of, &state(step, SCALE)).await;
        store.commit(manifest).await.unwrap();
        println!("\ncommitted {step}");
        std::io::stdout().flush().unwrap();
        store.collect().await.unwrap();
    }
}

async fn kills(store: &CheckpointStore, rounds: u64, environment: &[(String, String)]) {
    let mut committed = 0;
    let mut skipped = 0;
    let mut seed = 0x5EED_u64;
    for generation in 1..=rounds {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_writer_that_is_killed", "--nocapture"])
            .env(PLACE, store.location().uri())
            .env(GENERATION, generation.to_string())
            .envs(environment.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let said = |line: &std::io::Result<String>| -> Option<u64> {
            line.as_ref().ok()?.strip_prefix("committed ")?.parse().ok()
        };
        // Once it is writing, a random moment: this is the one wait that must not be for a condition.
        let first = lines.find_map(|line| said(&line)).unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        tokio::time::sleep(Duration::from_micros((seed >> 40) % 60_000)).await;
        writer.kill().unwrap();
        let last = lines.filter_map(|line| said(&line)).last().unwrap_or(first);
        writer.wait().unwrap();

        assert_eq!(
            first,
            committed + 1,
            "generation {generation} did not go on where {committed} was restored"
        );
        let restored = store.restore(Which::Latest).await.unwrap().unwrap();
        committed = check(&restored, SCALE);
        // What was said to be committed is there; one more may be, committed and not yet said.
        assert!(committed == last || committed == last + 1, "{last} was committed, {committed} restored");
        skipped += restored.skipped.len();
    }
    assert_eq!(skipped, 0, "a kill left a damaged checkpoint");
    // What 50 killed writers left is gone but for the last one's.
    let store = CheckpointStore::new(store.location().clone(), Retention::default());
    store.collect().await.unwrap();
    assert!(store.list().await.unwrap().len() <= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_on_files() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::local(directory.path()).unwrap();
    kills(&CheckpointStore::new(location, Retention::default()), 50, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifteen_kills_on_s3() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let environment = server.environment();
    let location = Location::parse_with("s3://bucket/jobs/x", &environment).unwrap();
    kills(&CheckpointStore::new(location, Retention::default()), 15, &environment).await;
}
