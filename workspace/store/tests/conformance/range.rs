//! Ranges, as of one moment.

use futures::future::join_all;

use crate::backend::{Backend, done, value};

pub(crate) async fn it_is_what_begins_with_the_prefix_in_order(backend: &Backend) {
    let store = &*backend.open().await;
    for key in ["d/2", "d/10", "d/1", "d", "d0", "e/1", "d/\u{10FFFF}"] {
        done(store, key, None, value(key)).await;
    }
    let range = store.range("d/").await.unwrap();
    let keys: Vec<&str> = range.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["d/1", "d/10", "d/2", "d/\u{10FFFF}"]);
    for (key, versioned) in range {
        assert_eq!(versioned.value, key.as_bytes());
        assert_eq!(store.get(&key).await.unwrap(), Some(versioned));
    }
}

pub(crate) async fn at_the_edges_of_what_a_prefix_is(backend: &Backend) {
    let store = &*backend.open().await;
    assert_eq!(store.range("").await.unwrap(), []);
    let keys =
        ["a", "a/", "a/b", "a0", "aa", "b", "\u{7f}", "é", "ê", "\u{ffff}", "\u{10FFFF}", "\u{10FFFF}z"];
    join_all(keys.map(|key| done(store, key, None, value(key)))).await;
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    for prefix in
        ["", "a", "a/", "a/b", "a/b/c", "a/c", "aa", "c", "\u{7f}", "é", "è", "\u{10FFFF}", "\u{10FFFE}"]
    {
        let found: Vec<String> = store.range(prefix).await.unwrap().into_iter().map(|(key, _)| key).collect();
        let expected: Vec<&str> = sorted.iter().copied().filter(|key| key.starts_with(prefix)).collect();
        assert_eq!(found, expected, "{prefix:?}");
    }
}
