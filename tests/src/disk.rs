//! Disks that are small: a tmpfs that one program and its children see.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// Why programs here cannot have a disk of their own, when they cannot.
pub fn no_small_disks() -> Option<String> {
    let mut trial = in_namespace(Path::new("/mnt"), 64);
    match trial.arg("true").stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(why) => Some(format!("`unshare` cannot be run: {why}")),
    }
}

/// What runs the command whose words follow, which may read a directory and not write it.
pub(crate) fn reading_only(directory: &Path) -> Command {
    let script = r#"mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(directory);
    command
}

/// What runs the command whose words follow, with a disk of so many kilobytes in a directory.
pub(crate) fn in_namespace(directory: &Path, kilobytes: u32) -> Command {
    let script = r#"mount -t tmpfs -o "size=$1k" none "$0" && shift && exec "$@""#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(directory).arg(kilobytes.to_string());
    command
}
