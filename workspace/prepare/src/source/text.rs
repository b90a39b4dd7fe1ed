//! CSV and JSON lines: bytes -> blocks of whole rows -> batches.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::Int64Array;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use bytes::{Bytes, BytesMut};
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use datafusion::physical_expr::PhysicalExpr;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStoreExt;

use super::block::{RowEnds, TooLong};
use super::parse::{self, Parsed};
use super::{OpenFile, Sink, Source, filter, parquet, read_error};
use crate::PrepareError;
use crate::input::{Compression, Format, InputFile};

/// Bytes fetched at once.
const FETCH: u64 = 4 << 20;
/// Bytes of a block, about.
const BLOCK: usize = 1 << 20;
/// Bytes looked at to learn columns and types.
const HEAD: usize = 1 << 20;

/// The columns with the types they seem to have; `None` when there is not a row in it.
pub(super) async fn describe(file: &InputFile, row_limit: usize) -> Result<Option<SchemaRef>, PrepareError> {
    let mut bytes = content(file, |_| ());
    let mut ends = RowEnds::new(quotes(file), row_limit);
    let (mut head, mut whole) = (Vec::new(), 0);
    while let Some(chunk) = bytes.next().await {
        let before = head.len();
        head.extend_from_slice(&chunk?);
        let looked = ends.look(&head[before..], |end, _| whole = before + end);
        looked.map_err(|long| too_long(file, long.0, row_limit))?;
        if head.len() >= HEAD && whole > 0 {
            return parse::infer(file, &head[..whole]);
        }
    }
    parse::infer(file, &head)
}

pub(super) async fn scan(
    source: &Arc<Source>,
    file: Arc<OpenFile>,
    threads: usize,
    sink: Arc<dyn Sink>,
) -> Result<(), PrepareError> {
    let read = file.read();
    let condition = match &source.request.filter {
        Some(text) => {
            let schema = Arc::new(file.schema.project(&read).map_err(|why| file.unreadable(why))?);
            Some(filter::expression(&source.context, text, &file.file, &schema)?.1)
        }
        None => None,
    };
    let work = Arc::new(Work {
        source: Arc::clone(source),
        condition,
        projection: file.projection(),
        read,
        file: Arc::clone(&file),
        sink,
    });
    let meter = source.meter.clone();
    let mut bytes = content(&file.file, move |fetched| meter.add(0, fetched));
    let mut blocks = Blocks::new(quotes(&file.file), source.row_limit);
    let mut tasks = std::collections::VecDeque::new();
    loop {
        let chunk = bytes.next().await.transpose()?;
        let last = chunk.is_none();
        let block = match chunk {
            Some(chunk) => {
                blocks.push(&chunk).map_err(|long| too_long(&file.file, long.0, source.row_limit))?
            }
            None => blocks.rest(),
        };
        if let Some((block, first_row)) = block {
            if tasks.len() > threads {
                parquet::all(tasks.pop_front().into_iter().collect()).await?;
            }
            let work = Arc::clone(&work);
            tasks.push_back(tokio::spawn(async move { work.block(&block, first_row) }));
        }
        if last {
            return parquet::all(tasks.into_iter().collect()).await;
        }
    }
}

/// Cuts what is fetched into blocks of whole rows, and a CSV file's header off.
struct Blocks {
    held: BytesMut,
    /// Of the held bytes, those of whole rows.
    whole: usize,
    ends: RowEnds,
    /// The header is still to come.
    header: bool,
    /// 1 after the header has gone.
    headers: u64,
    /// Number of the first row that is held.
    first_row: u64,
}

impl Blocks {
    fn new(csv: bool, limit: usize) -> Blocks {
        Blocks {
            held: BytesMut::new(),
            whole: 0,
            ends: RowEnds::new(csv, limit),
            header: csv,
            headers: 0,
            first_row: 1,
        }
    }

    /// A block and the number of its first row, when enough has come together.
    fn push(&mut self, chunk: &[u8]) -> Result<Option<(Bytes, u64)>, TooLong> {
        let before = self.held.len();
        self.held.extend_from_slice(chunk);
        let (mut header, mut whole) = (None, self.whole);
        self.ends.look(&self.held[before..], |end, rows| {
            whole = before + end;
            if rows == 1 && header.is_none() {
                header = Some(whole);
            }
        })?;
        self.whole = whole;
        if let Some(end) = header.filter(|_| self.header) {
            let _ = self.held.split_to(end);
            self.whole -= end;
            (self.header, self.headers) = (false, 1);
        }
        Ok((self.whole >= BLOCK && !self.header).then(|| {
            let block = self.held.split_to(std::mem::take(&mut self.whole)).freeze();
            let first = self.first_row;
            self.first_row = self.ends.rows() - self.headers + 1;
            (block, first)
        }))
    }

