//! The logs of workers.
//!
//! A worker has one log, to which every start of it appends after a line that says so. What is
//! shown of it after a failure begins at the last such line: what came before is about something
//! else.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    time::SystemTime,
};

/// How the first line of a start begins. Workers' own lines begin with the time.
const START: &str = "=== started ";

/// At most so much is shown of a log.
const TAIL_BYTES: u64 = 16_000;

/// Opens the log of a worker that is about to be started.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let mut log = OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(log, "{START}{}", humantime::format_rfc3339_seconds(SystemTime::now()))?;
    Ok(log)
}

/// The last lines of a log since the last start, at most `lines` and at most 16 kB.
pub fn tail(path: &Path, lines: usize) -> Vec<String> {
    let text = end_of(path).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    let first = all.iter().rposition(|line| line.starts_with(START)).map_or(0, |start| start + 1);
    let first = first.max(all.len().saturating_sub(lines));
    all[first..].iter().map(|line| (*line).to_owned()).collect()
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/worker-0.log");
        open(&path).unwrap().write_all(b"one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&path, 2), ["two", "three"]);
        assert_eq!(tail(&path, 9), ["one", "two", "three"]);
        assert!(tail(&dir.path().join("absent.log"), 2).is_empty());
    }

    #[test]
    fn lines_of_earlier_starts_are_kept_but_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("worker-0.log");
        open(&path).unwrap().write_all(b"of the first start\n").unwrap();
        let mut second = open(&path).unwrap();
        assert!(tail(&path, 9).is_empty(), "the second start has not said anything yet");
        second.write_all(b"of the second start\n").unwrap();
        assert_eq!(tail(&path, 9), ["of the second start"]);
        assert!(std::fs::read_to_string(&path).unwrap().contains("of the first start\n"));
    }
}
