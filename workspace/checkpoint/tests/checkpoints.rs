//! Committing, restoring, fencing and collecting, on files and on a real S3 server.
#![allow(clippy::unwrap_used)]

mod support;

use support::{check, local, save, state, steps, write};
use twinspire_checkpoint::{
    Best, CheckpointError, CheckpointStore, Commit, Generation, Manifest, Retention, State, Step, Which,
};
use twinspire_storage::Location;
use twinspire_test_s3::S3Server;

async fn nothing_is_there_before_the_commit(store: &CheckpointStore) {
    assert!(store.restore(Which::Latest).await.unwrap().is_none());
    let manifest = write(store, 100, 1, 3, &state(100, 50)).await;
    assert!(store.restore(Which::Latest).await.unwrap().is_none());
    assert_eq!(store.list().await.unwrap()[0].state, State::Unfinished);
    assert_eq!(store.commit(manifest).await.unwrap(), Commit::Created);
    assert_eq!(check(&store.restore(Which::Latest).await.unwrap().unwrap(), 50), 100);
    let summary = &store.list().await.unwrap()[0];
    assert_eq!((summary.state.clone(), summary.generation), (State::Whole, Generation(1)));
    assert!(summary.size > state(100, 50).iter().map(|tensor| tensor.bytes.len() as u64).sum());
    assert_eq!(store.latest_whole().await.unwrap(), summary.manifest);
}

async fn any_worker_count_reads_what_any_wrote(store: &CheckpointStore) {
    for (step, writers) in [(201, 1), (202, 2), (205, 5), (240, 40)] {
        save(store, step, 1, writers).await.unwrap();
        let restored = store.restore(Which::Step(Step(step))).await.unwrap().unwrap();
        assert_eq!(check(&restored, 50), step);
        assert_eq!((restored.manifest.workers as usize, restored.skipped.len()), (writers, 0));
    }
}

async fn a_commit_may_be_repeated_but_not_changed(store: &CheckpointStore) {
    let mut manifest = write(store, 300, 1, 2, &state(300, 50)).await;
    manifest.metrics = [("loss".to_owned(), 0.1 + 0.2), ("bad".to_owned(), f64::NAN)].into();
    manifest.extra = serde_json::json!({"sketch": [0.1, 1e-300]});
    assert_eq!(store.commit(manifest.clone()).await.unwrap(), Commit::Created);
    assert_eq!(store.commit(manifest.clone()).await.unwrap(), Commit::AlreadyThere);
    manifest.epoch = 7;
    let error = store.commit(manifest).await.unwrap_err();
    assert_eq!(error.code(), "TW3104", "{error}");
    let read = store.restore(Which::Step(Step(300))).await.unwrap().unwrap().manifest;
    assert_eq!((read.epoch, read.metrics.len()), (0, 1));
}

async fn a_stale_generation_commits_nothing(store: &CheckpointStore) {
    let stale = write(store, 400, 5, 2, &state(400, 50)).await;
    save(store, 400, 6, 1).await.unwrap();
    let error = store.commit(stale).await.unwrap_err();
    let CheckpointError::Fenced { ours: Generation(5), theirs: Generation(6), .. } = error else {
        panic!("{error}");
    };
    // Nor a later step, and what the newer generation wrote is untouched.
    assert_eq!(save(store, 500, 5, 2).await.unwrap_err().code(), "TW3104");
    let restored = store.restore(Which::Latest).await.unwrap().unwrap();
    assert_eq!((check(&restored, 50), restored.manifest.generation), (400, Generation(6)));
    assert_eq!(store.highest_generation().await.unwrap(), Some(Generation(6)));
}

async fn of_two_committers_one_wins(store: &CheckpointStore) {
    for round in 0..10 {
        let step = 600 + round;
        let one = write(store, step, 7, 2, &state(step, 50)).await;
        let other = Manifest { epoch: 1, ..one.clone() };
        let commit = |manifest: Manifest| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(manifest).await })
        };
        let outcomes = [commit(one), commit(other)];
        let [one, other] =
            outcomes.map(|outcome| async { outcome.await.unwrap().map_err(|error| error.code()) });
        let outcomes = (one.await, other.await);
        let winner = match outcomes {
            (Ok(Commit::Created), Err("TW3104")) => 0,
            (Err("TW3104"), Ok(Commit::Created)) => 1,
            _ => panic!("{outcomes:?}"),
        };
        assert_eq!(store.restore(Which::Latest).await.unwrap().unwrap().manifest.epoch, winner);
    }
}

