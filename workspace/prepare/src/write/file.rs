//! Files that know their size and checksum.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use parquet::basic::Compression;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use twinspire_dataset::format::FileInfo;

use crate::PrepareError;

/// A file being written.
pub(crate) struct CheckedFile {
    name: String,
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    crc: crc32fast::Hasher,
}

impl CheckedFile {
    pub(crate) fn create(dir: &Path, name: &str) -> Result<CheckedFile, PrepareError> {
        let path = dir.join(name);
        let file = File::create_new(&path).map_err(|why| PrepareError::local(&path, why))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(CheckedFile { name: name.into(), path, file, bytes: 0, crc: crc32fast::Hasher::new() })
    }

    /// An error of what writes to this file.
    pub(crate) fn failed(&self, why: impl std::fmt::Display) -> PrepareError {
        PrepareError::local(&self.path, why)
    }

    /// Makes it durable.
    pub(crate) fn finish(self) -> Result<FileInfo, PrepareError> {
        let CheckedFile { name, path, file, bytes, crc } = self;
        let file = file.into_inner().map_err(|why| PrepareError::local(&path, why.error()))?;
        file.sync_all().map_err(|why| PrepareError::local(&path, why))?;
        Ok(FileInfo { name, bytes, crc32: crc.finalize() })
    }
}

impl Write for CheckedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// How all Parquet files of a dataset are written: quick to decode above all. Values hardly repeat
/// within a page, so dictionaries are off where they are not asked for.
pub(crate) fn parquet_properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::LZ4_RAW)
        .set_dictionary_enabled(false)
        .set_created_by(format!("twinspire {}", env!("CARGO_PKG_VERSION")))
}
