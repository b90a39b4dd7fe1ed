//! Files -> record batches of the wanted columns.
//!
//! Parquet is scanned by DataFusion: projection, the filter's pruning of row groups, and row
//! groups read in parallel are its work. Text is cut into blocks of whole rows here, because a
//! log of a billion lines has bad ones: a block that does not parse is halved until the bad rows
//! stand alone, and those are rejected with their number. A row longer than the limit is refused
//! before it is held in memory. The SQL filter over text rows is DataFusion's too.
//!
//! Every file is read by itself, with its own schema: one part of a log may hold integer ids and
//! another text.

mod block;
mod filter;
mod parquet;
mod parse;
mod text;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt};
use twinspire_storage::{Operation, StorageError};

use crate::PrepareError;
use crate::input::{Format, InputFile};
use crate::names::nearest;
use crate::progress::Meter;
use crate::rejects::Rejects;

/// A column to read.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Where the job file names it: `log.columns.user`.
    pub(crate) field: String,
    /// Its name in the files.
    pub(crate) column: String,
    /// As what, in formats without types.
    pub(crate) read: ReadAs,
}

/// As what a column of a text format is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadAs {
    /// Text (or lists of text), whatever it looks like: ids keep their leading zeros.
    Text,
    /// Text, so that a bad value spoils its own column only; its own type when the filter
    /// compares it.
    Loose,
    /// Numbers (or lists of numbers).
    Numbers,
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) columns: Vec<Wanted>,
    pub(crate) filter: Option<String>,
}

/// Takes what is read, from several threads.
pub(crate) trait Sink: Send + Sync + 'static {
    /// `batch` has the columns of the request, in its order; `rows` their numbers in the file
    /// (from 1), when known.
    fn take(
        &self,
        file: &OpenFile,
        batch: &RecordBatch,
        rows: Option<&Int64Array>,
    ) -> Result<(), PrepareError>;
}

/// A file whose schema is known and has what is wanted.
pub(crate) struct OpenFile {
    pub(crate) file: InputFile,
    /// All its columns, with the types they are read as.
    pub(crate) schema: SchemaRef,
    /// Rows, when the file says so.
    pub(crate) rows: Option<u64>,
    /// Of each wanted column: its index in `schema`.
    pub(crate) wanted: Vec<usize>,
    /// Indices in `schema` that the filter reads.
    filtered: Vec<usize>,
}

impl OpenFile {
    /// Type of the i-th wanted column.
    pub(crate) fn data_type(&self, wanted: usize) -> &DataType {
        self.schema.field(self.wanted[wanted]).data_type()
    }

    /// Indices in `schema` to read, each once, ascending.
    fn read(&self) -> Vec<usize> {
        let mut indices: Vec<usize> = self.wanted.iter().chain(&self.filtered).copied().collect();
        indices.sort_unstable();
        indices.dedup();
        indices
    }

    /// From the columns of [`read`](OpenFile::read) to those of the request.
    fn projection(&self) -> Vec<usize> {
        let read = self.read();
        self.wanted.iter().map(|index| read.binary_search(index).unwrap_or_default()).collect()
    }

    pub(crate) fn unreadable(&self, why: impl std::fmt::Display) -> PrepareError {
        unreadable(&self.file, why)
    }
}

fn unreadable(file: &InputFile, why: impl std::fmt::Display) -> PrepareError {
    PrepareError::Unreadable {
        file: file.uri().into(),
        row: None,
        format: file.format.name(),
        why: first_line(&why.to_string()),
    }
}

/// What DataFusion says went wrong with a file: the store did not give it, or it is bad.
fn read_error(file: &InputFile, why: &DataFusionError) -> PrepareError {
    match store_error(why) {
        Some(error) => StorageError::from_store(file.uri(), Operation::Read, error).into(),
        None => unreadable(file, why.strip_backtrace()),
    }
}

/// The store's error among the causes of an error.
fn store_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a object_store::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>() {
            // Its `source` is that of the error inside, not that error.
            Some(outer) => outer.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Errors of libraries can be pages long.
fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(500).collect()
}

/// Reads files.
pub(crate) struct Source {
    context: SessionContext,
    request: Request,
    threads: usize,
    /// Most bytes of a row of text.
    row_limit: usize,
    meter: Meter,
    rejects: Arc<Rejects>,
    rows_read: AtomicU64,
    rows_kept: AtomicU64,
    stop: Arc<AtomicBool>,
}

impl Source {
    pub(crate) fn new(
        request: Request,
        threads: usize,
        row_limit: usize,
        meter: Meter,
        rejects: Arc<Rejects>,
        stop: Arc<AtomicBool>,
    ) -> Source {
        let mut config = SessionConfig::new().with_target_partitions(threads);
        // Names in a filter are columns as they are written, whatever their case.
        config.options_mut().sql_parser.enable_ident_normalization = false;
        let context = SessionContext::new_with_config(config);
        let (rows_read, rows_kept) = (AtomicU64::new(0), AtomicU64::new(0));
        Source { context, request, threads, row_limit, meter, rejects, rows_read, rows_kept, stop }
    }