async fn a_commit_without_its_parts_is_refused(store: &CheckpointStore) {
    let mut manifest = write(store, 700, 7, 2, &state(700, 50)).await;
    let directory = store.location().join("step-000000700/generation-00007");
    directory.delete("state-00001-of-00002.safetensors").await.unwrap();
    let error = store.commit(manifest.clone()).await.unwrap_err();
    assert!(error.code() == "TW3105" && error.to_string().contains("state-00001"), "{error}");
    manifest.parts.pop();
    assert_eq!(store.commit(manifest).await.unwrap_err().code(), "TW3105");
    let error = store.restore(Which::Step(Step(700))).await.unwrap_err();
    assert_eq!(error.code(), "TW3102", "{error}");
}

async fn conformance(location: &Location) {
    let store = |name: &str| CheckpointStore::new(location.join(name), Retention::default());
    nothing_is_there_before_the_commit(&store("a")).await;
    any_worker_count_reads_what_any_wrote(&store("a")).await;
    a_commit_may_be_repeated_but_not_changed(&store("b")).await;
    a_stale_generation_commits_nothing(&store("c")).await;
    of_two_committers_one_wins(&store("c")).await;
    a_commit_without_its_parts_is_refused(&store("c")).await;
    the_policy_is_kept(location.join("d")).await;
    leftovers_go_once_something_newer_stands(&store("e")).await;
}

async fn the_policy_is_kept(location: Location) {
    let best = Some(Best { metric: "ndcg".into(), higher_is_better: true });
    let store = CheckpointStore::new(location, Retention { keep_last: 2, keep_every: 40, best });
    for step in (10..=90).step_by(10) {
        let mut manifest = write(&store, step, 1, 2, &state(step, 50)).await;
        manifest.metrics = [("ndcg".to_owned(), if step == 30 { 0.9 } else { 0.1 })].into();
        store.commit(manifest).await.unwrap();
        store.collect().await.unwrap();
    }
    assert_eq!(steps(&store).await, [90, 80, 40, 30]);
    assert_eq!(store.location().list_dirs().await.unwrap().len(), 4);
    for step in [90, 80, 40, 30] {
        store.restore(Which::Step(Step(step))).await.unwrap().unwrap();
    }
}

