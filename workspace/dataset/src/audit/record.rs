//! What was trained in a lane-step, encoded.
//!
//! ```text
//! part    "TWAUDIT1" record*
//! record  length: u32 LE   crc32 of the payload: u32 LE   payload
//! payload step, lane, generation, rows: n, first row, n - 1 differences   (LEB128; rows sorted)
//! ```

use bytes::Bytes;

use crate::batch::LaneBatch;
use crate::error::DatasetError;

const MAGIC: &[u8; 8] = b"TWAUDIT1";

/// Which rows a lane trained in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Step of the job.
    pub step: u64,
    /// Lane.
    pub lane: u32,
    /// Generation that did it.
    pub generation: u64,
    /// Row ids, sorted.
    pub rows: Vec<u64>,
}

impl AuditRecord {
    /// The record of a batch that was trained.
    pub fn of(batch: &LaneBatch, generation: u64) -> AuditRecord {
        let mut rows = batch.rows.clone();
        rows.sort_unstable();
        AuditRecord { step: batch.step, lane: batch.lane, generation, rows }
    }
}

/// Name of a part within a run's directory: unique, since a rank of a generation does a step once.
pub fn part_name(generation: u64, rank: usize, first_step: u64) -> String {
    format!("audit/generation-{generation:06}-rank-{rank:05}-step-{first_step:09}.bin")
}

/// Records on their way to storage.
#[derive(Clone, Debug, Default)]
pub struct AuditPart {
    bytes: Vec<u8>,
    first_step: Option<u64>,
}

impl AuditPart {
    /// Appends a record.
    pub fn push(&mut self, record: &AuditRecord) {
        self.first_step.get_or_insert(record.step);
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(MAGIC);
        }
        let mut payload = Vec::with_capacity(16 + record.rows.len() * 3);
        for number in [record.step, u64::from(record.lane), record.generation, record.rows.len() as u64] {
            put_varint(&mut payload, number);
        }
        let mut previous = 0;
        for &row in &record.rows {
            put_varint(&mut payload, row - previous);
            previous = row;
        }
        self.bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
        self.bytes.extend_from_slice(&payload);
    }

    /// Takes what has been recorded, as the first step and the bytes to be stored; `None` when
    /// nothing has.
    pub fn take(&mut self) -> Option<(u64, Vec<u8>)> {
        let first_step = self.first_step.take()?;
        Some((first_step, std::mem::take(&mut self.bytes)))
    }
}

/// A record whose rows are still encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Encoded {
    pub(super) step: u64,
    pub(super) lane: u32,
    pub(super) generation: u64,
    count: u64,
    rows: Bytes,
}

impl Encoded {
    /// The rows. Those of a record that was read are there: its checksum was right.
    pub(super) fn rows(&self) -> impl Iterator<Item = u64> + '_ {
        let mut rest = &self.rows[..];
        let mut row = 0u64;
        (0..self.count).map_while(move |_| {
            row = row.wrapping_add(take_varint(&mut rest)?);
            Some(row)
        })
    }
}

/// Reads a part. `file` is its name, for errors.
pub(super) fn read_part(file: &str, bytes: &Bytes) -> Result<Vec<Encoded>, DatasetError> {
    let bad =
        |at: usize, why: &str| DatasetError::AuditRecord { file: file.to_owned(), at, why: why.to_owned() };
    if !bytes.starts_with(MAGIC) {
        return Err(bad(0, "it does not begin as an audit part does"));
    }
    let mut records = Vec::new();
    let mut at = MAGIC.len();
    while at < bytes.len() {
        let word = |from: usize| {
            let word = bytes.get(from..from + 4)?;
            Some(u32::from_le_bytes(word.try_into().ok()?))
        };
        let (Some(length), Some(crc)) = (word(at), word(at + 4)) else {
            return Err(bad(at, "it is cut off"));
        };
        let (start, end) = (at + 8, at + 8 + length as usize);
        if end > bytes.len() {
            return Err(bad(at, "it is cut off"));
        }
        let payload = bytes.slice(start..end);
        if crc32fast::hash(&payload) != crc {
            return Err(bad(at, "its checksum is wrong"));
        }
        records.push(read_record(payload).ok_or_else(|| bad(at, "the record makes no sense"))?);
        at = end;
    }
    Ok(records)
}

fn read_record(payload: Bytes) -> Option<Encoded> {
    let mut rest = &payload[..];
    let step = take_varint(&mut rest)?;
    let lane = u32::try_from(take_varint(&mut rest)?).ok()?;
    let generation = take_varint(&mut rest)?;
    let count = take_varint(&mut rest)?;
    let rows = payload.slice(payload.len() - rest.len()..);
    Some(Encoded { step, lane, generation, count, rows })
}

fn put_varint(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
