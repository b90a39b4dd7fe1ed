//! Timelines -> shards: row groups of `timelines-*.parquet`.
//!
//! Partitions are turned into columns, and shards into encoded row groups, by several threads;
//! where one shard ends and the next begins is decided in between by one, in order, so the files
//! are the same on any number of threads.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use tokio::task::JoinHandle;
use twinspire_dataset::format::{FileInfo, ShardInfo, timelines, timelines_file};

use super::file::{CheckedFile, parquet_properties};
use super::rows::Rows;
use crate::PrepareError;
use crate::progress::Meter;
use crate::shuffle::{Finals, PARTITIONS, Shuffle};
use crate::timelines::Rules;

/// Shards of a file.
const FILE_SHARDS: usize = 64;
/// A dataset has about this many shards, however small it is …
const SHARDS: u64 = 256;
/// … but none of fewer actions than this.
const FEWEST: u64 = 2_000;

/// Where timelines go and how they are cut.
pub(crate) struct Target<'a> {
    pub(crate) dir: &'a Path,
    pub(crate) schema: SchemaRef,
    /// From an item's code to its index.
    pub(crate) indices: Vec<i32>,
    /// Actions of all timelines.
    pub(crate) actions: u64,
    /// Most actions of a shard, about.
    pub(crate) shard_actions: u32,
    pub(crate) threads: usize,
    pub(crate) meter: &'a Meter,
}

/// Actions of a shard, about.
fn shard_actions(total: u64, most: u32) -> u64 {
    (total / SHARDS).max(FEWEST).min(u64::from(most)).max(1)
}

/// Writes all timelines; the shards and the files.
pub(crate) async fn write_timelines(
    shuffle: Arc<Shuffle>,
    finals: Arc<Finals>,
    rules: Arc<Rules>,
    target: Target<'_>,
) -> Result<(Vec<ShardInfo>, Vec<FileInfo>), PrepareError> {
    let indices: Arc<[i32]> = target.indices.as_slice().into();
    let full = shard_actions(target.actions, target.shard_actions) as usize;
    let mut loading: VecDeque<JoinHandle<Result<Rows, PrepareError>>> = VecDeque::new();
    let mut partitions = 0..PARTITIONS;
    let mut output = Output::new(&target);
    let mut shard = Rows::default();
    loop {
        while loading.len() <= target.threads {
            let Some(partition) = partitions.next() else { break };
            let (shuffle, finals) = (Arc::clone(&shuffle), Arc::clone(&finals));
            let (rules, indices) = (Arc::clone(&rules), Arc::clone(&indices));
            loading.push_back(tokio::task::spawn_blocking(move || {
                let sorted = shuffle.take(partition, &finals)?;
                let mut rows = Rows::default();
                rules.walk(&sorted, |user, events, cut| rows.push(user, events, cut, &indices));
                Ok(rows)
            }));
        }
        let Some(next) = loading.pop_front() else { break };
        let rows = next.await.map_err(PrepareError::stopped)??;
        let (mut from, mut actions) = (0, shard.actions());
        for user in 0..rows.users() {
            actions += rows.length(user);
            if actions >= full {
                shard.extend(&rows, from..user + 1);
                output.shard(std::mem::take(&mut shard)).await?;
                (from, actions) = (user + 1, 0);
            }
        }
        shard.extend(&rows, from..rows.users());
    }
    if shard.users() > 0 {
        output.shard(shard).await?;
    }
    output.finish().await
}

type Encoded = Result<Vec<ArrowColumnChunk>, ParquetError>;

/// The files, and the shards being encoded for them.
struct Output<'a> {
    target: &'a Target<'a>,
    open: Option<OpenFile>,
    encoding: VecDeque<(JoinHandle<Encoded>, ShardInfo)>,
    shards: Vec<ShardInfo>,
    files: Vec<FileInfo>,
    /// Shards and rows begun.
    begun: usize,
    rows: u64,
}

struct OpenFile {
    name: String,
    writer: SerializedFileWriter<CheckedFile>,
    factory: ArrowRowGroupWriterFactory,
    path: std::path::PathBuf,
}

