//! Uris -> files: a file, a directory, a pattern, or a list of them.

use futures::TryStreamExt;
use glob::{MatchOptions, Pattern};
use object_store::{ObjectMeta, ObjectStoreExt};
use twinspire_job::LogFormat;
use twinspire_storage::{Location, Operation, StorageError};

use super::format::of;
use super::{Format, InputFile, Part};
use crate::PrepareError;
use crate::names::nearest;

/// The files that `uris` mean, in a fixed order, each once.
///
/// `field` is where the uris stand in the job file (`log.uri`), `section` its first word.
pub(crate) async fn resolve(
    uris: &[String],
    declared: LogFormat,
    section: &'static str,
    field: &str,
    part: Part,
) -> Result<Vec<InputFile>, PrepareError> {
    let mut files: Vec<InputFile> = Vec::new();
    for uri in uris {
        let (found, many) = find(uri, field).await?;
        let mut formats: Vec<(Format, String)> = Vec::new();
        for (location, meta) in found {
            let name = location.uri().to_owned();
            let (format, compression) = of(&name, declared)
                .ok_or_else(|| PrepareError::UnknownFormat { file: name.clone(), field: section })?;
            if formats.iter().all(|(other, _)| *other != format) {
                formats.push((format, name.clone()));
            }
            let modified = meta.last_modified.timestamp_nanos_opt().unwrap_or_default().to_string();
            let version = match location.local_path() {
                Some(_) => modified,
                None => meta.e_tag.unwrap_or(modified),
            };
            let size = meta.size;
            files.push(InputFile { location, size, version, format, compression, part, section });
        }
        if many && formats.len() > 1 {
            let files = formats.into_iter().map(|(format, file)| format!("{file} ({})", format.name()));
            return Err(PrepareError::MixedFormats { uri: uri.clone(), files: files.collect() });
        }
    }
    if files.is_empty() {
        let hint = ": the list is empty; name at least one file, directory or pattern".into();
        return Err(PrepareError::NoFiles { field: field.into(), uri: String::new(), hint });
    }
    files.sort_by(|a, b| a.uri().cmp(b.uri()));
    files.dedup_by(|a, b| a.uri() == b.uri());
    Ok(files)
}

/// What one uri means, and whether it could mean several files.
async fn find(uri: &str, field: &str) -> Result<(Vec<(Location, ObjectMeta)>, bool), PrepareError> {
    if let Some((base, pattern)) = split_pattern(uri) {
        return Ok((matching(uri, base, pattern, field).await?, true));
    }
    let location = Location::parse(uri)?;
    let directory = location.local_path().is_some_and(|path| path.is_dir());
    if !directory {
        match location.store().head(&location.path()).await {
            Ok(meta) => return Ok((vec![(location, meta)], false)),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => match StorageError::from_store(location.uri(), Operation::Read, &error) {
                error if error.is_not_found() => {}
                error => return Err(error.into()),
            },
        }
    }
    let inside: Vec<_> = list(&location).await?.into_iter().filter(|(name, ..)| !hidden(name)).collect();
    if inside.is_empty() {
        let hint =
            if directory { ": the directory has no files in it".into() } else { beside(&location).await };
        return Err(PrepareError::NoFiles { field: field.into(), uri: uri.into(), hint });
    }
    Ok((inside.into_iter().map(|(_, location, meta)| (location, meta)).collect(), true))
}

async fn matching(
    uri: &str,
    base: &str,
    pattern: &str,
    field: &str,
) -> Result<Vec<(Location, ObjectMeta)>, PrepareError> {
    let nothing = |hint| PrepareError::NoFiles { field: field.into(), uri: uri.into(), hint };
    let compiled = Pattern::new(pattern).map_err(|why| nothing(format!(": it is no pattern: {why}")))?;
    let options = MatchOptions { require_literal_separator: true, ..MatchOptions::default() };
    let base = Location::parse(base)?;
    let all = list(&base).await?;
    let among = all.len();
    let found: Vec<_> = all
        .into_iter()
        .filter(|(name, ..)| compiled.matches_with(name, options))
        .map(|(_, location, meta)| (location, meta))
        .collect();
    if found.is_empty() {
        return Err(nothing(format!(": none of the {among} files under {base} matches the pattern")));
    }
    Ok(found)
}

