//! Batches of the log -> events, bad rows aside.

mod columns;
mod names;
mod roles;
mod times;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Int64Array, RecordBatch};
use xxhash_rust::xxh3::xxh3_64;

use crate::PrepareError;
use crate::dictionary::SharedDictionary;
use crate::event::{Event, TimeKind};
use crate::rejects::{Cause, Rejects};
use crate::shuffle::Shuffle;
use crate::source::{OpenFile, Sink};

pub(crate) use columns::Ids;
use columns::{Numbers, Orders, Texts};
pub(crate) use names::NameTable;
pub(crate) use roles::Roles;
pub(crate) use times::{TimeCensus, Times};

/// Takes batches of the log, checks every row, and shuffles the good ones by user.
pub(crate) struct Cleaner {
    pub(crate) roles: Roles,
    /// Order values are compared as floats: some file has them so.
    pub(crate) float_order: bool,
    pub(crate) items: Arc<SharedDictionary>,
    pub(crate) actions: NameTable,
    pub(crate) surfaces: NameTable,
    pub(crate) shuffle: Arc<Shuffle>,
    pub(crate) rejects: Arc<Rejects>,
    pub(crate) times: Mutex<TimeCensus>,
}

/// A good row: hash of the user, index in the batch, and the rest.
type Row = (u64, u32, Event);

impl Sink for Cleaner {
    fn take(
        &self,
        file: &OpenFile,
        batch: &RecordBatch,
        rows: Option<&Int64Array>,
    ) -> Result<(), PrepareError> {
        let bad_type = |why: arrow::error::ArrowError| file.unreadable(why);
        let roles = &self.roles;
        let column = |index: Option<usize>| index.map(|index| batch.column(index));
        let users = Ids::new(batch.column(roles.user)).map_err(bad_type)?;
        let items = Ids::new(batch.column(roles.item)).map_err(bad_type)?;
        let actions = column(roles.action).map(Texts::new).transpose().map_err(bad_type)?;
        let times = column(roles.timestamp).map(columns::Times::new).transpose().map_err(bad_type)?;
        let orders =
            column(roles.order).map(|c| Orders::new(c, self.float_order)).transpose().map_err(bad_type)?;
        let surfaces = column(roles.surface).map(Texts::new).transpose().map_err(bad_type)?;
        let durations = column(roles.duration).map(Numbers::new).transpose().map_err(bad_type)?;

        let mut good: Vec<Row> = Vec::with_capacity(batch.num_rows());
        let mut census = TimeCensus::default();
        let (mut user_text, mut item_text) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (mut action_memo, mut surface_memo) = (Vec::new(), Vec::new());
        for index in 0..batch.num_rows() {
            let bad = |cause| {
                let row = rows.map(|rows| rows.value(index) as u64);
                self.rejects.row(cause, file.file.uri(), row, batch, index);
            };
            let Some(user) = users.get(index, &mut user_text) else {
                bad(Cause::NullUser);
                continue;
            };
            let Some(item) = items.get(index, &mut item_text) else {
                bad(Cause::NullItem);
                continue;
            };
            let action = match &actions {
                None => 0,
                Some(actions) => match actions.get(index) {
                    None => {
                        bad(Cause::NullAction);
                        continue;
                    }
                    Some(name) => match self.actions.code(name, &mut action_memo)? {
                        Some(code) => code,
                        None => {
                            bad(Cause::UndeclaredAction);
                            continue;
                        }
                    },
                },
            };
            let (time, kind) = match times.as_ref().map(|times| times.get(index)) {
                None => (0, TimeKind::Milliseconds),
                Some(Ok(time)) => time,
                Some(Err(cause)) => {
                    bad(cause);
                    continue;
                }
            };
            let order = match orders.as_ref().map(|orders| orders.get(index)) {
                None => 0,
                Some(Some(order)) => order,
                Some(None) => {
                    bad(Cause::NullOrder);
                    continue;
                }
            };
            let duration = match durations.as_ref().map(|durations| durations.get(index)) {
                None => 0.0,
                // No duration is none, not a bad one; a negative or endless one is.
                Some(Ok(duration)) => duration.unwrap_or_default() as f32,
                Some(Err(())) => f32::NAN,
            };
            if !(duration.is_finite() && duration >= 0.0) {
                bad(Cause::BadDuration);
                continue;
            }
            let surface = match &surfaces {
                None => 0,
                Some(surfaces) => self
                    .surfaces
                    .code(surfaces.get(index).unwrap_or(UNKNOWN_SURFACE), &mut surface_memo)?
                    .unwrap_or_default(),
            };
            census.add(time, kind);
            let user_hash = xxh3_64(user);
            let (item, item_hash) = self.items.insert(item);
            // A log without any order gets one that looks random but is always the same.
            let order = match times.is_none() && orders.is_none() {
                true => xxh3_64(&[user_hash.to_le_bytes(), item_hash.to_le_bytes()].concat()),
                false => order,
            };
            let event = Event::new(time, kind, order, item, duration, action, surface, file.file.part);
            good.push((user_hash, index as u32, event));
        }
        self.times.lock().unwrap_or_else(PoisonError::into_inner).merge(&census);
        self.shuffle.add(good, |index, id| {
            id.extend_from_slice(users.get(index as usize, &mut user_text).unwrap_or_default());
        })
    }
}

/// The surface of rows that have none.
pub(crate) const UNKNOWN_SURFACE: &str = "unknown";
