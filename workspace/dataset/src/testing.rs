//! Small datasets for tests, written in the real format.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "test support: a failure is the test's")]

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::builder::ArrayBuilder;
use arrow::array::{
    ArrayRef, Float32Builder, Int32Array, Int32Builder, Int64Array, Int64Builder, ListBuilder, RecordBatch,
    StringArray, UInt8Builder,
};
use arrow::datatypes::Field;
use parquet::arrow::ArrowWriter;
use twinspire_job::{FeatureKind, TokenSpec};

use crate::format::{
    ActionCounts, ActionInfo, FeatureInfo, FileInfo, ITEMS, MANIFEST, Manifest, ShardInfo, items_schema,
    timelines_file, timelines_schema,
};
use crate::random::{Purpose, Random};

/// A user of a test dataset.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TestUser {
    /// Item indices.
    pub items: Vec<i32>,
    /// Kinds of actions: 0 `click` (positive), 1 `save` (positive, weight 2), 2 `hide`.
    pub actions: Vec<u8>,
    /// Where the training part ends.
    pub train_end: usize,
    /// Where the validation part ends.
    pub validation_end: usize,
}

/// A test dataset. Users are called `user-0`, …; action j of user i happens at
/// `i * 1_000_000 + j * 1_000` ms, on surface `j % 2`, and lasts `j` seconds.
#[derive(Clone, Debug)]
pub struct TestDataset {
    /// The users.
    pub users: Vec<TestUser>,
    /// Number of items. Item i has the token `i % 10` and, if i is even, the vector `[i, -i]`.
    pub items: usize,
    /// Rows of a shard.
    pub shard_rows: usize,
    /// Shards of a file.
    pub shards_per_file: usize,
    /// Whether actions have times, surfaces and durations.
    pub rich: bool,
}

impl TestDataset {
    /// Random users of 0 to `2 * mean_actions` actions, split leave-one-out.
    pub fn random(seed: u64, users: usize, mean_actions: usize) -> TestDataset {
        let mut random = Random::keyed(Purpose::Queries, seed, 0, 0, 0);
        let items = 50;
        let mut user = || {
            let len = random.below(2 * mean_actions as u64 + 1) as usize;
            let held_out = if len >= 3 { 1 } else { 0 };
            TestUser {
                items: (0..len).map(|_| random.below(items) as i32).collect(),
                actions: (0..len).map(|_| random.below(2) as u8).collect(),
                train_end: len - 2 * held_out,
                validation_end: len - held_out,
            }
        };
        let users = (0..users).map(|_| user()).collect();
        TestDataset { users, items: items as usize, shard_rows: 10, shards_per_file: 3, rich: true }
    }

    /// Writes it into a directory, which becomes the dataset.
    pub fn write(&self, directory: &Path) -> Manifest {
        let mut manifest = self.empty_manifest();
        for (number, users) in self.users.chunks((self.shard_rows * self.shards_per_file).max(1)).enumerate()
        {
            self.write_timelines(directory, number, users, &mut manifest);
        }
        self.write_items(directory, &manifest);
        let names =
            (0..).map(timelines_file).take_while(|name| directory.join(name).exists()).chain([ITEMS.into()]);
        manifest.files = names.map(|name| describe(directory, name)).collect();
        fs::write(directory.join(MANIFEST), manifest.to_json().unwrap()).unwrap();
        manifest
    }

    fn write_timelines(&self, directory: &Path, number: usize, users: &[TestUser], manifest: &mut Manifest) {
        let schema = Arc::new(timelines_schema(manifest));
        let name = timelines_file(number);
        let mut writer =
            ArrowWriter::try_new(File::create(directory.join(&name)).unwrap(), schema.clone(), None).unwrap();
        for (row_group, rows) in users.chunks(self.shard_rows).enumerate() {
            let first_row = manifest.users;
            let batch = RecordBatch::try_new(schema.clone(), self.columns(first_row, rows)).unwrap();
            writer.write(&batch).unwrap();
            writer.flush().unwrap();
            manifest.users += rows.len() as u64;
            manifest.shards.push(ShardInfo {
                file: name.clone(),
                row_group: row_group as u32,
                first_row,
                rows: rows.len() as u64,
                actions: rows.iter().map(|user| user.items.len() as u64).sum(),
            });
        }
        writer.close().unwrap();
    }

