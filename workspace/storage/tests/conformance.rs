//! One suite for every kind of location, and what is particular to each.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;

use twinspire_storage::{Location, Put, StorageError};
use twinspire_test_s3::{Fault, S3Server};

async fn what_is_written_is_read(root: &Location) {
    root.put("a/b.bin", vec![1u8, 2, 3, 4]).await.unwrap();
    assert_eq!(&root.get("a/b.bin").await.unwrap()[..], [1, 2, 3, 4]);
    assert_eq!(&root.join("a").get_range("b.bin", 1..3).await.unwrap()[..], [2, 3]);
    root.put("a/b.bin", vec![9u8]).await.unwrap();
    assert_eq!(&root.get("a/b.bin").await.unwrap()[..], [9]);
    assert!(root.exists("a/b.bin").await.unwrap());
}

async fn what_is_not_there_is_not_found(root: &Location) {
    let error = root.get("nowhere/x").await.unwrap_err();
    assert!(error.is_not_found() && error.code() == "TW3003", "{error:?}");
    assert!(error.to_string().contains(&format!("{}/nowhere/x", root.uri())), "{error}");
    assert!(!root.exists("nowhere/x").await.unwrap());
    root.delete("nowhere/x").await.unwrap();
    assert_eq!(root.list("nowhere").await.unwrap(), []);
    root.join("nowhere").delete_all().await.unwrap();
}

async fn a_name_is_created_once(root: &Location) {
    assert_eq!(root.put_if_absent("once", vec![1u8]).await.unwrap(), Put::Created);
    assert_eq!(root.put_if_absent("once", vec![2u8]).await.unwrap(), Put::AlreadyThere);
    assert_eq!(&root.get("once").await.unwrap()[..], [1]);
}

async fn of_many_creators_one_wins(root: &Location) {
    for round in 0..5 {
        let name = format!("race-{round}");
        let creators = (0u8..8).map(|who| {
            let (root, name) = (root.clone(), name.clone());
            tokio::spawn(async move { (who, root.put_if_absent(&name, vec![who; 64]).await.unwrap()) })
        });
        let outcomes = futures::future::join_all(creators).await;
        let winners: Vec<u8> = outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap())
            .filter(|(_, put)| *put == Put::Created)
            .map(|(who, _)| who)
            .collect();
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(&root.get(&name).await.unwrap()[..], [winners[0]; 64]);
    }
}

async fn listings_are_sorted_relative_and_below(root: &Location) {
    let root = root.join("listing");
    for (name, size) in [("b/2", 2), ("b/1", 1), ("a", 3), ("bb/c/d", 0)] {
        root.put(name, vec![0u8; size]).await.unwrap();
    }
    let names = |entries: Vec<twinspire_storage::Entry>| -> Vec<(String, u64)> {
        entries.into_iter().map(|entry| (entry.name, entry.size)).collect()
    };
    let all = [("a", 3), ("b/1", 1), ("b/2", 2), ("bb/c/d", 0)].map(|(name, size)| (name.to_owned(), size));
    assert_eq!(names(root.list("").await.unwrap()), all);
    assert_eq!(names(root.list("b").await.unwrap()), all[1..3]);
    assert_eq!(root.list_dirs().await.unwrap(), ["b", "bb"]);
    root.join("b").delete_all().await.unwrap();
    assert_eq!(root.list_dirs().await.unwrap(), ["bb"]);
    root.delete("a").await.unwrap();
    assert_eq!(root.list("").await.unwrap().len(), 1);
}

async fn names_with_odd_characters_are_kept(root: &Location) {
    let root = root.join("odd names");
    for name in ["a b", "100%", "é#x", "a+b=c&d", "x%20y"] {
        root.put(name, name.as_bytes().to_vec()).await.unwrap();
        assert_eq!(&root.get(name).await.unwrap()[..], name.as_bytes());
    }
    let listed: Vec<String> = root.list("").await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(listed, ["100%", "a b", "a+b=c&d", "x%20y", "é#x"]);
}

async fn large_objects_survive(root: &Location) {
    // Above the size at which S3 uploads go in parts; an odd size and chunks that match no part.
    let content: Vec<u8> =
        (0..(37u32 << 20) + 5).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let chunks: twinspire_storage::PutPayload =
        content.chunks(3_000_001).map(bytes::Bytes::copy_from_slice).collect();
    root.put("large", chunks).await.unwrap();
    assert!(root.get("large").await.unwrap() == content);
}

async fn a_probe_leaves_nothing(root: &Location) {
    let root = root.join("probed");
    assert!(root.probe().await.unwrap().conditional_create);
    assert_eq!(root.list("").await.unwrap(), []);
}

