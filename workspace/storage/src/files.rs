//! Durable, atomic writes of local files.
//!
//! object_store writes beside the target and renames, which is atomic but not durable: after a
//! power cut the name may be there and its content not. Here the file is synced before it gets its
//! name and the directory after.
//!
//! The unfinished file is called `name#123`: object_store never lists such names, so readers do
//! not see what a killed writer leaves.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use object_store::PutPayload;

use crate::objects::Put;

/// What an existing file means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Overwrite,
    Create,
}

/// Writes `payload` to `path`, with its directories.
pub(crate) fn write(path: &Path, payload: &PutPayload, mode: Mode) -> io::Result<Put> {
    if mode == Mode::Create && path.exists() {
        return Ok(Put::AlreadyThere);
    }
    let parent = path.parent().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "not a file name"))?;
    create_directories(parent)?;
    let (mut file, staged) = stage(path)?;
    let written = payload.iter().try_for_each(|chunk| file.write_all(chunk)).and_then(|()| file.sync_data());
    drop(file);
    let outcome = written.and_then(|()| match mode {
        Mode::Overwrite => fs::rename(&staged, path).map(|()| Put::Created),
        Mode::Create => match fs::hard_link(&staged, path) {
            Ok(()) => Ok(Put::Created),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Put::AlreadyThere),
            Err(error) => Err(error),
        },
    });
    if mode == Mode::Create || outcome.is_err() {
        // What matters has happened or failed; a leftover is not listed.
        let _ = fs::remove_file(&staged);
    }
    sync_directory(parent)?;
    outcome
}

/// A new file beside `path` that nobody else writes.
fn stage(path: &Path) -> io::Result<(File, PathBuf)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}{:04}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let staged = PathBuf::from(name);
        match OpenOptions::new().write(true).create_new(true).open(&staged) {
            Ok(file) => return Ok((file, staged)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Creates `directory` and syncs the directories in which a new name appeared.
fn create_directories(directory: &Path) -> io::Result<()> {
    let new: Vec<&Path> = directory.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
    if new.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    new.iter().filter_map(|created| created.parent()).try_for_each(sync_directory)
}

/// Makes the names of a directory durable, where its file system can.
fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory).and_then(|handle| handle.sync_all()) {
        // Some network and FUSE file systems have no such operation.
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        // Another process deleted the directory: then there is no name to keep.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}
