//! Appending to a file while its disk may be full.

use std::{
    fs::File,
    io::{self, Write},
};

/// A file to which only whole pieces are appended: one that was cut off is taken back before the next.
#[derive(Debug)]
pub(crate) struct Appender {
    file: File,
    /// Bytes of whole pieces.
    whole: u64,
    is_torn: bool,
}

impl Appender {
    /// Of a file opened for appending.
    pub(crate) fn new(file: File) -> io::Result<Appender> {
        Ok(Appender { whole: file.metadata()?.len(), file, is_torn: false })
    }

    pub(crate) fn append(&mut self, piece: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.whole)?;
        }
        self.is_torn = true;
        self.file.write_all(piece)?;
        self.is_torn = false;
        self.whole += piece.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, OpenOptions};

    use super::*;

    #[test]
    fn half_a_piece_is_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pieces");
        fs::write(&path, "one\n").unwrap();
        let file = OpenOptions::new().append(true).open(&path).unwrap();
        let mut appender = Appender::new(file).unwrap();
        appender.append(b"two\n").unwrap();
        // As a full disk leaves it.
        appender.is_torn = true;
        appender.file.write_all(b"thr").unwrap();
        appender.append(b"three\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nthree\n");
    }
}
