#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use twinspire_storage::Location;

use super::cache::ShardCache;
use super::*;
use crate::error::DatasetError;
use crate::format::{ITEMS, MANIFEST, ManifestFile, Notes};
use crate::testing::TestDataset;

async fn open(directory: &Path) -> Result<Dataset, DatasetError> {
    Dataset::open(Location::local(directory).unwrap()).await
}

/// A dataset whose manifest was changed after it was written.
async fn open_with(directory: &Path, from: &str, to: &str) -> Result<Dataset, DatasetError> {
    let path = directory.join(MANIFEST);
    let json = fs::read_to_string(&path).unwrap();
    assert!(json.contains(from), "{from} not in {json}");
    fs::write(&path, json.replacen(from, to, 1)).unwrap();
    open(directory).await
}

#[tokio::test]
async fn every_timeline_comes_back_as_it_was_written() {
    for rich in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let written = TestDataset { rich, ..TestDataset::random(1, 47, 9) };
        let manifest = written.write(directory.path());
        let dataset = open(directory.path()).await.unwrap();
        assert_eq!(dataset.manifest(), &manifest);
        let mut row = 0;
        for number in 0..manifest.shards.len() {
            let shard = dataset.shard_with_user_ids(number).await.unwrap();
            for at in 0..shard.rows() {
                let (user, expected) = (shard.timeline(at), &written.users[row]);
                assert_eq!(dataset.shard_of(row as u64), number);
                assert_eq!((user.row, user.user_id), (row as u64, format!("user-{row}").as_str()));
                assert_eq!((user.items, user.actions), (&expected.items[..], &expected.actions[..]));
                assert_eq!(
                    (user.train_end, user.validation_end),
                    (expected.train_end, expected.validation_end)
                );
                let expected_len = if rich { user.len() } else { 0 };
                assert_eq!(user.timestamps.len(), expected_len);
                assert_eq!(user.surfaces.len(), expected_len);
                assert_eq!(user.durations.len(), expected_len);
                if rich && user.len() > 1 {
                    assert_eq!(user.timestamps[1], row as i64 * 1_000_000 + 1_000);
                    assert_eq!((user.surfaces[1], user.durations[1]), (1, 1.0));
                }
                row += 1;
            }
        }
        assert_eq!(row, 47);
    }
}

#[tokio::test]
async fn notes_come_back_and_datasets_without_them_have_none() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = TestDataset::random(1, 5, 9).write(directory.path());
    assert_eq!(open(directory.path()).await.unwrap().notes(), &Notes::default());
    let notes = Notes { warnings: vec!["one item has no row".into()] };
    let file = ManifestFile { manifest: &manifest, notes: &notes };
    fs::write(directory.path().join(MANIFEST), file.to_json().unwrap()).unwrap();
    let dataset = open(directory.path()).await.unwrap();
    assert_eq!((dataset.manifest(), dataset.notes()), (&manifest, &notes));

    // As versions before notes wrote it.
    fs::write(directory.path().join(MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
    assert_eq!(open(directory.path()).await.unwrap().notes(), &Notes::default());
}

#[tokio::test]
async fn user_ids_are_read_only_when_wanted() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 5, 9).write(directory.path());
    let dataset = open(directory.path()).await.unwrap();
    assert_eq!(dataset.shard(0).await.unwrap().timeline(3).user_id, "");
}

#[tokio::test]
async fn items_come_back_with_their_features() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 20, 9).write(directory.path());
    let items = open(directory.path()).await.unwrap().items().await.unwrap();
    assert_eq!(items.len(), 50);
    assert_eq!(items.ids[7], "item-7");
    assert!(items.counts.iter().sum::<i64>() > 0);
    let [title, image] = &items.features[..] else { panic!("{:?}", items.features) };
    let FeatureColumn::Tokens { name, vocabulary: 10, offsets, ids } = title else { panic!("{title:?}") };
    assert_eq!((name.as_str(), offsets[13], ids[13]), ("title", 13, 3));
    let FeatureColumn::Vectors { name, dim: 2, max: 1, offsets, values } = image else { panic!("{image:?}") };
    assert_eq!(
        (name.as_str(), &offsets[..4], &values[..4]),
        ("image", &[0, 1, 1, 2][..], &[0.0, -0.0, 2.0, -2.0][..])
    );
}

#[tokio::test]
async fn a_directory_without_manifest_is_not_a_dataset() {
    let directory = tempfile::tempdir().unwrap();
    let error = open(directory.path()).await.err().unwrap();
    assert_eq!(error.code(), "TW2101");
    assert!(error.to_string().contains("no manifest.json"), "{error}");
}

#[tokio::test]
async fn a_manifest_that_is_not_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 20, 9).write(directory.path());
    assert_eq!(open_with(directory.path(), "{", "{,").await.err().unwrap().code(), "TW2102");
}

#[tokio::test]
async fn a_manifest_that_contradicts_itself_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 20, 9).write(directory.path());
    let error = open_with(directory.path(), "\"users\": 20", "\"users\": 21").await.err().unwrap();
    assert_eq!(error.code(), "TW2102");
    assert!(error.to_string().contains("20 rows"), "{error}");
}

