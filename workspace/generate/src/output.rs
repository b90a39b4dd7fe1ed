//! The directory that is written: nothing in it looks finished before `generated.json` is there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use crate::spec::{GenerateSpec, Summary};
use crate::{GenerateError, catalogue};

/// What was generated here; written last.
const MARK: &str = "generated.json";

#[derive(Serialize, Deserialize)]
struct Mark {
    spec: GenerateSpec,
    summary: Summary,
}

/// What the directory was generated from, when it was.
pub(crate) fn spec_of(dir: &Path) -> Option<GenerateSpec> {
    mark(dir).map(|mark| mark.spec)
}

fn mark(dir: &Path) -> Option<Mark> {
    serde_json::from_slice(&fs::read(dir.join(MARK)).ok()?).ok()
}

pub(crate) struct Output {
    dir: PathBuf,
}

impl Output {
    pub(crate) fn open(dir: &Path) -> Result<Output, GenerateError> {
        fs::create_dir_all(dir).map_err(|why| GenerateError::write(dir, why))?;
        Ok(Output { dir: dir.into() })
    }

    /// The summary, when the directory already holds the output of this spec.
    pub(crate) fn existing(&self, spec: &GenerateSpec) -> Option<Summary> {
        let same = |mark: &Mark| GenerateSpec { threads: spec.threads, ..mark.spec.clone() } == *spec;
        mark(&self.dir).filter(same).map(|mark| mark.summary)
    }

    /// Removes what an earlier (perhaps interrupted) run left; refuses when there is anything else.
    pub(crate) fn clear(&self) -> Result<(), GenerateError> {
        let entries = fs::read_dir(&self.dir).map_err(|why| GenerateError::write(&self.dir, why))?;
        let names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let ours = |name: &str| name == MARK || name.ends_with(PARTIAL) || finished_name(name);
        let marked = names.iter().any(|name| name == MARK || name.ends_with(PARTIAL));
        if names.iter().any(|name| finished_name(name)) && !marked {
            return Err(GenerateError::InTheWay { dir: self.dir.clone() });
        }
        // The mark goes first: without it nothing here counts as finished.
        for name in names.iter().filter(|name| *name == MARK).chain(names.iter().filter(|name| *name != MARK))
        {
            let path = self.dir.join(name);
            if ours(name) {
                fs::remove_file(&path).map_err(|why| GenerateError::write(&path, why))?;
            }
        }
        Ok(())
    }

    pub(crate) fn parquet(&self, name: &str, schema: SchemaRef) -> Result<ParquetFile, GenerateError> {
        let path = self.dir.join(format!("{name}{PARTIAL}"));
        let file = File::create(&path).map_err(|why| GenerateError::write(&path, why))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(format!("twinspire-generate {}", env!("CARGO_PKG_VERSION")))
            .set_max_row_group_row_count(Some(250_000))
            .build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties))
            .map_err(|why| GenerateError::write(&path, why))?;
        Ok(ParquetFile { path, writer })
    }

    /// Gives the files their names and marks the directory as finished.
    pub(crate) fn finish(&self, spec: &GenerateSpec, summary: &Summary) -> Result<(), GenerateError> {
        let entries = fs::read_dir(&self.dir).map_err(|why| GenerateError::write(&self.dir, why))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if let Some(name) = name.strip_suffix(PARTIAL) {
                fs::rename(&path, self.dir.join(name)).map_err(|why| GenerateError::write(&path, why))?;
            }
        }
        let mark = Mark { spec: spec.clone(), summary: summary.clone() };
        let path = self.dir.join(MARK);
        let text = serde_json::to_vec_pretty(&mark).map_err(|why| GenerateError::write(&path, why))?;
        fs::write(&path, text).map_err(|why| GenerateError::write(&path, why))
    }
}

const PARTIAL: &str = ".partial";

fn finished_name(name: &str) -> bool {
    name == catalogue::FILE || (name.starts_with("events-") && name.ends_with(".parquet"))
}

/// A Parquet file being written under a name that no glob of the job file matches.
pub(crate) struct ParquetFile {
    path: PathBuf,
    writer: ArrowWriter<File>,
}

impl ParquetFile {
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), GenerateError> {
        self.writer.write(batch).map_err(|why| GenerateError::write(&self.path, why))
    }

    /// Closes the file; its size.
    pub(crate) fn close(self) -> Result<u64, GenerateError> {
        let file = self.writer.into_inner().map_err(|why| GenerateError::write(&self.path, why))?;
        file.metadata().map(|metadata| metadata.len()).map_err(|why| GenerateError::write(&self.path, why))
    }
}
