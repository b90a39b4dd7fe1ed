//! Parquet files in any storage.

use std::ops::Range;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt, TryStreamExt};
use object_store::{OBJECT_STORE_COALESCE_DEFAULT, coalesce_ranges};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use twinspire_storage::{Location, StorageError};

use crate::error::DatasetError;
use crate::format::FileInfo;

/// The footer is fetched with one request when it is no longer than this.
const FOOTER_HINT: usize = 64 << 10;

/// A Parquet file whose footer has been read. Cheap to clone.
#[derive(Clone)]
pub(super) struct ParquetFile {
    bytes: FileBytes,
    footer: ArrowReaderMetadata,
}

impl ParquetFile {
    /// Reads the footer.
    pub(super) async fn open(directory: &Location, file: &FileInfo) -> Result<ParquetFile, DatasetError> {
        let mut bytes =
            FileBytes { directory: directory.clone(), name: file.name.as_str().into(), size: file.bytes };
        // Types are taken from Parquet itself, not from what an Arrow writer noted beside it, so
        // that a column has one type whoever wrote it (Utf8, never Utf8View or LargeUtf8).
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        match ArrowReaderMetadata::load_async(&mut bytes, options).await {
            Ok(footer) => Ok(ParquetFile { bytes, footer }),
            Err(error) => Err(bytes.explain(error)),
        }
    }

    /// Rows of a row group; `None` when there is no such one.
    pub(super) fn rows(&self, row_group: usize) -> Option<usize> {
        self.footer.metadata().row_groups().get(row_group).map(|group| group.num_rows() as usize)
    }

    /// Reads columns (those of them there are) of row groups, handing each batch of at most
    /// `batch_rows` to `each`.
    pub(super) async fn read(
        &self,
        row_groups: Option<Vec<usize>>,
        columns: &[&str],
        batch_rows: usize,
        mut each: impl FnMut(RecordBatch) -> Result<(), DatasetError>,
    ) -> Result<(), DatasetError> {
        let schema = self.footer.parquet_schema();
        let fields = schema.root_schema().get_fields().iter().enumerate();
        let roots = fields.filter(|(_, field)| columns.contains(&field.name())).map(|(at, _)| at);
        let mask = ProjectionMask::roots(schema, roots);
        let mut builder =
            ParquetRecordBatchStreamBuilder::new_with_metadata(self.bytes.clone(), self.footer.clone())
                .with_projection(mask)
                .with_batch_size(batch_rows.max(1));
        if let Some(row_groups) = row_groups {
            builder = builder.with_row_groups(row_groups);
        }
        let mut batches = builder.build().map_err(|error| self.bytes.explain(error))?;
        while let Some(batch) = batches.try_next().await.map_err(|error| self.bytes.explain(error))? {
            each(batch)?;
        }
        Ok(())
    }
}

/// A file's bytes, fetched as they are asked for.
#[derive(Clone)]
struct FileBytes {
    directory: Location,
    name: Arc<str>,
    size: u64,
}

impl FileBytes {
    fn fetch(&self, range: Range<u64>) -> impl Future<Output = Result<Bytes, ParquetError>> + Send + use<> {
        let (directory, name) = (self.directory.clone(), self.name.clone());
        async move { directory.get_range(&name, range).await }
            .map_err(|error| ParquetError::External(Box::new(error)))
    }

    /// A storage failure that passed through the Parquet reader is a storage failure still.
    fn explain(&self, error: ParquetError) -> DatasetError {
        let damaged = |source| DatasetError::Parquet { file: self.name.to_string(), source };
        match error {
            ParquetError::External(source) => match source.downcast::<StorageError>() {
                Ok(error) => DatasetError::Storage(*error),
                Err(source) => damaged(ParquetError::External(source)),
            },
            error => damaged(error),
        }
    }
}

impl AsyncFileReader for FileBytes {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.fetch(range).boxed()
    }

    fn get_byte_ranges(
        &mut self,
        ranges: Vec<Range<u64>>,
    ) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move { coalesce_ranges(&ranges, |range| self.fetch(range), OBJECT_STORE_COALESCE_DEFAULT).await }.boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        let size = self.size;
        async move {
            let reader = ParquetMetaDataReader::new()
                .with_arrow_reader_options(options)
                .with_prefetch_hint(Some(FOOTER_HINT));
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}
