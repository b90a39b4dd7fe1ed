//! Histories -> `events-*.parquet`, a file a thread.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rand::distr::Distribution;
use rand_distr::LogNormal;

use crate::GenerateError;
use crate::output::Output;
use crate::spec::GenerateSpec;
use crate::user::{ACTIONS, Event, SURFACES, history};
use crate::world::{World, rng, streams};

/// Events of a file, about.
const FILE_EVENTS: u64 = 1_000_000;
/// Events held in memory and written in time order, as a log's writer would flush them.
const FLUSH_EVENTS: usize = 250_000;

/// Text of an item's id.
pub(crate) fn item_id(number: u32) -> String {
    format!("i{number:07}")
}

/// Which users are in which file, and how many events each has.
pub struct FilePlan {
    users: u64,
    files: usize,
    /// `[files + 1]` sums of the users' raw lengths before each file.
    starts: Vec<f64>,
}

impl FilePlan {
    /// The plan of a spec: files of equal numbers of users, about a million events each.
    pub fn new(spec: &GenerateSpec) -> FilePlan {
        let files = spec.events.div_ceil(FILE_EVENTS).min(spec.users).max(1) as usize;
        let mut plan = FilePlan { users: spec.users, files, starts: vec![0.0] };
        let mut sum = 0.0;
        for file in 0..files {
            for length in raw_lengths(spec, plan.file_users(file)) {
                sum += length;
            }
            plan.starts.push(sum);
        }
        plan
    }

    /// Number of files.
    pub fn files(&self) -> usize {
        self.files
    }

    fn file_users(&self, file: usize) -> Range<u64> {
        let at = |file: usize| (u128::from(self.users) * file as u128 / self.files as u128) as u64;
        at(file)..at(file + 1)
    }

    /// Users of a file with the number of events of each. Over all files the numbers add up to
    /// `spec.events` exactly: they are differences of one rounded running sum.
    pub fn lengths(&self, spec: &GenerateSpec, file: usize) -> impl Iterator<Item = (u64, usize)> {
        let fewest = spec.fewest_events();
        let shared = spec.events - fewest * spec.users;
        let total = self.starts[self.files];
        let ends = self.starts[file + 1];
        let users = self.file_users(file);
        let last = users.end;
        let mut sum = self.starts[file];
        let rounded = move |sum: f64| (sum / total * shared as f64) as u64;
        let mut before = rounded(sum);
        raw_lengths(spec, users.clone()).zip(users).map(move |(raw, user)| {
            sum += raw;
            let after = if user + 1 == last { rounded(ends) } else { rounded(sum) };
            let length = fewest + (after - before);
            before = after;
            (user, length as usize)
        })
    }
}

/// Heavy-tailed, as people are: the mean is 1.6 medians.
fn raw_lengths(spec: &GenerateSpec, users: Range<u64>) -> impl Iterator<Item = f64> + use<> {
    let distribution = LogNormal::<f64>::new(0.0, 1.0);
    let mut rng = rng(spec.seed, streams::LENGTHS);
    rng.set_word_pos(u128::from(users.start) * 64);
    users.map(move |user| {
        // A fixed stretch of the stream a user, so that a file can begin anywhere.
        rng.set_word_pos(u128::from(user) * 64);
        distribution.map_or(1.0, |lengths| lengths.sample(&mut rng)).clamp(0.05, 30.0)
    })
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("user_id", DataType::Utf8, false),
        Field::new("item_id", DataType::Utf8, false),
        Field::new("action", DataType::Utf8, false),
        Field::new("timestamp", DataType::Int64, false),
        Field::new("surface", DataType::Utf8, false),
        Field::new("duration", DataType::Float32, false),
    ]))
}

/// Writes one file; its size in bytes.
pub(crate) fn write(
    spec: &GenerateSpec,
    world: &World,
    plan: &FilePlan,
    file: usize,
    output: &Output,
    tell: &dyn Fn(u64),
) -> Result<u64, GenerateError> {
    let name = format!("events-{file:05}.parquet");
    let mut parquet = output.parquet(&name, schema())?;
    let mut held = Held::default();
    for (user, count) in plan.lengths(spec, file) {
        history(spec, world, user, count, &mut held.events);
        held.users.resize(held.events.len(), user);
        if held.events.len() >= FLUSH_EVENTS {
            let batch = held.take(world).map_err(|why| GenerateError::write(&name, why))?;
            parquet.write(&batch)?;
            tell(batch.num_rows() as u64);
        }
    }
    let batch = held.take(world).map_err(|why| GenerateError::write(&name, why))?;
    parquet.write(&batch)?;
    tell(batch.num_rows() as u64);
    parquet.close()
}

/// Events waiting to be written, and whose they are.
#[derive(Default)]
struct Held {
    users: Vec<u64>,
    events: Vec<Event>,
}

impl Held {
    fn take(&mut self, world: &World) -> Result<RecordBatch, arrow::error::ArrowError> {
        let (users, events) = (std::mem::take(&mut self.users), std::mem::take(&mut self.events));
        let mut order: Vec<u32> = (0..events.len() as u32).collect();
        order.sort_unstable_by_key(|i| (events[*i as usize].time, *i));
        let sorted = || order.iter().map(|i| *i as usize);

        let mut user_ids = StringBuilder::with_capacity(events.len(), events.len() * 10);
        let mut item_ids = StringBuilder::with_capacity(events.len(), events.len() * 8);
        for i in sorted() {
            use std::fmt::Write;
            // Writing to a builder's memory does not fail.
            let _ = write!(user_ids, "u{:08}", users[i]);
            user_ids.append_value("");
            let _ = write!(item_ids, "i{:07}", world.number(events[i].slot as usize));
            item_ids.append_value("");
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(user_ids.finish()),
            Arc::new(item_ids.finish()),
            Arc::new(StringArray::from_iter_values(sorted().map(|i| ACTIONS[events[i].action as usize].0))),
            Arc::new(Int64Array::from_iter_values(sorted().map(|i| events[i].time))),
            Arc::new(StringArray::from_iter_values(sorted().map(|i| SURFACES[events[i].surface as usize]))),
            Arc::new(Float32Array::from_iter_values(sorted().map(|i| events[i].duration))),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_add_up_to_the_events_asked_for_and_nobody_is_empty() {
        for (users, events) in [(2, 2), (1000, 1000), (1000, 123_457), (3001, 2_500_001)] {
            let spec = GenerateSpec { users, events, ..GenerateSpec::default() };
            let plan = FilePlan::new(&spec);
            let lengths: Vec<_> = (0..plan.files()).flat_map(|file| plan.lengths(&spec, file)).collect();
            assert_eq!(lengths.len() as u64, users);
            assert_eq!(lengths.iter().map(|(_, length)| *length as u64).sum::<u64>(), events);
            assert!(lengths.iter().all(|(_, length)| *length >= 1));
            assert!(lengths.iter().enumerate().all(|(i, (user, _))| i as u64 == *user));
        }
    }
}