    /// Rows read so far, bad and filtered ones included.
    pub(crate) fn rows_read(&self) -> u64 {
        self.rows_read.load(Ordering::Relaxed)
    }

    /// Rows that reached the sink.
    pub(crate) fn rows_kept(&self) -> u64 {
        self.rows_kept.load(Ordering::Relaxed)
    }

    /// Reads what the files say about themselves and checks that they have what is wanted.
    /// Files without a single row of text are left out.
    pub(crate) async fn open(&self, files: &[InputFile]) -> Result<Vec<Arc<OpenFile>>, PrepareError> {
        let opened: Vec<Option<OpenFile>> = futures::stream::iter(files.iter().cloned())
            .map(|file| self.open_one(file))
            .buffered(16)
            .try_collect()
            .await?;
        let opened: Vec<_> = opened.into_iter().flatten().map(Arc::new).collect();
        match (opened.is_empty(), files.first()) {
            (true, Some(first)) => Err(PrepareError::EmptyFile { file: first.uri().into() }),
            _ => Ok(opened),
        }
    }

    async fn open_one(&self, file: InputFile) -> Result<Option<OpenFile>, PrepareError> {
        if file.format == Format::Parquet {
            if file.size == 0 {
                return Err(PrepareError::EmptyFile { file: file.uri().into() });
            }
            let (schema, rows) = parquet::describe(&file).await?;
            return self.check(file, schema, Some(rows)).map(Some);
        }
        let Some(inferred) = text::describe(&file, self.row_limit).await? else { return Ok(None) };
        // Types of the filter's columns first: they decide how the others are read.
        let filtered = match &self.request.filter {
            Some(filter) => filter::columns(&self.context, filter, &file, &inferred)?,
            None => Vec::new(),
        };
        let schema = parse::schema_to_read(&inferred, &self.request.columns, &filtered);
        self.check(file, schema, None).map(Some)
    }

    fn check(&self, file: InputFile, schema: SchemaRef, rows: Option<u64>) -> Result<OpenFile, PrepareError> {
        let available = || schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
        let wanted = self.request.columns.iter().map(|wanted| {
            schema.index_of(&wanted.column).map_err(|_| PrepareError::MissingColumn {
                file: file.uri().into(),
                field: wanted.field.clone(),
                column: wanted.column.clone(),
                nearest: nearest(&wanted.column, available().iter().map(String::as_str)).map(str::to_owned),
                available: available(),
            })
        });
        let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
        let filtered = match &self.request.filter {
            Some(filter) => filter::columns(&self.context, filter, &file, &schema)?,
            None => Vec::new(),
        };
        Ok(OpenFile { file, schema, rows, wanted, filtered })
    }

    /// Reads all files into the sink.
    pub(crate) async fn scan(
        self: &Arc<Self>,
        files: &[Arc<OpenFile>],
        sink: Arc<dyn Sink>,
    ) -> Result<(), PrepareError> {
        // Many files: one a thread. Few: each by all threads.
        let apart = files.len() >= self.threads;
        let (at_once, within) = if apart { (self.threads, 1) } else { (1, self.threads) };
        futures::stream::iter(files.iter().cloned())
            .map(|file| {
                let (source, sink) = (Arc::clone(self), Arc::clone(&sink));
                let task = tokio::spawn(async move {
                    match file.file.format {
                        Format::Parquet => parquet::scan(&source, file, within, sink).await,
                        _ => text::scan(&source, file, within, sink).await,
                    }
                });
                async move { task.await.map_err(PrepareError::stopped)? }
            })
            .buffer_unordered(at_once)
            .try_collect::<Vec<()>>()
            .await
            .map(|_| ())
    }

    /// Hands a batch on.
    fn give(
        &self,
        file: &OpenFile,
        batch: &RecordBatch,
        rows: Option<&Int64Array>,
        sink: &dyn Sink,
    ) -> Result<(), PrepareError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(PrepareError::stopped("it was cancelled"));
        }
        self.rows_kept.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        sink.take(file, batch, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_store_is_found_however_it_is_wrapped() {
        let store = || object_store::Error::Generic { store: "S3", source: "503".into() };
        let io = std::io::Error::other(DataFusionError::from(store()));
        assert!(store_error(&DataFusionError::from(store())).is_some());
        assert!(store_error(&DataFusionError::from(io)).is_some());
        let inside = parquet_error(store());
        assert!(store_error(&DataFusionError::from(inside)).is_some());
        assert!(
            store_error(&DataFusionError::from(std::io::Error::other("corrupt deflate stream"))).is_none()
        );
    }

    fn parquet_error(error: object_store::Error) -> ::parquet::errors::ParquetError {
        ::parquet::errors::ParquetError::External(Box::new(error))
    }
}
