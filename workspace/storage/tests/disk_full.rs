//! A disk that is full: the error says so, what was there stays, and nothing half-written is left.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use twinspire_storage::Location;

const DISK: &str = "TWINSPIRE_TEST_SMALL_DISK";

/// Runs this test again in a mount namespace of its own, where a directory is a disk of 256 kB.
#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    if std::env::var_os(DISK).is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script =
        r#"mount -t tmpfs -o size=256k none "$0" || exit 77; "$1" --exact on_the_small_disk --nocapture"#;
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap())
        .env(DISK, directory.path())
        .status();
    match status.map(|status| status.code()) {
        Ok(Some(0)) => {}
        // 1 is unshare's own failure too; then there is no such namespace to be had.
        Ok(Some(1 | 77)) | Err(_) if !can_mount() => println!("skipped: no mount namespaces on this machine"),
        failed => panic!("{failed:?}"),
    }
}

fn can_mount() -> bool {
    let script = "mount -t tmpfs none /mnt";
    let status =
        Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).status();
    status.is_ok_and(|status| status.success())
}

/// Not a test of its own: what runs on the small disk.
#[tokio::test]
async fn on_the_small_disk() {
    let Some(disk) = std::env::var_os(DISK) else { return };
    let location = Location::local(disk.as_ref()).unwrap();
    location.put("manifest", vec![1u8; 1000]).await.unwrap();
    for name in ["part", "manifest"] {
        let error = location.put(name, vec![2u8; 1 << 20]).await.unwrap_err();
        assert!(error.code() == "TW3008" && error.is_transient(), "{error}");
        assert!(error.to_string().contains("free space"), "{error}");
    }
    assert_eq!(location.put_if_absent("other", vec![2u8; 1 << 20]).await.unwrap_err().code(), "TW3008");
    assert_eq!(&location.get("manifest").await.unwrap()[..], [1; 1000]);
    assert_eq!(std::fs::read_dir(&disk).unwrap().count(), 1);
    location.put("part", vec![3u8; 1000]).await.unwrap();
}