#[tokio::test]
async fn a_newer_format_is_refused_with_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 20, 9).write(directory.path());
    let error =
        open_with(directory.path(), "\"format_version\": 1", "\"format_version\": 9").await.err().unwrap();
    assert_eq!(error.code(), "TW2103");
    assert!(error.to_string().contains("version 9, this build reads up to 1"), "{error}");
}

#[tokio::test]
async fn missing_and_truncated_files_are_found_on_opening() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 20, 9).write(directory.path());
    let file = directory.path().join("timelines-00000.parquet");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..100]).unwrap();
    let error = open(directory.path()).await.err().unwrap();
    assert_eq!(error.code(), "TW2104");
    assert!(error.to_string().contains("has 100 bytes"), "{error}");
    fs::remove_file(&file).unwrap();
    assert!(open(directory.path()).await.err().unwrap().to_string().contains("is missing"));
}

#[tokio::test]
async fn a_flipped_bit_is_found_by_verify() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 20, 9).write(directory.path());
    open(directory.path()).await.unwrap().verify().await.unwrap();
    let file = directory.path().join(ITEMS);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = open(directory.path()).await.unwrap().verify().await.unwrap_err();
    assert_eq!(error.code(), "TW2105");
    assert!(error.to_string().contains(ITEMS), "{error}");
}

#[tokio::test]
async fn a_missing_column_is_named() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset { rich: false, ..TestDataset::random(1, 20, 9) }.write(directory.path());
    let dataset = open_with(directory.path(), "\"has_time\": false", "\"has_time\": true").await.unwrap();
    let error = dataset.shard(0).await.unwrap_err();
    assert_eq!(error.code(), "TW2106");
    assert!(error.to_string().contains("`timestamps`: it is missing"), "{error}");
}

#[tokio::test]
async fn impossible_values_are_refused_with_the_row() {
    let refused = async |break_it: fn(&mut TestDataset)| {
        let directory = tempfile::tempdir().unwrap();
        let mut dataset = TestDataset::random(1, 20, 9);
        dataset.users[12].items = vec![1, 2, 3];
        dataset.users[12].actions = vec![0, 0, 0];
        (dataset.users[12].train_end, dataset.users[12].validation_end) = (1, 2);
        break_it(&mut dataset);
        dataset.write(directory.path());
        let error = open(directory.path()).await.unwrap().shard(1).await.unwrap_err();
        assert_eq!(error.code(), "TW2107");
        error.to_string()
    };
    let out_of_range = refused(|dataset| dataset.users[12].items[2] = 50).await;
    assert!(out_of_range.contains("row 12: item index 50"), "{out_of_range}");
    let unknown = refused(|dataset| dataset.users[12].actions[2] = 3).await;
    assert!(unknown.contains("row 12: action 3"), "{unknown}");
    let disordered = refused(|dataset| dataset.users[12].train_end = 3).await;
    assert!(disordered.contains("row 12: train_end 3, validation_end 2 and 3 actions"), "{disordered}");
}

#[tokio::test]
async fn a_file_that_is_not_parquet_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 20, 9).write(directory.path());
    let file = directory.path().join(ITEMS);
    let size = fs::metadata(&file).unwrap().len();
    fs::write(&file, vec![7; size as usize]).unwrap();
    let error = open(directory.path()).await.unwrap().items().await.unwrap_err();
    assert_eq!(error.code(), "TW2108");
}

#[tokio::test]
async fn decoded_shards_are_kept_up_to_the_budget() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 200, 9).write(directory.path());
    let location = Location::local(directory.path()).unwrap();
    let generous = Dataset::open(location.clone()).await.unwrap();
    let first = generous.shard(0).await.unwrap();
    assert!(Arc::ptr_eq(&first, &generous.shard(0).await.unwrap()));
    let tight = Dataset::open_with_cache(location, 1).await.unwrap();
    let first = tight.shard(0).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &tight.shard(0).await.unwrap()));

    let one = first.bytes();
    let cache = ShardCache::new(one * 5 / 2);
    for number in [0, 1, 0, 2, 0] {
        cache.get(number, async { Ok(Shard::clone(&first)) }).await.unwrap();
        assert!(cache.held().1 <= one * 5 / 2);
    }
    // The least recently used went: 0 is still there.
    let kept = cache.get(0, async { panic!("shard 0 was read again") }).await.unwrap();
    assert_eq!(kept.rows(), first.rows());
}

#[tokio::test]
async fn a_shard_that_many_want_at_once_is_read_once() {
    let directory = tempfile::tempdir().unwrap();
    TestDataset::random(1, 20, 9).write(directory.path());
    let dataset = open(directory.path()).await.unwrap();
    let all = futures::future::join_all((0..10).map(|_| dataset.shard(1))).await;
    let first = all[0].as_ref().unwrap();
    assert!(all.iter().all(|shard| Arc::ptr_eq(first, shard.as_ref().unwrap())));
}
