//! A decoded shard.

use arrow::array::{Array, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{Float32Type, Int32Type, Int64Type, UInt8Type};
use arrow::record_batch::RecordBatch;

use super::columns::{Columns, Lists};
use crate::error::DatasetError;
use crate::format::{Manifest, ShardInfo, timelines};
use crate::timeline::Timeline;

/// A decoded shard: the timelines of some neighbouring users, as columns.
#[derive(Clone, Debug)]
pub struct Shard {
    first_row: u64,
    user_ids: Option<StringArray>,
    items: Lists<i32>,
    actions: Lists<u8>,
    timestamps: Option<Lists<i64>>,
    surfaces: Option<Lists<u8>>,
    durations: Option<Lists<f32>>,
    train_end: ScalarBuffer<i32>,
    validation_end: ScalarBuffer<i32>,
}

/// Columns that a shard of this dataset is read from.
pub(super) fn columns(manifest: &Manifest, user_ids: bool) -> Vec<&'static str> {
    let mut columns =
        vec![timelines::ITEMS, timelines::ACTIONS, timelines::TRAIN_END, timelines::VALIDATION_END];
    let optional = [
        (user_ids, timelines::USER_ID),
        (manifest.has_time, timelines::TIMESTAMPS),
        (manifest.has_surfaces(), timelines::SURFACES),
        (manifest.has_durations, timelines::DURATIONS),
    ];
    columns.extend(optional.into_iter().filter(|(wanted, _)| *wanted).map(|(_, column)| column));
    columns
}

impl Shard {
    /// Decodes and checks a row group: nothing that reads timelines later has to doubt them.
    pub(super) fn decode(
        manifest: &Manifest,
        info: &ShardInfo,
        batch: &RecordBatch,
        user_ids: bool,
    ) -> Result<Shard, DatasetError> {
        let columns = Columns { file: &info.file, batch };
        let optional = |wanted: bool| wanted.then_some(());
        let shard = Shard {
            first_row: info.first_row,
            user_ids: optional(user_ids).map(|()| columns.texts(timelines::USER_ID)).transpose()?,
            items: columns.lists::<Int32Type>(timelines::ITEMS)?,
            actions: columns.lists::<UInt8Type>(timelines::ACTIONS)?,
            timestamps: optional(manifest.has_time)
                .map(|()| columns.lists::<Int64Type>(timelines::TIMESTAMPS))
                .transpose()?,
            surfaces: optional(manifest.has_surfaces())
                .map(|()| columns.lists::<UInt8Type>(timelines::SURFACES))
                .transpose()?,
            durations: optional(manifest.has_durations)
                .map(|()| columns.lists::<Float32Type>(timelines::DURATIONS))
                .transpose()?,
            train_end: columns.numbers::<Int32Type>(timelines::TRAIN_END)?,
            validation_end: columns.numbers::<Int32Type>(timelines::VALIDATION_END)?,
        };
        shard.check(manifest, info)?;
        Ok(shard)
    }

    /// Rows (users).
    pub fn rows(&self) -> usize {
        self.items.rows()
    }

    /// Row id of its first row.
    pub fn first_row(&self) -> u64 {
        self.first_row
    }

    /// The timeline of a row, counted within the shard.
    pub fn timeline(&self, row: usize) -> Timeline<'_> {
        Timeline {
            row: self.first_row + row as u64,
            user_id: self.user_ids.as_ref().map_or("", |ids| ids.value(row)),
            items: self.items.row(row),
            actions: self.actions.row(row),
            timestamps: self.timestamps.as_ref().map_or(&[], |lists| lists.row(row)),
            surfaces: self.surfaces.as_ref().map_or(&[], |lists| lists.row(row)),
            durations: self.durations.as_ref().map_or(&[], |lists| lists.row(row)),
            train_end: self.train_end[row] as usize,
            validation_end: self.validation_end[row] as usize,
        }
    }

    /// Memory it takes, about.
    pub fn bytes(&self) -> usize {
        self.items.bytes()
            + self.actions.bytes()
            + self.timestamps.as_ref().map_or(0, Lists::bytes)
            + self.surfaces.as_ref().map_or(0, Lists::bytes)
            + self.durations.as_ref().map_or(0, Lists::bytes)
            + self.user_ids.as_ref().map_or(0, Array::get_buffer_memory_size)
            + self.rows() * 8
    }

    fn check(&self, manifest: &Manifest, info: &ShardInfo) -> Result<(), DatasetError> {
        let bad = |row: usize, why: String| DatasetError::BadRow {
            file: info.file.clone(),
            row: info.first_row + row as u64,
            why,
        };
        if self.rows() as u64 != info.rows {
            let why = format!(
                "row group {} has {} rows, the manifest says {}",
                info.row_group,
                self.rows(),
                info.rows
            );
            return Err(bad(0, why));
        }
        for row in 0..self.rows() {
            if self.train_end[row] < 0 || self.validation_end[row] < 0 {
                return Err(bad(row, "train_end or validation_end is negative".into()));
            }
            check_timeline(manifest, &self.timeline(row)).map_err(|why| bad(row, why))?;
        }
        Ok(())
    }
}

fn check_timeline(manifest: &Manifest, user: &Timeline<'_>) -> Result<(), String> {
    let len = user.len();
    let same = |name: &str, found: usize, present: bool| match present && found != len {
        true => Err(format!("{len} items but {found} {name}")),
        false => Ok(()),
    };
    same(timelines::ACTIONS, user.actions.len(), true)?;
    same(timelines::TIMESTAMPS, user.timestamps.len(), manifest.has_time)?;
    same(timelines::SURFACES, user.surfaces.len(), manifest.has_surfaces())?;
    same(timelines::DURATIONS, user.durations.len(), manifest.has_durations)?;
    if user.train_end > user.validation_end || user.validation_end > len {
        return Err(format!(
            "train_end {}, validation_end {} and {len} actions are not in order",
            user.train_end, user.validation_end
        ));
    }
    if let Some(item) = user.items.iter().find(|&&item| item < 0 || item as u64 >= manifest.items) {
        return Err(format!("item index {item} is not among the {} items", manifest.items));
    }
    if let Some(action) = user.actions.iter().find(|&&action| usize::from(action) >= manifest.actions.len()) {
        return Err(format!("action {action} is not among the {} kinds of actions", manifest.actions.len()));
    }
    if let Some(surface) =
        user.surfaces.iter().find(|&&surface| usize::from(surface) >= manifest.surfaces.len())
    {
        return Err(format!("surface {surface} is not among the {} surfaces", manifest.surfaces.len()));
    }
    match user.timestamps.is_sorted() {
        true => Ok(()),
        false => Err("the actions are not in time order".into()),
    }
}
