//! Paths and URIs: files here or objects in an S3 bucket.

use super::Findings;
use crate::code::Code;

/// Checks that `uri` (the value of `path`) is a path, `file://…` or `s3://bucket/…`.
pub(super) fn check(uri: &str, path: &str, found: &mut Findings) {
    if let Err((what, remedy)) = parse(uri) {
        found.add(Code::Uri, path, what, remedy);
    }
}

/// Checks a list of them, which must not be empty.
pub(super) fn check_all(uris: &[String], path: &str, found: &mut Findings) {
    if uris.is_empty() {
        found.add(
            Code::Uri,
            path,
            "no file is named",
            "name a file, a directory or a pattern such as logs/*.parquet",
        );
    }
    for (index, uri) in uris.iter().enumerate() {
        // `uri: a` has no entries to point at; the place of `path[0]` is then that of `path`.
        let at = if uris.len() == 1 { path.to_owned() } else { format!("{path}[{index}]") };
        check(uri, &at, found);
    }
}

fn parse(uri: &str) -> Result<(), (String, String)> {
    let fail = |what: &str, remedy: &str| Err((format!("`{uri}` {what}"), remedy.to_owned()));
    if uri.trim().is_empty() {
        return Err(("the path is empty".into(), "name a directory, a file or s3://bucket/prefix".into()));
    }
    let Some((scheme, rest)) = uri.split_once("://") else {
        return match uri.split_once(":/") {
            Some((scheme @ ("s3" | "file"), rest)) => fail(
                "has one slash after the colon",
                &format!("write {scheme}://{}", rest.trim_start_matches('/')),
            ),
            _ => Ok(()),
        };
    };
    match scheme.to_ascii_lowercase().as_str() {
        "file" if rest.starts_with('/') => Ok(()),
        "file" => fail("is not absolute", "write file:/// and the path from the root, or a bare path"),
        "s3" => {
            let bucket = rest.split('/').next().unwrap_or_default();
            if bucket.is_empty() {
                return fail("names no bucket", "write s3://BUCKET/PREFIX");
            }
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
            if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(legal) {
                let remedy = "a bucket's name is 3 to 63 lower-case letters, digits, dots and dashes: write it without \
                              endpoint or credentials (those come from AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …)";
                return Err((format!("`{bucket}` is not the name of a bucket"), remedy.into()));
            }
            Ok(())
        }
        "s3a" | "s3n" => fail("uses Hadoop's name for S3", &format!("write s3://{rest}")),
        other => Err((
            format!("`{other}://` is not supported"),
            "use a local path, file:///… or s3://bucket/… (any S3-compatible store, by AWS_ENDPOINT_URL)"
                .into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::parse;

    #[test]
    fn paths_and_objects_are_told_from_what_cannot_be_read() {
        for good in [
            "runs",
            "/data/log.parquet",
            "logs/*.parquet",
            "data/{a,b}.csv",
            "file:///data/x",
            "s3://bucket/prefix/*.parquet",
            "s3://bucket",
        ] {
            assert_eq!(parse(good), Ok(()), "{good}");
        }
        for (bad, remedy) in [
            ("", "name a directory"),
            ("file://data/x", "file:///"),
            ("s3:///prefix", "s3://BUCKET/PREFIX"),
            ("s3:/bucket/x", "write s3://bucket/x"),
            ("s3://Key:Secret@host/x", "AWS_ENDPOINT_URL"),
            ("s3a://bucket/x", "write s3://bucket/x"),
            ("gs://bucket/x", "S3-compatible"),
            ("https://host/x", "s3://bucket"),
            ("hdfs://host/x", "s3://bucket"),
        ] {
            assert!(parse(bad).unwrap_err().1.contains(remedy), "{bad}: {:?}", parse(bad));
        }
    }
}
