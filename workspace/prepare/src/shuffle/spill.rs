//! Runs on disk: all partitions one after the other, and where each begins.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::PARTITIONS;
use crate::PrepareError;
use crate::dictionary::{Dictionary, OVERHEAD};
use crate::event::{EVENT_BYTES, Event};

/// The runs so far.
pub(super) struct Spill {
    dir: PathBuf,
    runs: Vec<Arc<Run>>,
}

/// A finished run.
pub(super) struct Run {
    path: PathBuf,
    file: File,
    /// `[PARTITIONS + 1]` where partitions begin.
    starts: Vec<u64>,
}

/// A run being written.
pub(super) struct Writing {
    path: PathBuf,
    file: BufWriter<File>,
    starts: Vec<u64>,
}

impl Spill {
    pub(super) fn new(dir: &Path) -> Spill {
        Spill { dir: dir.into(), runs: Vec::new() }
    }

    pub(super) fn begin(&self) -> Result<Writing, PrepareError> {
        let path = self.dir.join(format!("spill-{:05}.bin", self.runs.len()));
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|why| PrepareError::local(&path, why))?;
        Ok(Writing { path, file: BufWriter::with_capacity(1 << 20, file), starts: vec![0] })
    }

    pub(super) fn end(&mut self, run: Writing) -> Result<(), PrepareError> {
        let Writing { path, file, starts } = run;
        let file = file.into_inner().map_err(|why| PrepareError::local(&path, why.error()))?;
        self.runs.push(Arc::new(Run { path, file, starts }));
        Ok(())
    }

    pub(super) fn runs(&self) -> Vec<Arc<Run>> {
        self.runs.clone()
    }
}

impl Writing {
    /// Writes the next partition: number of users, their ids, the events. How many bytes of memory
    /// it had taken.
    pub(super) fn write<'a>(
        &mut self,
        users: &Dictionary,
        events: impl Iterator<Item = &'a Event>,
    ) -> Result<usize, PrepareError> {
        let mut bytes = Vec::new();
        let mut freed = 0;
        bytes.extend_from_slice(&(users.len() as u32).to_le_bytes());
        for code in 0..users.len() as u32 {
            let id = users.bytes_of(code);
            bytes.extend_from_slice(&(id.len() as u32).to_le_bytes());
            bytes.extend_from_slice(id);
            freed += id.len() + OVERHEAD;
        }
        for event in events {
            event.write(&mut bytes);
            freed += EVENT_BYTES;
        }
        self.file.write_all(&bytes).map_err(|why| PrepareError::local(&self.path, why))?;
        let start = self.starts.last().copied().unwrap_or_default();
        self.starts.push(start + bytes.len() as u64);
        debug_assert!(self.starts.len() <= PARTITIONS + 1);
        Ok(freed)
    }
}

/// A partition from all runs.
pub(super) fn read(runs: &[Arc<Run>], partition: usize) -> Result<(Dictionary, Vec<Event>), PrepareError> {
    let mut users = Dictionary::default();
    let mut events = Vec::new();
    for run in runs {
        let (start, end) = (run.starts[partition], run.starts[partition + 1]);
        let mut bytes = vec![0; (end - start) as usize];
        run.file.read_exact_at(&mut bytes, start).map_err(|why| PrepareError::local(&run.path, why))?;
        decode(&bytes, &mut users, &mut events)
            .ok_or_else(|| PrepareError::local(&run.path, "was changed while it was in use"))?;
    }
    Ok((users, events))
}

fn decode(mut bytes: &[u8], users: &mut Dictionary, events: &mut Vec<Event>) -> Option<()> {
    let number = |bytes: &mut &[u8]| {
        let (number, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(u32::from_le_bytes(*number))
    };
    let count = number(&mut bytes)?;
    let mut codes = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let length = number(&mut bytes)? as usize;
        let (id, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        codes.push(users.insert(xxh3_64(id), id).0);
    }
    let (chunks, rest) = bytes.as_chunks::<EVENT_BYTES>();
    events.reserve(chunks.len());
    for chunk in chunks {
        let event = Event::read(chunk);
        events.push(Event { user: *codes.get(event.user as usize)?, ..event });
    }
    rest.is_empty().then_some(())
}
