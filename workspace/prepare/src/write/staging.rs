//! Where a dataset is built, so that nothing half-done looks finished.
//!
//! Files are written to a directory of their own beside the datasets (`.{fingerprint}-….partial`;
//! for object storage in the machine's temporary directory) that is locked while its process
//! lives. When all are there, with the manifest, the directory is renamed; to object storage they
//! are sent with the manifest last. What a killed run left is not locked, and the next run removes
//! it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use object_store::buffered::BufWriter;
use tokio::io::AsyncWriteExt;
use twinspire_dataset::format::{FileInfo, MANIFEST};
use twinspire_storage::Location;

use crate::PrepareError;

const SUFFIX: &str = ".partial";
const LOCK: &str = "lock";
const SPILL: &str = "spill";
/// A directory is without a lock for an instant; when it is older than this, its run is dead.
const WITHOUT_LOCK: std::time::Duration = std::time::Duration::from_secs(3600);

/// A directory being filled. Dropped before it is published, it is removed.
pub(crate) struct Staging {
    dir: PathBuf,
    /// Held for as long as the directory is used.
    _lock: File,
}

impl Staging {
    /// Removes what dead runs left beside `target` and makes a new directory.
    pub(crate) fn begin(target: &Location, fingerprint: &str) -> Result<Staging, PrepareError> {
        let parent = match target.local_path().and_then(|path| path.parent().map(Path::to_owned)) {
            Some(parent) => parent,
            None => std::env::temp_dir().join("twinspire-prepare"),
        };
        fs::create_dir_all(&parent).map_err(|why| PrepareError::local(&parent, why))?;
        sweep(&parent);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = format!(".{fingerprint}-{}-{}{SUFFIX}", std::process::id(), now.as_nanos());
        let dir = parent.join(name);
        let failed = |why: std::io::Error| PrepareError::local(&dir, why);
        fs::create_dir(&dir).map_err(failed)?;
        let lock = File::create(dir.join(LOCK)).map_err(failed)?;
        lock.lock().map_err(failed)?;
        fs::create_dir(dir.join(SPILL)).map_err(failed)?;
        Ok(Staging { dir, _lock: lock })
    }

    /// Where files go.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where spilled runs go.
    pub(crate) fn spill(&self) -> PathBuf {
        self.dir.join(SPILL)
    }

    /// Makes the dataset visible, whole: the files and then the manifest.
    pub(crate) async fn publish(
        self,
        target: &Location,
        files: &[FileInfo],
        manifest: Vec<u8>,
    ) -> Result<(), PrepareError> {
        let failed = |why: std::io::Error| PrepareError::local(&self.dir, why);
        fs::remove_dir_all(self.spill()).map_err(failed)?;
        let Some(path) = target.local_path() else {
            if target.exists(MANIFEST).await? {
                // Another process was faster with the same dataset, and others may be reading it.
                return Ok(());
            }
            // Files are the same whoever makes them: what a killed run or a rival sent is replaced by
            // its equal.
            for file in files {
                self.send(target, &file.name).await?;
            }
            target.put(MANIFEST, manifest).await?;
            return Ok(());
        };
        let manifest_path = self.dir.join(MANIFEST);
        fs::write(&manifest_path, manifest).map_err(failed)?;
        File::open(&manifest_path).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::remove_file(self.dir.join(LOCK)).map_err(failed)?;
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        if path.join(MANIFEST).exists() {
            // Another process was faster with the same dataset.
            return Ok(());
        }
        let renamed = |why: std::io::Error| PrepareError::local(&path, why);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(renamed)?;
        }
        fs::rename(&self.dir, &path).map_err(renamed)?;
        match path.parent() {
            Some(parent) => File::open(parent).and_then(|dir| dir.sync_all()).map_err(renamed),
            None => Ok(()),
        }
    }

    async fn send(&self, target: &Location, name: &str) -> Result<(), PrepareError> {
        let path = self.dir.join(name);
        let failed = |why: std::io::Error| PrepareError::local(&path, format!("sending to {target}: {why}"));
        let mut from = tokio::fs::File::open(&path).await.map_err(failed)?;
        let mut to = BufWriter::new(target.store(), target.join(name).path());
        tokio::io::copy(&mut from, &mut to).await.map_err(failed)?;
        to.shutdown().await.map_err(failed)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove; what cannot be removed now, the next
        // run's sweep removes.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Removes the directories of runs that are dead: those whose lock can be had.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !(name.starts_with('.') && name.ends_with(SUFFIX)) {
            continue;
        }
        let dead = match File::open(path.join(LOCK)) {
            Ok(lock) => lock.try_lock().is_ok(),
            // Killed before it had a lock, or just after it gave it up to rename the directory.
            Err(_) => fs::metadata(&path)
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > WITHOUT_LOCK)),
        };
        if dead {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
