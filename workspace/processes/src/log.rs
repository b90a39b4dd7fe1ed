//! A child's log: one file for all its lives, each begun by a line that says so.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::SystemTime,
};

/// How the line begins that marks a start.
const STARTED: &str = "--- started ";

/// Most that is read of a log's end.
const TAIL_BYTES: u64 = 16_000;

/// Opens the log for one more life, for standard output and standard error.
pub(crate) fn open(path: &Path) -> io::Result<(File, File)> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    writeln!(file, "{STARTED}{now} ---")?;
    Ok((file.try_clone()?, file))
}

/// The last lines of a log since the process was last started: at most `lines`, and of at most the
/// last 16 kB. None when there is no such file.
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    let read = || -> io::Result<(bool, Vec<u8>)> {
        let mut file = File::open(path)?;
        let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok((from > 0, bytes))
    };
    let (cut, bytes) = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    // Where the text is cut off, the first line is half a line.
    let all: Vec<&str> = text.lines().skip(usize::from(cut)).collect();
    let started = all.iter().rposition(|line| line.starts_with(STARTED));
    let latest = &all[started.map_or(0, |line| line + 1)..];
    latest[latest.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker-0.log");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&path, 2), ["two", "three"]);
        assert_eq!(tail(&path, 9).len(), 3);
        assert!(tail(&dir.path().join("absent.log"), 2).is_empty());
    }

    #[test]
    fn the_tail_ends_where_the_process_was_last_started() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/worker-0.log");
        for life in ["first", "second"] {
            let (mut out, _) = open(&path).unwrap();
            writeln!(out, "{life} a\n{life} b").unwrap();
        }
        assert_eq!(tail(&path, 9), ["second a", "second b"]);
        let _ = open(&path).unwrap();
        assert!(tail(&path, 9).is_empty(), "it has said nothing yet");
    }

    #[test]
    fn the_tail_of_a_long_log_begins_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long.log");
        let line = "x".repeat(99);
        std::fs::write(&path, format!("{line}\n").repeat(1000)).unwrap();
        let tail = tail(&path, 1000);
        assert_eq!(tail.len(), 159);
        assert!(tail.iter().all(|found| *found == line));
    }
}