async fn leftovers_go_once_something_newer_stands(store: &CheckpointStore) {
    write(store, 10, 1, 2, &state(10, 50)).await;
    save(store, 20, 1, 2).await.unwrap();
    write(store, 30, 1, 2, &state(30, 50)).await;
    assert_eq!(store.collect().await.unwrap(), [Step(10)]);
    // Step 30 may be being written this moment.
    assert_eq!(steps(store).await, [30, 20]);
    // A newer generation goes on from 20 and has 30 too: the older one's leftover goes alone.
    save(store, 30, 2, 1).await.unwrap();
    assert_eq!(store.collect().await.unwrap(), []);
    assert_eq!(steps(store).await, [30, 20]);
    assert_eq!(store.restore(Which::Latest).await.unwrap().unwrap().manifest.generation, Generation(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_conform() {
    let directory = tempfile::tempdir().unwrap();
    conformance(&Location::local(directory.path()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_conforms() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    conformance(&Location::parse_with("s3://bucket/jobs/x", &server.environment()).unwrap()).await;
}

/// What happens to the bytes of a file.
type Damage<'a> = &'a dyn Fn(&mut Vec<u8>);

/// How files get damaged, and the reason that must be told.
#[tokio::test]
async fn every_damage_falls_back_with_its_reason() {
    let part = "state-00001-of-00002.safetensors";
    let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1);
    let flip = |bytes: &mut Vec<u8>| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
    };
    let table: [(&str, &str, Damage<'_>, &str); 8] = [
        ("a truncated part", part, &cut, "bytes, not"),
        ("a part with a flipped bit", part, &flip, "checksum of state-00001-of-00002"),
        ("an empty part", part, &|bytes| bytes.clear(), "has 0 bytes"),
        ("another rank's part", part, &|bytes| bytes.reverse(), "checksum"),
        ("a truncated manifest", "manifest.json", &cut, "checksum"),
        ("a manifest with a flipped bit", "manifest.json", &flip, "manifest"),
        ("a garbage manifest", "manifest.json", &|bytes| *bytes = vec![0xff; 900], "not text"),
        (
            "a manifest of another format version",
            "manifest.json",
            &|bytes| *bytes = br#"{"format_version": 2}"#.to_vec(),
            "format version 2",
        ),
    ];
    for (what, file, damage, reason) in table {
        let directory = tempfile::tempdir().unwrap();
        let store = local(directory.path());
        save(&store, 100, 1, 2).await.unwrap();
        save(&store, 200, 1, 2).await.unwrap();
        let path = directory.path().join("step-000000200/generation-00001").join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();

        let restored = store.restore(Which::Latest).await.unwrap().unwrap();
        assert_eq!(check(&restored, 50), 100, "{what}");
        assert_eq!(restored.skipped.len(), 1, "{what}");
        assert_eq!(restored.skipped[0].step, Step(200), "{what}");
        assert!(restored.skipped[0].reason.contains(reason), "{what}: {}", restored.skipped[0]);
        let error = store.restore(Which::Step(Step(200))).await.unwrap_err();
        assert!(error.code() == "TW3103" && error.to_string().contains(reason), "{what}: {error}");

        // Going on from 100 in a new generation, 200 is written again and is whole again.
        save(&store, 200, 2, 3).await.unwrap();
        let restored = store.restore(Which::Latest).await.unwrap().unwrap();
        assert_eq!((check(&restored, 50), restored.skipped.len()), (200, 0), "{what}");
    }
}

#[tokio::test]
async fn a_missing_part_falls_back_and_when_none_is_whole_all_reasons_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = local(directory.path());
    for step in [100, 200] {
        save(&store, step, 1, 2).await.unwrap();
    }
    let remove = |step: u64| {
        let part = format!("step-{step:09}/generation-00001/state-00000-of-00002.safetensors");
        std::fs::remove_file(directory.path().join(part)).unwrap();
    };
    remove(200);
    let restored = store.restore(Which::Latest).await.unwrap().unwrap();
    assert_eq!((check(&restored, 50), restored.skipped[0].step), (100, Step(200)));
    assert_eq!(store.latest_whole().await.unwrap().unwrap().step, Step(100));
    assert!(matches!(store.list().await.unwrap()[0].state, State::Damaged(_)));

    remove(100);
    let error = store.restore(Which::Latest).await.unwrap_err();
    assert_eq!(error.code(), "TW3101");
    let text = error.to_string();
    assert!(text.contains("step 200") && text.contains("step 100") && text.contains("is missing"), "{text}");
}

#[tokio::test]
async fn a_storage_that_cannot_be_read_is_not_taken_for_damage() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let mut variables = server.environment();
    variables.push(("AWS_MAX_ATTEMPTS".into(), "1".into()));
    let location = Location::parse_with("s3://bucket/jobs/x", &variables).unwrap();
    let store = CheckpointStore::new(location, Retention::default());
    save(&store, 100, 1, 2).await.unwrap();
    server.set_fault(twinspire_test_s3::Fault::SlowDown);
    assert_eq!(store.restore(Which::Latest).await.unwrap_err().code(), "TW3009");
}

#[tokio::test]
async fn foreign_files_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = local(directory.path());
    for name in ["notes.txt", "step-5/generation-1/manifest.json", "step-000000005/readme"] {
        store.location().put(name, "mine").await.unwrap();
    }
    save(&store, 100, 1, 1).await.unwrap();
    store.collect().await.unwrap();
    assert_eq!(steps(&store).await, [100]);
    assert_eq!(store.location().list("").await.unwrap().len(), 5);
}