/// All files under a location: name relative to it, place, description.
async fn list(location: &Location) -> Result<Vec<(String, Location, ObjectMeta)>, PrepareError> {
    if location.local_path().is_some_and(|path| !path.is_dir()) {
        return Ok(Vec::new());
    }
    let path = location.path();
    let metas: Vec<ObjectMeta> = location
        .store()
        .list(Some(&path))
        .try_collect()
        .await
        .map_err(|error| StorageError::from_store(location.uri(), Operation::List, &error))?;
    let mut files: Vec<_> = metas
        .into_iter()
        .filter_map(|meta| {
            let name = meta.location.as_ref().strip_prefix(path.as_ref())?.trim_start_matches('/').to_owned();
            (!name.is_empty()).then(|| (name.clone(), location.join(&name), meta))
        })
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}

/// `dir/part-*.parquet` -> (`dir`, `part-*.parquet`), when there is a pattern in it.
fn split_pattern(uri: &str) -> Option<(&str, &str)> {
    let first = uri.find(['*', '?', '['])?;
    Some(match uri[..first].rfind('/') {
        Some(0) => ("/", &uri[1..]),
        Some(slash) => (&uri[..slash], &uri[slash + 1..]),
        None => (".", uri),
    })
}

/// Markers and half-written files of other engines: `_SUCCESS`, `.part-0.crc`.
fn hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with(['_', '.']))
}

/// What is there instead.
async fn beside(location: &Location) -> String {
    let Some(path) = location.local_path() else { return "; is the bucket and the prefix right?".into() };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return String::new() };
    let Ok(entries) = std::fs::read_dir(parent) else {
        return format!(": there is no directory {}", parent.display());
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    match nearest(&name.to_string_lossy(), names.iter().map(String::as_str)) {
        Some(near) => format!(": did you mean `{near}`?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_pattern_is_split_at_its_first_level() {
        assert_eq!(split_pattern("a/b.parquet"), None);
        assert_eq!(split_pattern("a/b/*.parquet"), Some(("a/b", "*.parquet")));
        assert_eq!(split_pattern("s3://bucket/x/day=*/p?.csv"), Some(("s3://bucket/x", "day=*/p?.csv")));
        assert_eq!(split_pattern("*.csv"), Some((".", "*.csv")));
        assert_eq!(split_pattern("/*.csv"), Some(("/", "*.csv")));
    }

    async fn names(uris: &[String]) -> Vec<String> {
        let files = resolve(uris, LogFormat::Auto, "log", "log.uri", Part::Train).await.unwrap();
        files.iter().map(|file| file.uri().rsplit('/').next().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_directory_a_pattern_and_a_list_name_the_same_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", "_SUCCESS", ".a.csv.crc"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let root = dir.path().to_str().unwrap().to_owned();
        let expected = ["a.csv", "b.csv"];
        assert_eq!(names(std::slice::from_ref(&root)).await, expected);
        assert_eq!(names(&[format!("{root}/*.csv")]).await, expected);
        assert_eq!(names(&[format!("{root}/b.csv"), format!("{root}/[ab].csv")]).await, expected);
    }

    #[tokio::test]
    async fn what_is_not_there_is_an_error_with_what_is() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("events.csv"), "x").unwrap();
        let root = dir.path().to_str().unwrap();
        for (uri, hint) in [
            (format!("{root}/event.csv"), "did you mean `events.csv`?"),
            (format!("{root}/*.parquet"), "none of the 1 files"),
            (format!("{root}/none/x.csv"), "there is no directory"),
            (format!("{root}/events.csv/x.csv"), "there is no directory"),
        ] {
            let error = resolve(&[uri], LogFormat::Auto, "log", "log.uri", Part::Train).await.unwrap_err();
            assert_eq!(error.code(), "TW2001");
            assert!(error.to_string().contains(hint), "{error}");
        }
    }
}
