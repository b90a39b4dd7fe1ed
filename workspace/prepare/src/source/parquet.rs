//! Parquet files, scanned by DataFusion.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use object_store::ObjectStoreExt;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaDataReader};
use twinspire_storage::{Operation, StorageError};
use url::Url;

use super::{OpenFile, Sink, Source, filter, read_error, unreadable};
use crate::PrepareError;
use crate::input::InputFile;

/// What the end of the file says of it.
async fn footer(file: &InputFile) -> Result<ArrowReaderMetadata, PrepareError> {
    const TAIL: u64 = 8;
    let failed = |why: ParquetError| unreadable(file, why);
    let get = async |range: Range<u64>| {
        let got = file.location.store().get_range(&file.location.path(), range).await;
        got.map_err(|why| StorageError::from_store(file.uri(), Operation::Read, &why))
    };
    let Some(tail_start) = file.size.checked_sub(TAIL) else {
        return Err(unreadable(file, format!("{} bytes are no whole file", file.size)));
    };
    let tail = get(tail_start..file.size).await?;
    let length = FooterTail::try_from(&tail[..]).map_err(failed)?.metadata_length() as u64;
    let Some(start) = tail_start.checked_sub(length) else {
        return Err(unreadable(file, "its footer says it is longer than the file"));
    };
    let metadata = ParquetMetaDataReader::decode_metadata(&get(start..tail_start).await?).map_err(failed)?;
    ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()).map_err(failed)
}

/// Schema (text as views, which are cheap to slice) and number of rows.
pub(super) async fn describe(file: &InputFile) -> Result<(SchemaRef, u64), PrepareError> {
    let metadata = footer(file).await?;
    let fields: Vec<Field> = metadata
        .schema()
        .fields()
        .iter()
        .map(|field| {
            let viewed = match field.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Binary | DataType::LargeBinary => {
                    DataType::Utf8View
                }
                other => other.clone(),
            };
            Field::new(field.name(), viewed, true)
        })
        .collect();
    let rows = metadata.metadata().file_metadata().num_rows();
    Ok((Arc::new(Schema::new(fields)), u64::try_from(rows).unwrap_or_default()))
}

pub(super) async fn scan(
    source: &Arc<Source>,
    file: Arc<OpenFile>,
    threads: usize,
    sink: Arc<dyn Sink>,
) -> Result<(), PrepareError> {
    let failed = |why: datafusion::error::DataFusionError| file.unreadable(why.strip_backtrace());
    let context = with_threads(&source.context, threads);
    let url = register(&context, &file.file)?;
    let url = ListingTableUrl::try_new(url, None).map_err(failed)?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension("");
    let config =
        ListingTableConfig::new(url).with_listing_options(options).with_schema(Arc::clone(&file.schema));
    let table = ListingTable::try_new(config).map_err(failed)?;
    let mut frame = context.read_table(Arc::new(table)).map_err(failed)?;
    if let Some(condition) = &source.request.filter {
        let (condition, _) = filter::expression(&context, condition, &file.file, &file.schema)?;
        frame = frame.filter(condition).map_err(failed)?;
    }
    // Each column once, though it may be wanted twice.
    let mut once = file.wanted.clone();
    once.sort_unstable();
    once.dedup();
    let names: Vec<&str> = once.iter().map(|index| file.schema.field(*index).name().as_str()).collect();
    let projection: Vec<usize> =
        file.wanted.iter().map(|index| once.binary_search(index).unwrap_or_default()).collect();
    let streams = frame.select_columns(&names).map_err(failed)?;
    let streams = streams.execute_stream_partitioned().await.map_err(failed)?;

    let told = Arc::new(Told::default());
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            let (source, file, sink) = (Arc::clone(source), Arc::clone(&file), Arc::clone(&sink));
            let (projection, told) = (projection.clone(), Arc::clone(&told));
            tokio::spawn(async move {
                while let Some(batch) = stream.next().await {
                    let batch = batch
                        .map_err(|why| read_error(&file.file, &why))?
                        .project(&projection)
                        .map_err(|why| file.unreadable(why))?;
                    source.give(&file, &batch, None, sink.as_ref())?;
                    told.tell(&source, &file, batch.num_rows() as u64);
                }
                Ok(())
            })
        })
        .collect();
    let outcome = all(tasks).await;
    told.rest(source, &file);
    outcome
}

/// Waits for all of them; the first error stops the others.
pub(super) async fn all(
    tasks: Vec<tokio::task::JoinHandle<Result<(), PrepareError>>>,
) -> Result<(), PrepareError> {
    let stops: Vec<_> = tasks.iter().map(tokio::task::JoinHandle::abort_handle).collect();
    for task in tasks {
        let outcome = task.await.map_err(PrepareError::stopped).and_then(|outcome| outcome);
        if outcome.is_err() {
            stops.iter().for_each(|stop| stop.abort());
            return outcome;
        }
    }
    Ok(())
}

/// What of a file the meter has been told: bytes by the share of rows seen, as DataFusion does
/// not say which bytes it reads.
#[derive(Default)]
struct Told {
    rows: AtomicU64,
    bytes: AtomicU64,
}

impl Told {
    fn tell(&self, source: &Source, file: &OpenFile, rows: u64) {
        let all = file.rows.unwrap_or_default().max(1);
        let bytes = (u128::from(file.file.size) * u128::from(rows) / u128::from(all)) as u64;
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        source.rows_read.fetch_add(rows, Ordering::Relaxed);
        source.meter.add(rows, bytes);
    }

    /// Rows the filter left out, and what rounding left.
    fn rest(&self, source: &Source, file: &OpenFile) {
        let rows = file.rows.unwrap_or_default().saturating_sub(self.rows.load(Ordering::Relaxed));
        source.rows_read.fetch_add(rows, Ordering::Relaxed);
        source.meter.add(rows, file.file.size.saturating_sub(self.bytes.load(Ordering::Relaxed)));
    }
}

fn with_threads(context: &SessionContext, threads: usize) -> SessionContext {
    let config = context.copied_config().with_target_partitions(threads);
    SessionContext::new_with_config_rt(config, context.runtime_env())
}

/// Makes the file's store known to DataFusion; the file's url there.
fn register(context: &SessionContext, file: &InputFile) -> Result<Url, PrepareError> {
    let bad = |why: String| PrepareError::Unreachable { uri: file.uri().into(), why };
    if let Some(path) = file.location.local_path() {
        let url = Url::from_file_path(&path).map_err(|()| bad("it is no absolute path".into()))?;
        context.register_object_store(&url, file.location.store());
        return Ok(url);
    }
    let mut url = Url::parse(file.uri()).map_err(|why| bad(why.to_string()))?;
    url.set_path(file.location.path().as_ref());
    context.register_object_store(&url, file.location.store());
    Ok(url)
}
