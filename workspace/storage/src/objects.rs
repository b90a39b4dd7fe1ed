//! Reading, writing, listing.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutMode, PutPayload};

use crate::error::{Operation, StorageError};
use crate::faults;
use crate::files::{self, Mode};
use crate::location::{Kind, Location};

/// S3 objects above this are sent in parts of [`PART`].
const MULTIPART_ABOVE: usize = 32 << 20;
const PART: usize = 16 << 20;
/// Parts on their way at a time.
const PARTS_AT_A_TIME: usize = 4;

/// What [`Location::put_if_absent`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The name was free and now has this content.
    Created,
    /// The name was taken; its content was left alone.
    AlreadyThere,
}

/// A file or object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name relative to the location listed, with `/` between levels.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// What [`Location::probe`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether [`Location::put_if_absent`] can be relied upon. Some S3 servers ignore the
    /// condition without saying so.
    pub conditional_create: bool,
}

impl Location {
    /// The content of `name`.
    ///
    /// # Errors
    /// [`StorageError::NotFound`] and whatever else can go wrong.
    pub async fn get(&self, name: &str) -> Result<Bytes, StorageError> {
        let path = self.child(name);
        let store = self.store();
        let read = async {
            let found = store.get(&path).await?;
            let size = found.meta.size;
            if self.kind() == Kind::Files || size <= MULTIPART_ABOVE as u64 {
                return found.bytes().await;
            }
            // One connection is slower than the network, and a time-out would lose all of it.
            drop(found);
            let pieces = (0..size).step_by(PART).map(|start| {
                let (store, path) = (&store, &path);
                async move { store.get_range(path, start..size.min(start + PART as u64)).await }
            });
            let mut pieces = futures::stream::iter(pieces).buffered(PARTS_AT_A_TIME);
            let mut content = BytesMut::with_capacity(size as usize);
            while let Some(piece) = pieces.next().await {
                content.extend_from_slice(&piece?);
            }
            Ok(content.freeze())
        };
        read.await.map_err(|error| self.error(&path, Operation::Read, &error))
    }

    /// Bytes `range` of `name`.
    ///
    /// # Errors
    /// As [`get`](Location::get); a range past the end is an error too.
    pub async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StorageError> {
        let path = self.child(name);
        let read = self.store().get_range(&path, range).await;
        read.map_err(|error| self.error(&path, Operation::Read, &error))
    }

    /// Writes `name`, replacing what was there. Readers see the old content or the new.
    ///
    /// # Errors
    /// Whatever can go wrong; then `name` is as it was.
    pub async fn put(&self, name: &str, content: impl Into<PutPayload>) -> Result<(), StorageError> {
        let (path, content) = (self.child(name), content.into());
        faults::check(&self.uri_of(&path), Operation::Write)?;
        match self.kind() {
            Kind::Files => self.write_file(&path, content, Mode::Overwrite).await.map(|_| ()),
            Kind::S3 if content.content_length() > MULTIPART_ABOVE => self.put_in_parts(&path, content).await,
            Kind::S3 => match self.store().put(&path, content).await {
                Ok(_) => Ok(()),
                Err(error) => Err(self.error(&path, Operation::Write, &error)),
            },
        }
    }

    /// Writes `name` unless it is there.
    ///
    /// On S3 a try that reached the server but whose answer was lost is retried and then finds its
    /// own object: callers that must know read it back and compare.
    ///
    /// # Errors
    /// Whatever can go wrong, but not that it is there.
    pub async fn put_if_absent(
        &self,
        name: &str,
        content: impl Into<PutPayload>,
    ) -> Result<Put, StorageError> {
        let (path, content) = (self.child(name), content.into());
        faults::check(&self.uri_of(&path), Operation::Write)?;
        if self.kind() == Kind::Files {
            return self.write_file(&path, content, Mode::Create).await;
        }
        match self.store().put_opts(&path, content, PutMode::Create.into()).await {
            Ok(_) => Ok(Put::Created),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(Put::AlreadyThere),
            Err(error) => Err(self.error(&path, Operation::Write, &error)),
        }
    }

