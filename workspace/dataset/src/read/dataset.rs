//! A dataset, opened.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use twinspire_storage::Location;

use super::cache::ShardCache;
use super::columns::Columns;
use super::items::ItemTable;
use super::parquet_file::ParquetFile;
use super::shard::{self, Shard};
use crate::error::DatasetError;
use crate::format::{FileInfo, ITEMS, MANIFEST, Manifest, ManifestFile, Notes, items};

/// Decoded shards are kept up to this many bytes, unless said otherwise.
const CACHE_BYTES: usize = 256 << 20;
/// Bytes of a file that are checksummed at a time.
const CHECKSUM_BYTES: u64 = 8 << 20;
/// Items decoded at a time.
const ITEM_ROWS: usize = 8 << 10;

/// A dataset, opened. Cheap to clone; clones share decoded shards.
#[derive(Clone)]
pub struct Dataset {
    inner: Arc<Inner>,
}

struct Inner {
    location: Location,
    manifest: Manifest,
    notes: Notes,
    files: Mutex<HashMap<String, ParquetFile>>,
    shards: ShardCache,
}

impl Dataset {
    /// Opens the dataset at a location: reads its manifest and checks that every file is there in
    /// its full size.
    pub async fn open(location: Location) -> Result<Dataset, DatasetError> {
        Dataset::open_with_cache(location, CACHE_BYTES).await
    }

    /// [`Dataset::open`], keeping decoded shards up to `cache_bytes`.
    pub async fn open_with_cache(location: Location, cache_bytes: usize) -> Result<Dataset, DatasetError> {
        let json = match location.get(MANIFEST).await {
            Ok(json) => json,
            Err(error) if error.is_not_found() => {
                return Err(DatasetError::NotADataset { place: location.uri().into() });
            }
            Err(error) => return Err(error.into()),
        };
        let manifest = Manifest::from_json(location.uri(), &json)?;
        let notes = Notes::from_json(location.uri(), &json)?;
        check_sizes(&location, &manifest.files).await?;
        let (files, shards) = (Mutex::default(), ShardCache::new(cache_bytes));
        Ok(Dataset { inner: Arc::new(Inner { location, manifest, notes, files, shards }) })
    }

    /// What it holds.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// What its owner should know.
    pub fn notes(&self) -> &Notes {
        &self.inner.notes
    }

    /// The whole of its `manifest.json`.
    pub fn manifest_file(&self) -> ManifestFile<'_> {
        ManifestFile { manifest: self.manifest(), notes: self.notes() }
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.inner.location
    }

    /// A shard, decoded, without user ids; from memory if it is there.
    pub async fn shard(&self, number: usize) -> Result<Arc<Shard>, DatasetError> {
        self.inner.shards.get(number, self.read_shard(number, false)).await
    }

    /// A shard with its user ids, which training has no use for. Always read.
    pub async fn shard_with_user_ids(&self, number: usize) -> Result<Arc<Shard>, DatasetError> {
        self.read_shard(number, true).await.map(Arc::new)
    }

    /// The number of the shard that holds a row, which must be one of the dataset's.
    pub fn shard_of(&self, row: u64) -> usize {
        self.manifest().shards.partition_point(|shard| shard.first_row <= row).saturating_sub(1)
    }

    /// All items.
    pub async fn items(&self) -> Result<ItemTable, DatasetError> {
        let manifest = self.manifest();
        let names = [items::ITEM_ID, items::COUNT, items::POSITIVES];
        let columns: Vec<&str> =
            names.into_iter().chain(manifest.features.iter().map(|feature| feature.name.as_str())).collect();
        let mut table = ItemTable::new(&manifest.features);
        let file = self.file(ITEMS).await?;
        file.read(None, &columns, ITEM_ROWS, |batch| table.append(&Columns { file: ITEMS, batch: &batch }))
            .await?;
        if table.len() as u64 != manifest.items {
            let why = format!("the file has {} rows, the manifest says {}", table.len(), manifest.items);
            return Err(DatasetError::BadRow { file: ITEMS.into(), row: table.len() as u64, why });
        }
        Ok(table)
    }

    /// Reads every file whole and compares checksums.
    pub async fn verify(&self) -> Result<(), DatasetError> {
        for file in &self.manifest().files {
            let mut hasher = crc32fast::Hasher::new();
            let mut at = 0;
            while at < file.bytes {
                let end = (at + CHECKSUM_BYTES).min(file.bytes);
                hasher.update(&self.inner.location.get_range(&file.name, at..end).await?);
                at = end;
            }
            let found = hasher.finalize();
            if found != file.crc32 {
                return Err(DatasetError::Checksum { file: file.name.clone(), found, expected: file.crc32 });
            }
        }
        Ok(())
    }

    async fn read_shard(&self, number: usize, user_ids: bool) -> Result<Shard, DatasetError> {
        let manifest = self.manifest();
        let info = &manifest.shards[number];
        let file = self.file(&info.file).await?;
        let row_group = info.row_group as usize;
        let Some(rows) = file.rows(row_group) else {
            let why = format!("there is no row group {row_group}");
            return Err(DatasetError::BadRow { file: info.file.clone(), row: info.first_row, why });
        };
        let columns = shard::columns(manifest, user_ids);
        let mut batches = Vec::with_capacity(1);
        file.read(Some(vec![row_group]), &columns, rows, |batch| {
            batches.push(batch);
            Ok(())
        })
        .await?;
        let batch = match batches.len() {
            1 => batches.remove(0),
            _ => {
                let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), RecordBatch::schema);
                concat_batches(&schema, &batches).map_err(|error| DatasetError::Parquet {
                    file: info.file.clone(),
                    source: error.into(),
                })?
            }
        };
        Shard::decode(manifest, info, &batch, user_ids)
    }

    async fn file(&self, name: &str) -> Result<ParquetFile, DatasetError> {
        let known = |file: &ParquetFile| file.clone();
        if let Some(file) =
            self.inner.files.lock().unwrap_or_else(PoisonError::into_inner).get(name).map(known)
        {
            return Ok(file);
        }
        let info = self.manifest().files.iter().find(|file| file.name == name).ok_or_else(|| {
            let why = format!("`files` does not list {name}");
            DatasetError::BadManifest { place: self.inner.location.uri().into(), why }
        })?;
        let file = ParquetFile::open(&self.inner.location, info).await?;
        self.inner.files.lock().unwrap_or_else(PoisonError::into_inner).insert(name.into(), file.clone());
        Ok(file)
    }
}

async fn check_sizes(location: &Location, files: &[FileInfo]) -> Result<(), DatasetError> {
    let found: HashMap<String, u64> =
        location.list("").await?.into_iter().map(|entry| (entry.name, entry.size)).collect();
    for file in files {
        let found = match found.get(&file.name) {
            Some(size) if *size == file.bytes => continue,
            Some(size) => format!("has {size} bytes"),
            None => "is missing".into(),
        };
        let file_name = location.join(&file.name).uri().to_owned();
        return Err(DatasetError::Truncated { file: file_name, found, expected: file.bytes });
    }
    Ok(())
}