async fn conformance(root: &Location) {
    what_is_written_is_read(root).await;
    what_is_not_there_is_not_found(root).await;
    a_name_is_created_once(root).await;
    of_many_creators_one_wins(root).await;
    listings_are_sorted_relative_and_below(root).await;
    names_with_odd_characters_are_kept(root).await;
    large_objects_survive(root).await;
    a_probe_leaves_nothing(root).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_conform() {
    let directory = tempfile::tempdir().unwrap();
    conformance(&Location::local(&directory.path().join("new/runs")).unwrap()).await;
    let staged =
        walk(directory.path()).into_iter().filter(|name| name.contains("#") && !name.contains("é#x"));
    assert_eq!(staged.collect::<Vec<_>>(), [""; 0], "unfinished files are left");
}

#[tokio::test]
async fn below_a_file_there_is_nothing_to_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("log.csv"), "x").unwrap();
    let below = Location::local(&directory.path().join("log.csv")).unwrap();
    let error = below.get("part-0.csv").await.unwrap_err();
    assert!(error.is_not_found() && error.is_user_mistake(), "{error:?}");
    assert!(!below.exists("part-0.csv").await.unwrap());
    // What is in the way of a write is not there to be written over.
    let error = below.put("part-0.csv", vec![1u8]).await.unwrap_err();
    assert!(!error.is_not_found(), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_conforms() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    conformance(&Location::parse_with("s3://bucket/some/prefix", &server.environment()).unwrap()).await;
    conformance(&Location::parse_with("s3://bucket", &server.environment()).unwrap().join("other")).await;
}

/// `TWINSPIRE_TEST_S3_URI` names a bucket, or a place in one, of a server that the `AWS_*` variables say
/// how to reach: `s3://bucket/prefix`. What is written there goes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_given_by_the_environment_conforms() {
    let Ok(uri) = std::env::var("TWINSPIRE_TEST_S3_URI") else {
        println!("skipped: TWINSPIRE_TEST_S3_URI names no server");
        return;
    };
    // A place of its own, whoever else tests there.
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let root = Location::parse(&uri).unwrap().join(&format!("conformance-{}", now.as_nanos()));
    conformance(&root).await;
    root.delete_all().await.unwrap();
    assert_eq!(root.list("").await.unwrap(), []);
}

async fn failure(server: &S3Server, uri: &str, change: &[(&str, &str)]) -> StorageError {
    let mut variables = server.environment();
    variables.push(("AWS_MAX_ATTEMPTS".into(), "2".into()));
    for (name, value) in change {
        variables.retain(|(known, _)| known != name);
        variables.push(((*name).into(), (*value).into()));
    }
    let location = Location::parse_with(uri, &variables).unwrap();
    let error = location.put("x", vec![1u8]).await.unwrap_err();
    let reading = location.list("").await.err().map(|error| error.code());
    assert!(reading.is_none_or(|code| code == error.code()), "{reading:?} and {error}");
    assert!(error.to_string().contains(&format!("cannot write {uri}/x")), "{error}");
    error
}

#[tokio::test]
async fn s3_failures_are_told_apart() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let error = failure(&server, "s3://elsewhere/p", &[]).await;
    assert_eq!(error.code(), "TW3004", "{error}");
    let error = failure(&server, "s3://bucket/p", &[("AWS_SECRET_ACCESS_KEY", "wrong")]).await;
    assert_eq!(error.code(), "TW3006", "{error}");
    let error = failure(&server, "s3://bucket/p", &[("AWS_ACCESS_KEY_ID", "nobody")]).await;
    assert_eq!(error.code(), "TW3006", "{error}");
    // Port 1 of this machine: nobody listens.
    let error = failure(&server, "s3://bucket/p", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]).await;
    assert_eq!(error.code(), "TW3009", "{error}");

    for (fault, code, reason) in [
        (Fault::SlowDown, "TW3009", "SlowDown"),
        (Fault::TooManyRequests, "TW3009", "TooManyRequests"),
        (Fault::InternalError, "TW3009", "InternalError"),
        (Fault::Silent, "TW3009", "timed out"),
        (Fault::CutOff, "TW3009", "out of reach"),
        (Fault::AnswerLost, "TW3009", "out of reach"),
        (Fault::Refused, "TW3009", "Connection refused"),
        (Fault::AccessDenied, "TW3007", "AccessDenied"),
        (Fault::Full, "TW3008", "StorageFull"),
        (Fault::ExpiredToken, "TW3011", "ExpiredToken"),
    ] {
        server.set_fault(fault);
        let error = failure(&server, "s3://bucket/p", &[("AWS_TIMEOUT", "1s")]).await;
        assert_eq!(error.code(), code, "{fault:?}: {error}");
        assert!(error.to_string().contains(reason), "{fault:?}: `{reason}` is not in: {error}");
        assert_eq!(error.is_transient(), code != "TW3007");
        assert_eq!(error.is_user_mistake(), code == "TW3007");
    }
}

