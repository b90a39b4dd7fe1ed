//! Timelines as columns.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float32Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, UInt8Array,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use twinspire_dataset::format::timelines;

use crate::event::Event;
use crate::split::Cut;

/// Timelines of some users, one after the other.
#[derive(Default)]
pub(super) struct Rows {
    ids: Vec<u8>,
    /// `[users]` where ids and actions end.
    id_ends: Vec<i32>,
    ends: Vec<i32>,
    items: Vec<i32>,
    actions: Vec<u8>,
    times: Vec<i64>,
    surfaces: Vec<u8>,
    durations: Vec<f32>,
    train_ends: Vec<i32>,
    validation_ends: Vec<i32>,
}

impl Rows {
    pub(super) fn users(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn actions(&self) -> usize {
        self.items.len()
    }

    /// Actions of a user.
    pub(super) fn length(&self, user: usize) -> usize {
        (self.ends[user] - start(&self.ends, user)) as usize
    }

    /// `indices`: from an item's code to its index.
    pub(super) fn push(&mut self, user: &[u8], events: &[Event], cut: Cut, indices: &[i32]) {
        self.ids.extend_from_slice(user);
        self.id_ends.push(self.ids.len() as i32);
        self.items.extend(events.iter().map(|event| indices[event.item as usize]));
        self.actions.extend(events.iter().map(|event| event.action));
        self.times.extend(events.iter().map(|event| event.time));
        self.surfaces.extend(events.iter().map(|event| event.surface));
        self.durations.extend(events.iter().map(|event| event.duration));
        self.ends.push(self.items.len() as i32);
        self.train_ends.push(cut.train_end as i32);
        self.validation_ends.push(cut.validation_end as i32);
    }

    /// Appends the users `range` of `other`.
    pub(super) fn extend(&mut self, other: &Rows, range: Range<usize>) {
        let ids = start(&other.id_ends, range.start) as usize..start(&other.id_ends, range.end) as usize;
        let actions = start(&other.ends, range.start) as usize..start(&other.ends, range.end) as usize;
        let shift = |to: &mut Vec<i32>, ends: &[i32], first: usize, base: usize| {
            to.extend(ends.iter().map(|end| end - first as i32 + base as i32));
        };
        shift(&mut self.id_ends, &other.id_ends[range.clone()], ids.start, self.ids.len());
        shift(&mut self.ends, &other.ends[range.clone()], actions.start, self.items.len());
        self.ids.extend_from_slice(&other.ids[ids]);
        self.items.extend_from_slice(&other.items[actions.clone()]);
        self.actions.extend_from_slice(&other.actions[actions.clone()]);
        self.times.extend_from_slice(&other.times[actions.clone()]);
        self.surfaces.extend_from_slice(&other.surfaces[actions.clone()]);
        self.durations.extend_from_slice(&other.durations[actions]);
        self.train_ends.extend_from_slice(&other.train_ends[range.clone()]);
        self.validation_ends.extend_from_slice(&other.validation_ends[range]);
    }

    /// As a batch of the columns of `schema`.
    pub(super) fn into_batch(self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let offsets = offsets(&self.ends);
        let Rows {
            ids,
            id_ends,
            items,
            actions,
            times,
            surfaces,
            durations,
            train_ends,
            validation_ends,
            ..
        } = self;
        let ids = StringArray::try_new(self::offsets(&id_ends), Buffer::from_vec(ids), None)?;
        let mut given: Vec<(&str, ArrayRef)> = vec![
            (timelines::ITEMS, Arc::new(Int32Array::from(items))),
            (timelines::ACTIONS, Arc::new(UInt8Array::from(actions))),
            (timelines::TIMESTAMPS, Arc::new(Int64Array::from(times))),
            (timelines::SURFACES, Arc::new(UInt8Array::from(surfaces))),
            (timelines::DURATIONS, Arc::new(Float32Array::from(durations))),
            (timelines::USER_ID, Arc::new(ids)),
            (timelines::TRAIN_END, Arc::new(Int32Array::from(train_ends))),
            (timelines::VALIDATION_END, Arc::new(Int32Array::from(validation_ends))),
        ];
        let columns = schema.fields().iter().map(|field| {
            let place = given.iter().position(|(name, _)| name == field.name());
            let values = place.map(|place| given.swap_remove(place).1).ok_or_else(|| {
                ArrowError::SchemaError(format!("timelines have no column {}", field.name()))
            })?;
            match field.data_type() {
                DataType::List(element) => {
                    Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets.clone(), values, None)?)
                        as ArrayRef)
                }
                _ => Ok(values),
            }
        });
        let columns = columns.collect::<Result<Vec<_>, ArrowError>>()?;
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

fn start(ends: &[i32], user: usize) -> i32 {
    if user == 0 { 0 } else { ends[user - 1] }
}

fn offsets(ends: &[i32]) -> OffsetBuffer<i32> {
    let all: Vec<i32> = std::iter::once(0).chain(ends.iter().copied()).collect();
    OffsetBuffer::new(ScalarBuffer::from(all))
}
