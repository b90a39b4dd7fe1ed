//! Stamps: whose write a value is.

use std::fmt::Write as _;

/// What a value in etcd ends with: a new line and 16 hexadecimal digits.
const LENGTH: usize = 17;

/// The mark of one write, the same in all attempts at it.
///
/// A random number of 64 bits. It stands as text at the end of the value, so that
/// `etcdctl get /twinspire/leader` is still readable. A value that somebody put there by hand has
/// none, which is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u64);

impl Stamp {
    pub(super) fn new() -> Stamp {
        Stamp(rand::random())
    }

    pub(super) fn put_on(self, value: &[u8]) -> Vec<u8> {
        let mut mark = String::with_capacity(LENGTH);
        // Writing to a string does not fail.
        let _ = write!(mark, "\n{:016x}", self.0);
        [value, mark.as_bytes()].concat()
    }
}

/// A value as it was written, and its stamp.
pub(super) fn take_off(mut stamped: Vec<u8>) -> (Vec<u8>, Option<Stamp>) {
    let Some(length) = stamped.len().checked_sub(LENGTH) else { return (stamped, None) };
    let Some(stamp) = read(&stamped[length..]) else { return (stamped, None) };
    stamped.truncate(length);
    (stamped, Some(stamp))
}

fn read(mark: &[u8]) -> Option<Stamp> {
    let digits = std::str::from_utf8(mark.strip_prefix(b"\n")?).ok()?;
    let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if !digits.bytes().all(is_digit) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok().map(Stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_off_as_it_was_put_on() {
        for value in [&b""[..], b"{}", b"\n0123456789abcdef", &[0xff; 40]] {
            let stamp = Stamp::new();
            assert_eq!(take_off(stamp.put_on(value)), (value.to_vec(), Some(stamp)));
        }
    }

    #[test]
    fn what_was_put_by_hand_has_none() {
        for value in [&b""[..], b"10.0.0.1:7000", b"\n+123456789abcdef", b"\n0123456789ABCDEF", &[0xff; 40]] {
            assert_eq!(take_off(value.to_vec()), (value.to_vec(), None));
        }
    }
}