#[tokio::test]
async fn without_credentials_the_remedy_is_named() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let variables: Vec<(String, String)> =
        server.environment().into_iter().filter(|(name, _)| !name.contains("KEY")).collect();
    let mut disabled = variables.clone();
    disabled.push(("AWS_EC2_METADATA_DISABLED".into(), "true".into()));
    let error = Location::parse_with("s3://bucket/p", &disabled).unwrap_err();
    assert!(error.to_string().contains("set AWS_ACCESS_KEY_ID"), "{error}");

    let mut unserved = variables;
    unserved.push(("AWS_METADATA_ENDPOINT".into(), "http://127.0.0.1:1".into()));
    let location = Location::parse_with("s3://bucket/p", &unserved).unwrap();
    let started = std::time::Instant::now();
    let error = location.get("x").await.unwrap_err();
    assert!(error.to_string().contains("set AWS_ACCESS_KEY_ID"), "{error}");
    assert_eq!(error.code(), "TW3005");
    assert!(started.elapsed().as_secs() < 30, "took {:?}", started.elapsed());
}

#[tokio::test]
async fn a_server_that_recovers_is_waited_for() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let location = Location::parse_with("s3://bucket/p", &server.environment()).unwrap();
    server.set_fault(Fault::SlowDown);
    let writing = tokio::spawn({
        let location = location.clone();
        async move { location.put("x", vec![7u8]).await }
    });
    while server.requests() < 3 {
        tokio::task::yield_now().await;
    }
    server.set_fault(Fault::None);
    writing.await.unwrap().unwrap();
    assert_eq!(&location.get("x").await.unwrap()[..], [7]);
}

#[tokio::test]
async fn an_upload_that_is_cut_off_is_not_there_and_can_be_repeated() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let mut variables = server.environment();
    variables.push(("AWS_MAX_ATTEMPTS".into(), "2".into()));
    let location = Location::parse_with("s3://bucket/p", &variables).unwrap();
    let (small, large) = (vec![1u8; 1 << 10], vec![2u8; 33 << 20]);
    for (name, content) in [("small", small), ("large", large)] {
        server.set_fault(Fault::CutOff);
        let error = location.put(name, content.clone()).await.unwrap_err();
        assert!(error.code() == "TW3009" && error.is_transient(), "{error}");
        assert!(!location.exists(name).await.unwrap());
        server.set_fault(Fault::None);
        location.put(name, content.clone()).await.unwrap();
        assert!(location.get(name).await.unwrap() == content);
    }
}

#[tokio::test]
async fn a_name_whose_creation_was_not_answered_is_found_taken() {
    let server = S3Server::start(&["bucket"]).await.unwrap();
    let location = Location::parse_with("s3://bucket/p", &server.environment()).unwrap();
    server.set_fault(Fault::AnswerLost);
    // Whether it was created cannot be known: it is not tried again behind the caller's back.
    assert!(location.put_if_absent("once", vec![1u8]).await.unwrap_err().is_transient());
    server.set_fault(Fault::None);
    assert_eq!(location.put_if_absent("once", vec![2u8]).await.unwrap(), Put::AlreadyThere);
    assert_eq!(&location.get("once").await.unwrap()[..], [1]);
}

#[tokio::test]
async fn a_directory_that_may_not_be_written_is_permission_denied() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o555)).unwrap();
    if std::fs::write(directory.path().join("probe"), "").is_ok() {
        println!("skipped: this user (root) may write anywhere");
        return;
    }
    let error = Location::local(directory.path()).unwrap().put("x", vec![1u8]).await.unwrap_err();
    assert_eq!(error.code(), "TW3007", "{error}");
}

#[tokio::test]
async fn a_failed_write_leaves_nothing() {
    let disk = tempfile::tempdir().unwrap();
    std::fs::create_dir(disk.path().join("x")).unwrap();
    let error = Location::local(disk.path()).unwrap().put("x", vec![1u8]).await.unwrap_err();
    assert_eq!(error.code(), "TW3010", "{error}");
    assert_eq!(walk(disk.path()), [""; 0]);
}

fn walk(directory: &std::path::Path) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path.to_string_lossy().into_owned());
        }
    }
    files
}
