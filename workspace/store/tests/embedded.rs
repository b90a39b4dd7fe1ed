//! What is particular to the store in a file.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use twinspire_store::{Embedded, MetadataStore, Swap};

const PLACE: &str = "TWINSPIRE_TEST_STORE";

/// Not a test of its own: what the killed process runs.
#[tokio::test]
async fn the_writer_that_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let store = Embedded::open(place.as_ref()).await.unwrap();
    loop {
        let now = store.get("count").await.unwrap();
        let count = now.as_ref().map_or(0, |now| u64::from_le_bytes(now.value[..].try_into().unwrap())) + 1;
        let value = Some(count.to_le_bytes().to_vec());
        let swap = store.compare_and_swap("count", now.map(|now| now.version), value).await.unwrap();
        assert!(matches!(swap, Swap::Done(_)));
        println!("\nacknowledged {count}");
        std::io::stdout().flush().unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    for round in 1..=10 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_writer_that_is_killed", "--nocapture"])
            .env(PLACE, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut said = lines.filter_map(|line| line.ok()?.strip_prefix("acknowledged ")?.parse::<u64>().ok());
        let nth = said.nth(round * 3).unwrap();
        writer.kill().unwrap();
        let last = said.last().unwrap_or(nth);
        writer.wait().unwrap();

        let store = Embedded::open(&path).await.unwrap();
        let count = store.get("count").await.unwrap().unwrap().value;
        let count = u64::from_le_bytes(count[..].try_into().unwrap());
        assert!(count == last || count == last + 1, "{last} was acknowledged, {count} is stored");
    }
}

#[tokio::test]
async fn a_second_coordinator_is_told_that_the_store_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let first = Embedded::open(&path).await.unwrap();
    let error = Embedded::open(&path).await.unwrap_err();
    assert!(error.code() == "TW5102" && !error.is_retryable(), "{error}");
    drop(first);
    Embedded::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_store_is_told_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    std::fs::write(&path, "name: beauty\n".repeat(400)).unwrap();
    let error = Embedded::open(&path).await.unwrap_err();
    assert!(error.code() == "TW5103" && !error.is_retryable(), "{error}");
    assert!(error.to_string().contains("state.redb"), "{error}");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("name: beauty"));
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_unavailable_until_it_can() {
    let directory = tempfile::tempdir().unwrap();
    let blocked = directory.path().join("blocked");
    std::fs::write(&blocked, "a file where a directory should be").unwrap();
    let error = Embedded::open(&blocked.join("state.redb")).await.unwrap_err();
    assert!(error.code() == "TW5101" && error.is_retryable(), "{error}");
    std::fs::remove_file(&blocked).unwrap();
    Embedded::open(&blocked.join("state.redb")).await.unwrap();
}
