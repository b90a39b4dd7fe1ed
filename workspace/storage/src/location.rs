use std::fmt;
use std::path::{Component, Path as FsPath, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::{Path, PathPart};

use crate::error::StorageError;
use crate::s3;

/// A directory, local or in a bucket. It need not exist: it does as soon as something is in it.
#[derive(Clone)]
pub struct Location {
    uri: String,
    kind: Kind,
    store: Arc<dyn ObjectStore>,
    path: Path,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Files,
    S3,
}

impl Location {
    /// A path, `file:///path` or `s3://bucket/prefix`, with S3 settings from the environment.
    ///
    /// Nothing is opened: whether the place can be used shows when it is, or by
    /// [`probe`](Location::probe).
    ///
    /// # Errors
    /// Another scheme, a URI without a bucket, a path that is not UTF-8, contradictory settings.
    pub fn parse(uri: &str) -> Result<Location, StorageError> {
        let variables: Vec<(String, String)> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Location::parse_with(uri, &variables)
    }

    /// [`parse`](Location::parse) with these variables instead of the environment's.
    ///
    /// # Errors
    /// As `parse`.
    pub fn parse_with(uri: &str, variables: &[(String, String)]) -> Result<Location, StorageError> {
        let invalid = |reason: &str| StorageError::InvalidUri { uri: uri.into(), reason: reason.into() };
        if uri.trim().is_empty() {
            return Err(invalid("it is empty"));
        }
        match uri.split_once("://") {
            Some(("s3" | "s3a", rest)) => {
                let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
                if bucket.is_empty() {
                    return Err(invalid("it names no bucket"));
                }
                let variables = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let store = s3::connect(bucket, variables)
                    .map_err(|reason| StorageError::Settings { uri: uri.into(), reason })?;
                let root = Location {
                    uri: format!("s3://{bucket}"),
                    kind: Kind::S3,
                    store: Arc::new(store),
                    path: Path::ROOT,
                };
                Ok(root.join(prefix))
            }
            Some(("file", _)) => {
                let path = url::Url::parse(uri).ok().and_then(|url| url.to_file_path().ok());
                Location::local(&path.ok_or_else(|| invalid("it is no absolute file URI"))?)
            }
            Some((scheme, _)) => Err(invalid(&format!("`{scheme}://` is not known"))),
            None => Location::local(FsPath::new(uri)),
        }
    }

    /// A directory of this machine.
    ///
    /// # Errors
    /// A path that is not UTF-8 or has control characters.
    pub fn local(path: &FsPath) -> Result<Location, StorageError> {
        let invalid =
            |reason: String| StorageError::InvalidUri { uri: path.to_string_lossy().into_owned(), reason };
        let absolute = absolute(path).map_err(|error| invalid(error.to_string()))?;
        let text = absolute.to_str().ok_or_else(|| invalid("it is not UTF-8".into()))?;
        let path = Path::parse(text).map_err(|error| invalid(error.to_string()))?;
        Ok(Location {
            uri: text.to_owned(),
            kind: Kind::Files,
            store: Arc::new(LocalFileSystem::new()),
            path,
        })
    }

    /// The directory `relative` under this one; `a/b` is two levels. It cannot lead outside:
    /// `..` is a name like any other.
    pub fn join(&self, relative: &str) -> Location {
        let path = self.child(relative);
        Location { uri: self.uri_of(&path), path, ..self.clone() }
    }

    /// The location as text: an absolute path, or `s3://bucket/prefix`. Parsed anywhere on this
    /// machine, it is this location.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The directory's path, when it is local.
    pub fn local_path(&self) -> Option<PathBuf> {
        (self.kind == Kind::Files).then(|| FsPath::new("/").join(self.path.as_ref()))
    }

    /// The store this location is in, for readers that take one (Parquet, DataFusion).
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.store)
    }

    /// The location's path within [`store`](Location::store).
    pub fn path(&self) -> Path {
        self.path.clone()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The store's path of `name`, which may have several levels.
    pub(crate) fn child(&self, name: &str) -> Path {
        name.split('/').filter(|part| !part.is_empty() && *part != ".").fold(
            self.path.clone(),
            |path, part| {
                // `parse` keeps a name as it is; what it refuses (`..`, control characters) is escaped.
                path.join(PathPart::parse(part).unwrap_or_else(|_| PathPart::from(part)))
            },
        )
    }

    /// The URI of a path of this store.
    pub(crate) fn uri_of(&self, path: &Path) -> String {
        let suffix = path.as_ref().strip_prefix(self.path.as_ref()).unwrap_or(path.as_ref());
        let suffix = suffix.trim_start_matches('/');
        match (suffix, self.uri.strip_suffix('/').unwrap_or(&self.uri)) {
            ("", uri) => uri.to_owned(),
            (suffix, uri) => format!("{uri}/{suffix}"),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({})", self.uri)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

/// `path` without `.` and `..`. The path before a `..` is resolved first, as the system would:
/// `link/..` is the parent of what the link points to.
fn absolute(path: &FsPath) -> std::io::Result<PathBuf> {
    let mut plain = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::ParentDir => {
                plain = plain.canonicalize().unwrap_or(plain);
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn s3(uri: &str, extra: &[(&str, &str)]) -> Result<Location, StorageError> {
        let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let all: Vec<(String, String)> =
            keys.iter().chain(extra).map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Location::parse_with(uri, &all)
    }

    #[test]
    fn a_path_and_its_file_uri_are_the_same_place() {
        let path = Location::parse("/data/my runs/x").unwrap();
        let uri = Location::parse("file:///data/my%20runs/x/").unwrap();
        assert_eq!(path.uri(), "/data/my runs/x");
        assert_eq!(path.local_path(), uri.local_path());
        assert_eq!(path.path(), uri.path());
    }

    #[test]
    fn a_relative_path_becomes_absolute_once() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(Location::parse("runs").unwrap().local_path().unwrap(), here.join("runs"));
        assert_eq!(Location::parse("./runs/../x/").unwrap().local_path().unwrap(), here.join("x"));
    }

    #[test]
    fn joining_keeps_names_and_cannot_lead_outside() {
        let root = Location::parse("/data").unwrap();
        assert_eq!(root.join("a/b").uri(), "/data/a/b");
        assert_eq!(root.join("").uri(), "/data");
        assert_eq!(root.join("100% #1").local_path().unwrap(), FsPath::new("/data/100% #1"));
        assert!(root.join("../etc").local_path().unwrap().starts_with("/data"));
    }

    #[test]
    fn an_s3_uri_is_a_bucket_and_a_prefix() {
        let location = s3("s3://bucket/a//b/", &[]).unwrap();
        assert_eq!((location.uri(), location.path().as_ref()), ("s3://bucket/a/b", "a/b"));
        assert_eq!(location.local_path(), None);
        assert_eq!(location.join("c").uri(), "s3://bucket/a/b/c");
        assert_eq!(s3("s3://bucket", &[]).unwrap().join("c").uri(), "s3://bucket/c");
    }

    #[test]
    fn what_cannot_be_a_place_is_refused_with_the_reason() {
        for (uri, reason) in [
            ("", "empty"),
            ("gs://bucket/x", "`gs://` is not known"),
            ("s3:///x", "no bucket"),
            ("file://host/x", "no absolute file URI"),
        ] {
            let error = s3(uri, &[]).unwrap_err();
            assert_eq!(error.code(), "TW3001", "{uri}");
            assert!(error.to_string().contains(reason), "{error}");
        }
    }

    #[test]
    fn contradictory_settings_are_refused_with_the_remedy() {
        for (variable, value, remedy) in [
            ("AWS_ENDPOINT_URL", "http://localhost:9000", "AWS_ALLOW_HTTP=true"),
            ("AWS_ENDPOINT_URL", "localhost", "no URL"),
            ("AWS_MAX_ATTEMPTS", "0", "at least 1"),
            ("AWS_ALLOW_HTTP", "perhaps", "AWS_*"),
        ] {
            let error = s3("s3://bucket/x", &[(variable, value)]).unwrap_err();
            assert_eq!(error.code(), "TW3002");
            assert!(error.to_string().contains(remedy), "{error}");
        }
        let error =
            Location::parse_with("s3://b/x", &[("AWS_ACCESS_KEY_ID".into(), "a".into())]).unwrap_err();
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY is not"), "{error}");
    }
}
