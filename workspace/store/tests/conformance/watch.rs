//! Holds 5.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use futures::poll;
use twinspire_store::{Update, Version, Versioned, Watch, Write};

use crate::backend::{Backend, TTL, done, done_write, value};

async fn next(watch: &mut Watch) -> Update {
    watch.next().await.expect("a watch goes on").unwrap()
}

fn put(key: &str, version: Version, text: &str) -> Update {
    Update::Put(key.into(), Versioned { version, value: text.into() })
}

pub(crate) async fn it_begins_with_what_is_there_and_tells_what_changes(backend: &Backend) {
    let store = &*backend.open().await;
    let mut nothing = store.watch("jobs/").await.unwrap();
    assert_eq!(next(&mut nothing).await, Update::Snapshot(vec![]));

    let a = done(store, "jobs/a", None, value("1")).await;
    done(store, "jobsa", None, value("of no concern")).await;
    let mut watch = store.watch("jobs/").await.unwrap();
    let there = vec![("jobs/a".to_owned(), Versioned { version: a, value: b"1".to_vec() })];
    assert_eq!(next(&mut watch).await, Update::Snapshot(there));

    let a2 = done(store, "jobs/a", Some(a), value("2")).await;
    done(store, "job", None, value("of no concern")).await;
    let b = done(store, "jobs/b", None, value("")).await;
    let gone = done(store, "jobs/a", Some(a2), None).await;
    let lease = store.lease(TTL).await.unwrap();
    let leased = done_write(store, Write::put("jobs/c", None, b"3").under(&lease)).await;
    lease.revoke().await.unwrap();
    let changes = [put("jobs/a", a2, "2"), put("jobs/b", b, ""), Update::Deleted("jobs/a".into(), gone)];
    for change in changes.into_iter().chain([put("jobs/c", leased, "3")]) {
        assert_eq!(next(&mut watch).await, change);
    }
    let vanished = next(&mut watch).await;
    assert!(matches!(&vanished, Update::Deleted(key, version) if key == "jobs/c" && *version > leased));
    assert_eq!(next(&mut nothing).await, put("jobs/a", a, "1"));
}

pub(crate) async fn it_tells_every_change_once_in_order_while_writes_go_on(backend: &Backend) {
    const WRITERS: usize = 4;
    const WRITES: usize = 25;
    let store = &*backend.open().await;
    let mut early = store.watch("w/").await.unwrap();
    assert_eq!(next(&mut early).await, Update::Snapshot(vec![]));

    let writers = join_all((0..WRITERS).map(|writer| async move {
        let (store, key) = (backend.open().await, format!("w/{writer}"));
        let mut version = None;
        for i in 0..WRITES {
            version = Some(done(&*store, &key, version, value(&i.to_string())).await);
        }
    }));
    // One that begins in the midst of it.
    let midway = async {
        let (mut copy, mut watch) = (BTreeMap::new(), store.watch("w/").await.unwrap());
        let last = (WRITES - 1).to_string().into_bytes();
        let is_last = |copy: &BTreeMap<String, Versioned>| {
            copy.len() == WRITERS && copy.values().all(|now| now.value == last)
        };
        while !is_last(&copy) {
            next(&mut watch).await.apply(&mut copy);
        }
        copy
    };
    let changes = async {
        let mut changes = Vec::new();
        while changes.len() < WRITERS * WRITES {
            changes.push(next(&mut early).await);
        }
        changes
    };
    let (_, copy, changes) = tokio::join!(writers, midway, changes);

    let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut last = Version(0);
    for change in changes {
        let Update::Put(key, now) = change else { panic!("{change:?}") };
        assert!(now.version > last, "in order, and once");
        last = now.version;
        seen.entry(key).or_default().push(String::from_utf8(now.value).unwrap());
    }
    let all: Vec<String> = (0..WRITES).map(|i| i.to_string()).collect();
    assert!(seen.len() == WRITERS && seen.values().all(|values| *values == all), "{seen:?}");
    assert_eq!(copy.into_iter().collect::<Vec<_>>(), store.range("w/").await.unwrap());
}

pub(crate) async fn it_ends_up_right_however_slow_its_reader(backend: &Backend) {
    let store = &*backend.open().await;
    let mut watch = store.watch("").await.unwrap();
    // More than any watch keeps for its reader.
    let mut versions = [None; 4];
    for i in 0..400 {
        let (key, version) = (format!("key-{}", i % 4), &mut versions[i % 4]);
        *version = Some(done(store, &key, *version, value(&i.to_string())).await);
    }
    let gone = done(store, "key-0", versions[0], None).await;
    let end = done(store, "end", None, value("")).await;
    assert!(end > gone);

    let mut copy = BTreeMap::new();
    while !copy.contains_key("end") {
        next(&mut watch).await.apply(&mut copy);
    }
    assert_eq!(copy.into_iter().collect::<Vec<_>>(), store.range("").await.unwrap());
}

pub(crate) async fn a_wait_that_is_given_up_loses_nothing(backend: &Backend) {
    let store = &*backend.open().await;
    let mut watch = store.watch("").await.unwrap();
    assert_eq!(next(&mut watch).await, Update::Snapshot(vec![]));
    for i in 0..20 {
        assert!(poll!(Box::pin(watch.next())).is_pending());
        let _ = tokio::time::timeout(Duration::from_millis(1), watch.next()).await;
        let version = done(store, &format!("{i:02}"), None, value("")).await;
        assert_eq!(next(&mut watch).await, put(&format!("{i:02}"), version, ""));
    }
}
