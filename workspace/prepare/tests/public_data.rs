//! Public data sets by their published protocols. Skipped, with the reason, where they are absent.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use std::path::PathBuf;

use common::{Place, users};

fn data(name: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    match path.canonicalize() {
        Ok(path) => Some(path.to_str().unwrap().to_owned()),
        Err(why) => {
            eprintln!("skipped: {}: {why}", path.display());
            None
        }
    }
}

#[tokio::test]
async fn movielens_has_the_numbers_of_the_sasrec_protocol() {
    let Some(dir) = data("ml-1m") else { return };
    let job = "
log:
  uri: DIR/events.parquet
  filter: sasrec_position IS NOT NULL
  columns: {action: action, timestamp: timestamp, order: sasrec_position}
catalogue:
  uri: DIR/items.parquet
  features:
    - {name: title, type: text}
    - {name: genres, type: categorical}
    - {name: image_embeddings, type: vectors, dim: 64, max: 5}
"
    .replace("DIR", &dir);
    let place = Place::new();
    let prepared = place.prepare(&job, &[]).await.unwrap();
    let manifest = &prepared.manifest;
    assert_eq!((manifest.users, manifest.items, manifest.counts.total), (6040, 3416, 999_611));
    assert_eq!((manifest.counts.validation, manifest.counts.test), (6040, 6040));
    for user in users(&prepared).await.values() {
        assert_eq!((user.train_end, user.validation_end), (user.items.len() - 2, user.items.len() - 1));
    }
}

#[tokio::test]
async fn beauty_is_ordered_by_position() {
    let Some(dir) = data("amazon-beauty") else { return };
    let job = "
log:
  uri: DIR/events.csv.gz
  columns: {action: action, timestamp: null, order: position}
catalogue:
  uri: DIR/items.jsonl.gz
  features: [{name: attributes, type: categorical}]
"
    .replace("DIR", &dir);
    let place = Place::new();
    let prepared = place.prepare(&job, &[]).await.unwrap();
    let manifest = &prepared.manifest;
    assert_eq!((manifest.users, manifest.items, manifest.counts.total), (22_363, 12_101, 198_502));
    assert_eq!(manifest.counts.test, 22_363);
    assert!(manifest.features[0].tokens > 100);
}

#[tokio::test]
async fn gowalla_keeps_the_given_split() {
    let Some(dir) = data("gowalla") else { return };
    let job = "
log: {uri: DIR/train.parquet, columns: {timestamp: null}}
split: {kind: files, test: DIR/test.parquet}
"
    .replace("DIR", &dir);
    let place = Place::new();
    let manifest = place.prepare(&job, &[]).await.unwrap().manifest;
    assert_eq!((manifest.users, manifest.items), (29_858, 40_981));
    assert_eq!((manifest.counts.train, manifest.counts.test), (810_128, 217_242));
}