    fn columns(&self, first_row: u64, users: &[TestUser]) -> Vec<ArrayRef> {
        let ids = (first_row..).take(users.len()).map(|row| format!("user-{row}"));
        let row_of = |at: usize| first_row as i64 + at as i64;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(ids)),
            lists(users, Int32Builder::new(), |list, _, user, at| list.append_value(user.items[at])),
            lists(users, UInt8Builder::new(), |list, _, user, at| list.append_value(user.actions[at])),
        ];
        if self.rich {
            columns.extend([
                lists(users, Int64Builder::new(), |list, row, _, at| {
                    list.append_value(row_of(row) * 1_000_000 + at as i64 * 1_000);
                }),
                lists(users, UInt8Builder::new(), |list, _, _, at| list.append_value((at % 2) as u8)),
                lists(users, Float32Builder::new(), |list, _, _, at| list.append_value(at as f32)),
            ]);
        }
        let ends = |end: fn(&TestUser) -> usize| -> ArrayRef {
            Arc::new(Int32Array::from_iter_values(users.iter().map(|user| end(user) as i32)))
        };
        columns.extend([ends(|user| user.train_end), ends(|user| user.validation_end)]);
        columns
    }

    fn write_items(&self, directory: &Path, manifest: &Manifest) {
        let schema = Arc::new(items_schema(&manifest.features));
        let mut tokens = ListBuilder::new(Int32Builder::new())
            .with_field(Field::new_list_field(arrow::datatypes::DataType::Int32, false));
        let mut vectors = ListBuilder::new(Float32Builder::new())
            .with_field(Field::new_list_field(arrow::datatypes::DataType::Float32, false));
        for item in 0..self.items {
            tokens.values().append_value((item % 10) as i32);
            tokens.append(true);
            if item.is_multiple_of(2) {
                vectors.values().append_slice(&[item as f32, -(item as f32)]);
            }
            vectors.append(item.is_multiple_of(2));
        }
        let count = |wanted: fn(u8) -> bool| {
            let mut counts = vec![0i64; self.items];
            for user in &self.users {
                for at in (0..user.train_end).filter(|&at| wanted(user.actions[at])) {
                    counts[user.items[at] as usize] += 1;
                }
            }
            Arc::new(Int64Array::from(counts)) as ArrayRef
        };
        let ids = StringArray::from_iter_values((0..self.items).map(|item| format!("item-{item}")));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(ids),
            count(|_| true),
            count(|action| action < 2),
            Arc::new(tokens.finish()),
            Arc::new(vectors.finish()),
        ];
        let file = File::create(directory.join(ITEMS)).unwrap();
        let mut writer = ArrowWriter::try_new(file, schema.clone(), None).unwrap();
        writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
        writer.close().unwrap();
    }

    fn empty_manifest(&self) -> Manifest {
        let action =
            |name: &str, positive, weight| ActionInfo { name: name.into(), positive, weight, count: 0 };
        let feature = |name: &str, kind, tokens| FeatureInfo { name: name.into(), kind, tokens };
        let text = FeatureKind::Text { tokens: TokenSpec { unigrams: 10, bigrams: 0, trigrams: 0 } };
        let sum = |part: fn(&TestUser) -> usize| self.users.iter().map(|user| part(user) as u64).sum();
        Manifest {
            items: self.items as u64,
            counts: ActionCounts {
                total: sum(|user| user.items.len()),
                train: sum(|user| user.train_end),
                validation: sum(|user| user.validation_end.saturating_sub(user.train_end)),
                test: sum(|user| user.items.len() - user.validation_end),
            },
            actions: vec![action("click", true, 1.0), action("save", true, 2.0), action("hide", false, 1.0)],
            surfaces: if self.rich { vec!["home".into(), "search".into()] } else { Vec::new() },
            has_time: self.rich,
            has_durations: self.rich,
            features: vec![feature("title", text, 10), feature("image", FeatureKind::Vector { dim: 2 }, 0)],
            ..Manifest::empty("test")
        }
    }
}

/// A column of lists, `append(builder, row, user, place)` appending each value.
fn lists<B: ArrayBuilder>(
    users: &[TestUser],
    values: B,
    append: impl Fn(&mut B, usize, &TestUser, usize),
) -> ArrayRef {
    let mut lists = ListBuilder::new(values);
    for (row, user) in users.iter().enumerate() {
        (0..user.items.len()).for_each(|at| append(lists.values(), row, user, at));
        lists.append(true);
    }
    let lists = lists.finish();
    let (field, offsets, values, nulls) = lists.into_parts();
    let field = Arc::new(field.as_ref().clone().with_nullable(false));
    Arc::new(arrow::array::ListArray::new(field, offsets, values, nulls))
}

fn describe(directory: &Path, name: String) -> FileInfo {
    let bytes = fs::read(directory.join(&name)).unwrap();
    FileInfo { name, bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) }
}
