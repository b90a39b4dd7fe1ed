//! Files that are no text, or not there.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use twinspire_job::JobFile;

fn message(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("job.yaml");
    fs::write(&path, bytes).unwrap();
    let error = JobFile::read(&path, &[]).unwrap_err();
    assert_eq!(error.code(), "TW1001", "{error}");
    error.to_string()
}

#[test]
fn a_file_that_is_not_there_is_said_to_be() {
    let error = JobFile::read("no/such/job.yaml", &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no/such/job.yaml: there is no such file: give the path of a job file [TW1001]"
    );
}

#[test]
fn a_directory_is_not_a_job_file() {
    let directory = tempfile::tempdir().unwrap();
    let error = JobFile::read(directory.path(), &[]).unwrap_err();
    assert!(error.to_string().contains("this is a directory"), "{error}");
}

#[test]
fn bytes_that_are_not_utf8_are_told_with_their_line() {
    assert!(message(b"name: a\nlog: \xff\xfe\n").contains("byte 13 (line 2) is not UTF-8"));
    assert!(message(b"\xff\xfen\0a\0").contains("the file is UTF-16"));
}

#[test]
fn data_passed_by_mistake_is_not_parsed() {
    assert!(message(&vec![b'a'; 5 << 20]).contains("too many for a job file"));
}
