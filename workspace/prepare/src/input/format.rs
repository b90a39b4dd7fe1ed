//! What a file's name says about its content.

use twinspire_job::LogFormat;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Parquet,
    /// With this byte between values.
    Csv(u8),
    Jsonl,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Parquet => "Parquet",
            Format::Csv(b'\t') => "TSV",
            Format::Csv(_) => "CSV",
            Format::Jsonl => "JSON lines",
        }
    }
}

/// How the file is compressed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
    Bzip2,
}

/// Format and compression by name, the format as declared when it is; `None` when it is neither.
pub(crate) fn of(name: &str, declared: LogFormat) -> Option<(Format, Compression)> {
    let lower = name.to_ascii_lowercase();
    let (stem, compression) = [
        (".gz", Compression::Gzip),
        (".zst", Compression::Zstd),
        (".zstd", Compression::Zstd),
        (".bz2", Compression::Bzip2),
    ]
    .into_iter()
    .find_map(|(ending, compression)| lower.strip_suffix(ending).map(|stem| (stem, compression)))
    .unwrap_or((lower.as_str(), Compression::None));
    let by_name = match stem.rsplit_once('.').map(|(_, ending)| ending) {
        Some("parquet" | "parq" | "pq") => Some(Format::Parquet),
        Some("csv") => Some(Format::Csv(b',')),
        Some("tsv") => Some(Format::Csv(b'\t')),
        Some("jsonl" | "ndjson" | "json") => Some(Format::Jsonl),
        _ => None,
    };
    let format = match declared {
        LogFormat::Auto => by_name?,
        LogFormat::Parquet => Format::Parquet,
        LogFormat::Csv if stem.ends_with(".tsv") => Format::Csv(b'\t'),
        LogFormat::Csv => Format::Csv(b','),
        LogFormat::Jsonl => Format::Jsonl,
    };
    // Parquet compresses inside; a compressed Parquet file has no readable end.
    (format != Format::Parquet || compression == Compression::None).then_some((format, compression))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_format_and_compression() {
        for (name, expected) in [
            ("a.parquet", Some((Format::Parquet, Compression::None))),
            ("part-0.snappy.parquet", Some((Format::Parquet, Compression::None))),
            ("A.CSV.GZ", Some((Format::Csv(b','), Compression::Gzip))),
            ("a.tsv.zst", Some((Format::Csv(b'\t'), Compression::Zstd))),
            ("a.ndjson.bz2", Some((Format::Jsonl, Compression::Bzip2))),
            ("a.parquet.gz", None),
            ("README.md", None),
            ("events", None),
        ] {
            assert_eq!(of(name, LogFormat::Auto), expected, "{name}");
        }
    }

    #[test]
    fn a_declared_format_wins_over_the_name() {
        assert_eq!(of("dump.txt.gz", LogFormat::Jsonl), Some((Format::Jsonl, Compression::Gzip)));
        assert_eq!(of("dump.tsv", LogFormat::Csv), Some((Format::Csv(b'\t'), Compression::None)));
    }
}
