//! TensorBoard event files, written natively.
//!
//! A file is a sequence of TFRecords, each with an `Event` protobuf message:
//!
//! ```text
//! u64 length | u32 masked crc32c of the length | message | u32 masked crc32c of the message
//! ```
//!
//! The messages below are those of `tensorflow/core/util/event.proto` and `summary.proto`, as far
//! as scalars need them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::{appender::Appender, error::ReportError};

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// `SessionLog.SessionStatus.START`: readers forget what they know of this step and later ones.
const START: i32 = 1;

/// One event file. Tags with a slash (`train/loss`) are grouped by what is before it.
#[derive(Debug)]
pub struct EventFile {
    path: PathBuf,
    file: Appender,
}

impl EventFile {
    /// A new file in `directory` for a run that goes on after `step` (0: from the beginning).
    /// Points of later steps in older files of the directory are no longer shown.
    ///
    /// # Errors
    /// I/O errors.
    pub fn create(directory: &Path, step: u64) -> Result<EventFile, ReportError> {
        fs::create_dir_all(directory).map_err(ReportError::writing(directory))?;
        let (path, file) = new_file(directory).map_err(ReportError::writing(directory))?;
        let file = Appender::new(file).map_err(ReportError::writing(&path))?;
        let (mut events, now) = (EventFile { path, file }, SystemTime::now());
        // Without this version, readers ignore the session's start.
        let begun = events
            .write(0, now, What::FileVersion("brain.Event:2".into()))
            .and_then(|()| events.write(step + 1, now, What::SessionLog(SessionLog { status: START })));
        if begun.is_err() {
            // It is of no use, and another one will be tried. Should it stay, readers pass it over.
            let _ = fs::remove_file(&events.path);
        }
        begun.map(|()| events)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the values that some tags had at a step, at that time.
    ///
    /// # Errors
    /// I/O errors; then they can be written again.
    pub fn scalars<'a>(
        &mut self,
        step: u64,
        at: SystemTime,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Result<(), ReportError> {
        let values = values.into_iter();
        let value =
            values.map(|(tag, value)| Value { tag: tag.to_owned(), simple_value: value as f32 }).collect();
        self.write(step, at, What::Summary(Summary { value }))
    }

    fn write(&mut self, step: u64, at: SystemTime, what: What) -> Result<(), ReportError> {
        let wall_time = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let event = Event { wall_time, step: step as i64, what: Some(what) };
        // One write a record: a reader never waits long for the rest of one.
        self.file.append(&record(&event.encode_to_vec())).map_err(ReportError::writing(&self.path))
    }
}

/// A file with a name that no other start of a run has.
fn new_file(directory: &Path) -> io::Result<(PathBuf, File)> {
    let started = now();
    for attempt in 0.. {
        // TensorBoard reads the files of a directory in the order of their names.
        let name = format!(
            "events.out.tfevents.{:010}.{:09}.{}.{attempt}",
            started.as_secs(),
            started.subsec_nanos(),
            std::process::id()
        );
        let path = directory.join(name);
        match OpenOptions::new().append(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => return opened.map(|file| (path, file)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn now() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A message as a TFRecord.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(message.len() + 16);
    record.extend(length);
    record.extend(masked_crc(&length).to_le_bytes());
    record.extend(message);
    record.extend(masked_crc(message).to_le_bytes());
    record
}

/// CRC-32C, rotated and offset: TFRecord's guard against data that holds checksums itself.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A reader of its own, checksums and all.
    fn read(path: &Path) -> Vec<Event> {
        let (bytes, mut events) = (fs::read(path).unwrap(), Vec::new());
        let mut rest = &bytes[..];
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let message = &rest[12..12 + length];
            assert_eq!(number(&rest[8..12]), masked_crc(&rest[..8]));
            assert_eq!(number(&rest[12 + length..16 + length]), masked_crc(message));
            events.push(Event::decode(message).unwrap());
            rest = &rest[16 + length..];
        }
        events
    }

    #[test]
    fn the_checksum_is_tfrecords() {
        // RFC 3720's test vector for CRC-32C: 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        // An empty record's header, as TensorFlow writes it.
        assert_eq!(masked_crc(&[0; 8]), u32::from_le_bytes([0x29, 0x03, 0x98, 0x07]));
    }

    #[test]
    fn scalars_are_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(&directory.path().join("tensorboard"), 0).unwrap();
        events.scalars(10, SystemTime::now(), [("train/loss", 1.5), ("train/lr", 0.001)]).unwrap();
        events.scalars(20, SystemTime::now(), [("validation/ndcg@10", 0.25)]).unwrap();
        let read = read(events.path());
        assert_eq!(read[0].what, Some(What::FileVersion("brain.Event:2".into())));
        let Some(What::Summary(summary)) = &read[2].what else { panic!("{:?}", read[2]) };
        assert_eq!(
            (read[2].step, summary.value[0].tag.as_str(), summary.value[0].simple_value),
            (10, "train/loss", 1.5)
        );
        assert_eq!((summary.value.len(), read[3].step), (2, 20));
        assert!(read.iter().all(|event| event.wall_time > 1.6e9));
    }

    #[test]
    fn a_resumed_run_has_a_file_of_its_own_that_takes_over_after_its_step() {
        let directory = tempfile::tempdir().unwrap();
        let first = EventFile::create(directory.path(), 0).unwrap();
        let second = EventFile::create(directory.path(), 40).unwrap();
        assert!(first.path() < second.path());
        let start = &read(second.path())[1];
        assert_eq!((start.step, &start.what), (41, &Some(What::SessionLog(SessionLog { status: START }))));
    }
}