    /// Deletes `name`; that it is not there is no error.
    ///
    /// # Errors
    /// Whatever else can go wrong.
    pub async fn delete(&self, name: &str) -> Result<(), StorageError> {
        let path = self.child(name);
        faults::check(&self.uri_of(&path), Operation::Delete)?;
        match self.store().delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error(&path, Operation::Delete, &error)),
        }
    }

    /// Whether `name` is there.
    ///
    /// # Errors
    /// Whatever can go wrong.
    pub async fn exists(&self, name: &str) -> Result<bool, StorageError> {
        let path = self.child(name);
        match self.store().head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => match self.error(&path, Operation::Read, &error) {
                error if error.is_not_found() => Ok(false),
                error => Err(error),
            },
        }
    }

    /// All files in the directory `prefix` ("" = here) and below it, by name.
    ///
    /// # Errors
    /// Whatever can go wrong; a directory that is not there is empty.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Entry>, StorageError> {
        let path = self.child(prefix);
        let listed: Result<Vec<_>, _> = self.store().list(Some(&path)).try_collect().await;
        let listed = listed.map_err(|error| self.error(&path, Operation::List, &error))?;
        let mut entries: Vec<Entry> = listed
            .into_iter()
            .map(|object| Entry { name: self.relative(&object.location), size: object.size })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Names of the directories directly in this one. In a bucket a directory is there as long as
    /// something is in it.
    ///
    /// # Errors
    /// As [`list`](Location::list).
    pub async fn list_dirs(&self) -> Result<Vec<String>, StorageError> {
        let path = self.path();
        let listed = self.store().list_with_delimiter(Some(&path)).await;
        let listed = listed.map_err(|error| self.error(&path, Operation::List, &error))?;
        let mut names: Vec<String> = listed.common_prefixes.iter().map(|path| self.relative(path)).collect();
        names.sort();
        Ok(names)
    }

    /// Deletes the directory and all in it.
    ///
    /// # Errors
    /// Whatever can go wrong; a file system's or bucket's root is refused.
    pub async fn delete_all(&self) -> Result<(), StorageError> {
        let path = self.path();
        if path.is_root() {
            let reason = "deleting everything there is refused".into();
            return Err(StorageError::InvalidUri { uri: self.uri().into(), reason });
        }
        if let Some(directory) = self.local_path() {
            return match tokio::fs::remove_dir_all(&directory).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(StorageError::from_io(self.uri(), Operation::Delete, &error))
                }
                _ => Ok(()),
            };
        }
        let store = self.store();
        let paths = store.list(Some(&path)).map_ok(|object| object.location).boxed();
        let deleted: Result<Vec<Path>, _> = store.delete_stream(paths).try_collect().await;
        deleted.map(|_| ()).map_err(|error| self.error(&path, Operation::Delete, &error))
    }

    /// Tries whether this place can be written, read and deleted, and whether it honours
    /// conditional creates. Leaves nothing behind.
    ///
    /// # Errors
    /// What does not work.
    pub async fn probe(&self) -> Result<Probe, StorageError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let name = format!(".twinspire-probe-{}-{now}", std::process::id());
        let first = self.put_if_absent(&name, &b"first"[..]).await?;
        let second = self.put_if_absent(&name, &b"second"[..]).await?;
        let kept = self.get(&name).await?;
        self.delete(&name).await?;
        let conditional_create =
            first == Put::Created && second == Put::AlreadyThere && kept[..] == *b"first";
        Ok(Probe { conditional_create })
    }

    async fn write_file(&self, path: &Path, content: PutPayload, mode: Mode) -> Result<Put, StorageError> {
        let file = std::path::Path::new("/").join(path.as_ref());
        let written = tokio::task::spawn_blocking(move || files::write(&file, &content, mode)).await;
        // A panic or a runtime shutting down: the write did not happen.
        let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        written.map_err(|error| StorageError::from_io(&self.uri_of(path), Operation::Write, &error))
    }

    async fn put_in_parts(&self, path: &Path, content: PutPayload) -> Result<(), StorageError> {
        let failed = |error: object_store::Error| self.error(path, Operation::Write, &error);
        let mut upload = self.store().put_multipart(path).await.map_err(failed)?;
        // `put_part` numbers the parts as it is called; the sending is in what it returns.
        let sending: Vec<_> = split(content, PART).into_iter().map(|part| upload.put_part(part)).collect();
        let sent =
            futures::stream::iter(sending).buffer_unordered(PARTS_AT_A_TIME).try_collect::<Vec<()>>().await;
        let outcome = match sent {
            Ok(_) => upload.complete().await,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            // Parts that stay cost space; that the object was not written is what matters.
            let _ = upload.abort().await;
            return Err(failed(error));
        }
        Ok(())
    }

    fn relative(&self, path: &Path) -> String {
        let here = self.path();
        let name = path.as_ref().strip_prefix(here.as_ref()).unwrap_or(path.as_ref());
        name.trim_start_matches('/').to_owned()
    }

    fn error(&self, path: &Path, operation: Operation, error: &object_store::Error) -> StorageError {
        StorageError::from_store(&self.uri_of(path), operation, error)
    }
}

/// `content` in pieces of `size` bytes and a last one of what is left; nothing is copied.
fn split(content: PutPayload, size: usize) -> Vec<PutPayload> {
    let mut parts = Vec::new();
    let (mut part, mut room) = (Vec::new(), size);
    for mut chunk in content {
        while !chunk.is_empty() {
            let piece = chunk.split_to(chunk.len().min(room));
            room -= piece.len();
            part.push(piece);
            if room == 0 {
                parts.push(part.drain(..).collect());
                room = size;
            }
        }
    }
    if !part.is_empty() {
        parts.push(part.into_iter().collect());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_keeps_order_and_every_byte() {
        let chunks: Vec<Bytes> = [&b"abc"[..], b"", b"defghij", b"k"].map(Bytes::from_static).to_vec();
        for size in 1..13 {
            let parts = split(chunks.iter().cloned().collect(), size);
            let (last, whole) =
                parts.split_last().map(|(last, rest)| (last.content_length(), rest)).unwrap_or_default();
            assert!(whole.iter().all(|part| part.content_length() == size) && (1..=size).contains(&last));
            let joined: Vec<u8> = parts.into_iter().flat_map(|part| Bytes::from(part).to_vec()).collect();
            assert_eq!(joined, b"abcdefghijk");
        }
    }
}
