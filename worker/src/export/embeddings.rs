//! Embeddings as Parquet: an id and a fixed-size list of f32.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, FixedSizeListArray, Float32Array, StringArray},
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    record_batch::RecordBatch,
};
use object_store::buffered::BufWriter;
use parquet::{
    arrow::AsyncArrowWriter, basic::Compression, errors::ParquetError, file::properties::WriterProperties,
};
use tch::{Device, Kind, Tensor};
use twinspire_dataset::{UserReader, UserReaderSettings};
use twinspire_proto::v1::Progress;
use twinspire_storage::Location;

use crate::{
    model::Loaded,
    task::{Reporter, Task, TaskError},
};

/// Rows written at once.
const ROWS: usize = 8192;
/// Users encoded at once.
const BATCH_USERS: usize = 512;

/// Writes `item_id, embedding`: item i is row i of `embeddings` `[items, dim]`.
pub(super) fn items(
    task: &Task,
    place: &Location,
    name: &str,
    ids: &[String],
    embeddings: &Tensor,
) -> Result<(), TaskError> {
    let mut file = EmbeddingFile::create(place, name, "item_id", embeddings.size()[1])?;
    for (chunk, ids) in ids.chunks(ROWS).enumerate() {
        let rows = embeddings.narrow(0, (chunk * ROWS) as i64, ids.len() as i64);
        task.block_on(file.write(ids, &rows))??;
    }
    task.block_on(file.close())?
}

/// Writes `user_id, embedding`: of every user after its newest action, in dataset order by batch.
pub(super) fn users(
    task: &Task,
    place: &Location,
    name: &str,
    loaded: &Loaded,
    items: &Tensor,
) -> Result<(), TaskError> {
    let model = loaded.trainer.model();
    let total = loaded.dataset.manifest().users;
    let settings = UserReaderSettings::export(task.spec.towers.user.max_actions as usize, BATCH_USERS);
    let mut reader = UserReader::start(&loaded.dataset, 0..total, settings)?;
    let mut file = EmbeddingFile::create(place, name, "user_id", items.size()[1])?;
    let mut progress = Reporter::new(&task.link);
    let mut done = 0;
    while let Some(batch) = reader.next()? {
        if batch.tokens.users() > 0 {
            let embeddings = model.encode_users(&batch.tokens, items); // [users, dim]
            task.block_on(file.write(&batch.user_ids, &embeddings))??;
        }
        done += batch.rows.len() as u64;
        progress.report(|| Progress {
            stage: "writing user embeddings".into(),
            done,
            total,
            unit: "users".into(),
            training: None,
        });
    }
    task.block_on(file.close())?
}

/// A file that is there when it is closed, and not before.
struct EmbeddingFile {
    writer: AsyncArrowWriter<BufWriter>,
    schema: Arc<Schema>,
    dim: i32,
    uri: String,
}

impl EmbeddingFile {
    fn create(place: &Location, name: &str, id: &str, dim: i64) -> Result<EmbeddingFile, TaskError> {
        let target = place.join(name);
        let dim = i32::try_from(dim).map_err(|why| TaskError::panic(why.to_string()))?;
        let schema = Arc::new(Schema::new(vec![
            Field::new(id, DataType::Utf8, false),
            Field::new("embedding", list(dim), false),
        ]));
        let object = BufWriter::new(target.store(), target.path());
        // Embeddings are noise to a compressor.
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_dictionary_enabled(false)
            .build();
        let uri = target.uri().to_owned();
        let writer = AsyncArrowWriter::try_new(object, Arc::clone(&schema), Some(properties))
            .map_err(|why| cannot_write(&uri, &why))?;
        Ok(EmbeddingFile { writer, schema, dim, uri })
    }

    async fn write(&mut self, ids: &[String], embeddings: &Tensor) -> Result<(), TaskError> {
        let flat = embeddings.to_device(Device::Cpu).to_kind(Kind::Float).contiguous();
        let mut values = vec![0f32; flat.numel()];
        flat.f_copy_data(&mut values, flat.numel()).map_err(twinspire_towers::TowersError::from)?;
        let batch = self.batch(ids, values).map_err(|why| cannot_write(&self.uri, &why.into()))?;
        self.writer.write(&batch).await.map_err(|why| cannot_write(&self.uri, &why))
    }

    fn batch(&self, ids: &[String], values: Vec<f32>) -> Result<RecordBatch, ArrowError> {
        let item = Arc::new(Field::new_list_field(DataType::Float32, false));
        let values: ArrayRef = Arc::new(Float32Array::from(values));
        let embeddings = FixedSizeListArray::try_new(item, self.dim, values, None)?;
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values(ids));
        RecordBatch::try_new(Arc::clone(&self.schema), vec![ids, Arc::new(embeddings)])
    }

    async fn close(self) -> Result<(), TaskError> {
        let EmbeddingFile { writer, uri, .. } = self;
        writer.close().await.map(|_| ()).map_err(|why| cannot_write(&uri, &why))
    }
}

fn list(dim: i32) -> DataType {
    DataType::FixedSizeList(Arc::new(Field::new_list_field(DataType::Float32, false)), dim)
}

fn cannot_write(uri: &str, why: &ParquetError) -> TaskError {
    TaskError::file(format_args!("cannot write {uri}"), why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use arrow::array::{Array, AsArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    #[tokio::test]
    async fn embeddings_are_read_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let place = Location::local(dir.path()).unwrap();
        let embeddings = Tensor::from_slice(&[1f32, 2., 3., 4., 5., 6.]).view([2, 3]);
        let mut file = EmbeddingFile::create(&place, ITEMS, "item_id", 3).unwrap();
        file.write(&["a".into(), "b".into()], &embeddings).await.unwrap();
        assert!(!dir.path().join(ITEMS).exists(), "a file is there when it is whole");
        file.close().await.unwrap();

        let file = std::fs::File::open(dir.path().join(ITEMS)).unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batch = reader.next().unwrap().unwrap();
        assert_eq!(batch.column(0).as_string::<i32>().value(1), "b");
        let second = batch.column(1).as_fixed_size_list().value(1);
        let second = second.as_any().downcast_ref::<Float32Array>().unwrap();
        assert_eq!(second.values().as_ref(), [4., 5., 6.]);
    }

    const ITEMS: &str = "item-embeddings.parquet";
}