    /// What is left at the end of the file.
    fn rest(&mut self) -> Option<(Bytes, u64)> {
        let rest = self.held.split().freeze();
        (!self.header && !rest.is_empty()).then_some((rest, self.first_row))
    }
}

/// What every block of a file goes through.
struct Work {
    source: Arc<Source>,
    file: Arc<OpenFile>,
    read: Vec<usize>,
    projection: Vec<usize>,
    condition: Option<Arc<dyn PhysicalExpr>>,
    sink: Arc<dyn Sink>,
}

impl Work {
    fn block(&self, bytes: &[u8], first_row: u64) -> Result<(), PrepareError> {
        let file = &self.file;
        let mut parsed = Parsed::default();
        parse::rows(file, &self.read, bytes, first_row, &mut parsed);
        for bad in &parsed.bad {
            self.source.rejects.unreadable(file.file.uri(), bad.row, &bad.text, &bad.why);
        }
        let good: u64 = parsed.batches.iter().map(|(batch, _)| batch.num_rows() as u64).sum();
        let rows = good + parsed.bad.len() as u64;
        self.source.rows_read.fetch_add(rows, Ordering::Relaxed);
        self.source.meter.add(rows, 0);
        for (batch, first) in parsed.batches {
            let numbers = Int64Array::from_iter_values(first as i64..first as i64 + batch.num_rows() as i64);
            let failed = |why: arrow::error::ArrowError| file.unreadable(why);
            let (batch, numbers) = match &self.condition {
                Some(condition) => {
                    let keep = filter::keep(file, condition.as_ref(), &batch)?;
                    let numbers = arrow::compute::filter(&numbers, &keep).map_err(failed)?;
                    let numbers = Int64Array::from(numbers.to_data());
                    (filter_record_batch(&batch, &keep).map_err(failed)?, numbers)
                }
                None => (batch, numbers),
            };
            let batch = batch.project(&self.projection).map_err(failed)?;
            self.source.give(file, &batch, Some(&numbers), self.sink.as_ref())?;
        }
        Ok(())
    }
}

fn quotes(file: &InputFile) -> bool {
    matches!(file.format, Format::Csv(_))
}

fn too_long(file: &InputFile, row: u64, limit: usize) -> PrepareError {
    // The header of a CSV file is no row.
    let row = if quotes(file) { row.saturating_sub(1) } else { row };
    PrepareError::LineTooLong { file: file.uri().into(), row, limit }
}

/// The file's bytes, decompressed, without a byte-order mark; `fetched` is told of the bytes as
/// they lie in the store.
fn content(
    file: &InputFile,
    fetched: impl Fn(u64) + Send + 'static,
) -> BoxStream<'static, Result<Bytes, PrepareError>> {
    let (store, path, size) = (file.location.store(), file.location.path(), file.size);
    let ranges = (0..size.div_ceil(FETCH)).map(move |i| i * FETCH..((i + 1) * FETCH).min(size));
    let raw = futures::stream::iter(ranges)
        .map(move |range| {
            let (store, path) = (Arc::clone(&store), path.clone());
            async move { store.get_range(&path, range).await }
        })
        .buffered(2)
        .inspect_ok(move |bytes| fetched(bytes.len() as u64))
        .map_err(datafusion::error::DataFusionError::from)
        .boxed();
    let compression = match file.compression {
        Compression::None => FileCompressionType::UNCOMPRESSED,
        Compression::Gzip => FileCompressionType::GZIP,
        Compression::Zstd => FileCompressionType::ZSTD,
        Compression::Bzip2 => FileCompressionType::BZIP2,
    };
    let shown = file.clone();
    let plain = match compression.convert_stream(raw) {
        Ok(plain) => plain,
        Err(why) => futures::stream::once(async move { Err(why) }).boxed(),
    };
    let mut start = true;
    plain
        .map(move |chunk| {
            let mut chunk = chunk.map_err(|why| read_error(&shown, &why))?;
            if std::mem::take(&mut start) && chunk.starts_with(b"\xef\xbb\xbf") {
                let _ = chunk.split_to(3);
            }
            Ok(chunk)
        })
        .boxed()
}