impl<'a> Output<'a> {
    fn new(target: &'a Target<'a>) -> Output<'a> {
        Output {
            target,
            open: None,
            encoding: VecDeque::new(),
            shards: Vec::new(),
            files: Vec::new(),
            begun: 0,
            rows: 0,
        }
    }

    /// Begins to encode a shard; writes those that are done.
    async fn shard(&mut self, rows: Rows) -> Result<(), PrepareError> {
        if self.begun.is_multiple_of(FILE_SHARDS) {
            self.close().await?;
            self.open = Some(self.open()?);
        }
        let Some(open) = &self.open else { return Err(PrepareError::stopped("no file is open")) };
        let info = ShardInfo {
            file: open.name.clone(),
            row_group: (self.begun % FILE_SHARDS) as u32,
            first_row: self.rows,
            rows: rows.users() as u64,
            actions: rows.actions() as u64,
        };
        self.rows += info.rows;
        let writers = open.factory.create_column_writers(info.row_group as usize);
        let writers = writers.map_err(|why| PrepareError::local(&open.path, why))?;
        let schema = Arc::clone(&self.target.schema);
        let encode = tokio::task::spawn_blocking(move || {
            let batch = rows.into_batch(&schema)?;
            encode(&batch, writers)
        });
        self.encoding.push_back((encode, info));
        self.begun += 1;
        while self.encoding.len() > self.target.threads {
            self.write_one().await?;
        }
        Ok(())
    }

    fn open(&self) -> Result<OpenFile, PrepareError> {
        let name = timelines_file(self.files.len());
        let path = self.target.dir.join(&name);
        let file = CheckedFile::create(self.target.dir, &name)?;
        let mut properties = parquet_properties();
        // Few different values: a dictionary keeps them in a few bits each.
        for column in [timelines::ACTIONS, timelines::SURFACES] {
            let leaf = ColumnPath::new(vec![column.into(), "list".into(), "item".into()]);
            properties = properties.set_column_dictionary_enabled(leaf, true);
        }
        let (writer, factory) =
            ArrowWriter::try_new(file, Arc::clone(&self.target.schema), Some(properties.build()))
                .and_then(ArrowWriter::into_serialized_writer)
                .map_err(|why| PrepareError::local(&path, why))?;
        Ok(OpenFile { name, writer, factory, path })
    }

    /// Writes the shard that was begun first.
    async fn write_one(&mut self) -> Result<(), PrepareError> {
        let Some((encoded, info)) = self.encoding.pop_front() else { return Ok(()) };
        let encoded = encoded.await.map_err(PrepareError::stopped)?;
        let Some(open) = &mut self.open else { return Err(PrepareError::stopped("no file is open")) };
        let written = encoded.and_then(|chunks| {
            let mut group = open.writer.next_row_group()?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut group)?;
            }
            group.close()
        });
        written.map_err(|why| PrepareError::local(&open.path, why))?;
        self.target.meter.add(info.actions, 0);
        self.shards.push(info);
        Ok(())
    }

    /// Finishes the open file.
    async fn close(&mut self) -> Result<(), PrepareError> {
        while !self.encoding.is_empty() {
            self.write_one().await?;
        }
        if let Some(open) = self.open.take() {
            let file = open.writer.into_inner().map_err(|why| PrepareError::local(&open.path, why))?;
            self.files.push(file.finish()?);
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(Vec<ShardInfo>, Vec<FileInfo>), PrepareError> {
        self.close().await?;
        Ok((self.shards, self.files))
    }
}

fn encode(batch: &RecordBatch, mut writers: Vec<ArrowColumnWriter>) -> Encoded {
    let mut next = writers.iter_mut();
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        for leaf in compute_leaves(field, column)? {
            if let Some(writer) = next.next() {
                writer.write(&leaf)?;
            }
        }
    }
    writers.into_iter().map(ArrowColumnWriter::close).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_many_but_neither_tiny_nor_larger_than_asked_for() {
        assert_eq!(shard_actions(10_000, 500_000), 2_000);
        assert_eq!(shard_actions(20_000_000, 500_000), 78_125);
        assert_eq!(shard_actions(10_000_000_000, 500_000), 500_000);
        assert_eq!(shard_actions(10_000_000_000, 100), 100);
    }
}
