//! Damage of the kind disks do.

use std::{fs, path::Path};

/// Flips the bits of the byte in the middle of a file.
#[track_caller]
pub fn flip_a_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(path, bytes).expect("a file that was there");
}
