#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;
use twinspire_storage::Location;

use super::users::rows_of_rank;
use super::*;
use crate::read::Dataset;
use crate::testing::{TestDataset, TestUser};
use crate::timeline::HeldOut;

fn open(dataset: &TestDataset) -> (tempfile::TempDir, Dataset) {
    let directory = tempfile::tempdir().unwrap();
    dataset.write(directory.path());
    let location = Location::local(directory.path()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let dataset = runtime.block_on(Dataset::open(location)).unwrap();
    (directory, dataset)
}

fn read(dataset: &Dataset, rows: std::ops::Range<u64>, settings: &UserReaderSettings) -> Vec<UserBatch> {
    let mut reader = UserReader::start(dataset, rows, settings.clone()).unwrap();
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn slice<'a>(offsets: &[i64], values: &'a [i64], slot: usize) -> &'a [i64] {
    &values[offsets[slot] as usize..offsets[slot + 1] as usize]
}

proptest! {
    #[test]
    fn ranks_share_the_rows_exactly(users in 0u64..10_000, size in 1usize..20) {
        let mut next = 0;
        for rank in 0..size {
            let rows = rows_of_rank(users, rank, size);
            prop_assert_eq!(rows.start, next);
            next = rows.end;
        }
        prop_assert_eq!(next, users);
    }
}

#[test]
fn every_user_with_targets_is_evaluated_once_by_any_number_of_ranks() {
    let written = TestDataset::random(2, 77, 6);
    let (_directory, dataset) = open(&written);
    for (part, sizes) in [(HeldOut::Validation, [1, 3]), (HeldOut::Test, [2, 5])] {
        let wanted: Vec<u64> = (0..77).filter(|&row| written.users[row as usize].items.len() >= 3).collect();
        for size in sizes {
            let settings = UserReaderSettings::evaluate(part, 5, 7);
            let mut rows = Vec::new();
            for rank in 0..size {
                for batch in read(&dataset, rows_of_rank(77, rank, size), &settings) {
                    assert!(batch.rows.len() <= 7);
                    rows.extend(batch.rows);
                }
            }
            rows.sort_unstable();
            assert_eq!(rows, wanted);
        }
    }
}

#[test]
fn targets_are_the_held_out_positives_and_seen_all_that_came_before() {
    let user = TestUser {
        items: vec![9, 4, 4, 7, 3, 8, 8, 1, 6],
        actions: vec![0, 1, 0, 2, 2, 0, 1, 2, 0],
        train_end: 4,
        validation_end: 8,
    };
    let (_directory, dataset) = open(&TestDataset { users: vec![user], ..TestDataset::random(1, 0, 1) });
    let batch = &read(&dataset, 0..1, &UserReaderSettings::evaluate(HeldOut::Validation, 2, 10))[0];
    assert_eq!(batch.tokens.items, [4, 7]);
    assert_eq!(slice(&batch.targets_offsets, &batch.targets, 0), [8]);
    assert_eq!(slice(&batch.seen_offsets, &batch.seen, 0), [4, 7, 9]);
    let batch = &read(&dataset, 0..1, &UserReaderSettings::evaluate(HeldOut::Test, 100, 10))[0];
    assert_eq!(batch.tokens.items, [9, 4, 4, 7, 3, 8, 8, 1]);
    assert_eq!(slice(&batch.targets_offsets, &batch.targets, 0), [6]);
    assert_eq!(slice(&batch.seen_offsets, &batch.seen, 0), [1, 3, 4, 7, 8, 9]);
}

#[test]
fn users_without_history_are_named_not_lost() {
    let newcomer = TestUser { items: vec![1, 2], actions: vec![0, 0], train_end: 0, validation_end: 1 };
    let (_directory, dataset) = open(&TestDataset { users: vec![newcomer], ..TestDataset::random(1, 0, 1) });
    let batches = read(&dataset, 0..1, &UserReaderSettings::evaluate(HeldOut::Validation, 5, 10));
    assert_eq!(batches.len(), 1);
    assert_eq!((batches[0].rows.len(), &batches[0].without_history[..]), (0, &[0][..]));
}

#[test]
fn export_reads_everybody_with_ids_and_all_of_the_history() {
    let written = TestDataset::random(2, 33, 6);
    let (_directory, dataset) = open(&written);
    let mut seen = BTreeSet::new();
    for batch in read(&dataset, 0..u64::MAX, &UserReaderSettings::export(100, 10)) {
        for (slot, row) in batch.rows.iter().enumerate() {
            assert_eq!(batch.user_ids[slot], format!("user-{row}"));
            assert_eq!(batch.tokens.lengths[slot] as usize, written.users[*row as usize].items.len());
            assert!(seen.insert(*row));
        }
        seen.extend(batch.without_history);
    }
    assert_eq!(seen, (0..33).collect());
}
