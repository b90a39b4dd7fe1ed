//! Bytes -> blocks of whole rows, as pure state.

/// Finds where rows end. Inside quotes (CSV) a line end is part of a value.
#[derive(Clone, Debug)]
pub(super) struct RowEnds {
    /// Whether `"` quotes.
    quotes: bool,
    quoted: bool,
    /// Bytes of the row that has begun, without its line end.
    length: usize,
    /// Of those, bytes that are not spaces or line ends: a blank line is no row.
    solid: bool,
    /// Rows that have ended.
    rows: u64,
    limit: usize,
}

/// A row longer than the limit, by its number (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong(pub(super) u64);

impl RowEnds {
    pub(super) fn new(quotes: bool, limit: usize) -> RowEnds {
        RowEnds { quotes, quoted: false, length: 0, solid: false, rows: 0, limit }
    }

    /// Rows that have ended so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Looks at the next bytes. `end(i, rows)` is told of every row that ends before byte i.
    pub(super) fn look(&mut self, bytes: &[u8], mut end: impl FnMut(usize, u64)) -> Result<(), TooLong> {
        let mut start = 0;
        loop {
            let next = if self.quotes {
                memchr::memchr2(b'\n', b'"', &bytes[start..])
            } else {
                memchr::memchr(b'\n', &bytes[start..])
            };
            let stop = next.map_or(bytes.len(), |at| start + at);
            self.length += stop - start;
            self.solid = self.solid || bytes[start..stop].iter().any(|byte| !byte.is_ascii_whitespace());
            if self.length > self.limit {
                return Err(TooLong(self.rows + 1));
            }
            let Some(at) = next.map(|_| stop) else { return Ok(()) };
            start = at + 1;
            if bytes[at] == b'"' {
                self.quoted = !self.quoted;
                self.length += 1;
                self.solid = true;
            } else if self.quoted {
                self.length += 1;
            } else {
                self.rows += u64::from(self.solid);
                (self.length, self.solid) = (0, false);
                end(start, self.rows);
            }
        }
    }
}

/// The block in two halves of whole rows, with the rows of the first; `None` when it is one row.
pub(super) fn halves(bytes: &[u8], quotes: bool) -> Option<(&[u8], &[u8], u64)> {
    let mut cut = None;
    let middle = bytes.len() / 2;
    let mut ends = RowEnds::new(quotes, usize::MAX);
    // Without a limit no row is too long.
    let _ = ends.look(bytes, |end, rows| {
        if end < bytes.len() && (cut.is_none() || end <= middle) {
            cut = Some((end, rows));
        }
    });
    cut.map(|(end, rows)| (&bytes[..end], &bytes[end..], rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(pieces: &[&str], quotes: bool) -> (Vec<usize>, u64) {
        let mut state = RowEnds::new(quotes, 100);
        let (mut all, mut before) = (Vec::new(), 0);
        for piece in pieces {
            state.look(piece.as_bytes(), |end, _| all.push(before + end)).unwrap_or_else(|_| panic!());
            before += piece.len();
        }
        (all, state.rows())
    }

    #[test]
    fn rows_end_at_line_ends_wherever_the_pieces_are_cut() {
        assert_eq!(ends(&["a,b\nc,d\n"], true), (vec![4, 8], 2));
        assert_eq!(ends(&["a,", "b\nc", ",d", "\n"], true), (vec![4, 8], 2));
        assert_eq!(ends(&["a\n\n \r\nb\n"], true).1, 2);
    }

    #[test]
    fn a_line_end_in_quotes_is_part_of_the_row_but_only_where_quotes_quote() {
        assert_eq!(ends(&["\"a\nb\",c\nd\n"], true).1, 2);
        assert_eq!(ends(&["\"a\nb\",c\nd\n"], false).1, 3);
        assert_eq!(ends(&["\"say \"\"hi\"\"\n\"\n"], true).1, 1);
    }

    #[test]
    fn a_row_longer_than_the_limit_is_found_by_its_number_before_it_ends() {
        let mut state = RowEnds::new(false, 100);
        assert_eq!(state.look(b"short\n", |_, _| ()), Ok(()));
        assert_eq!(state.look(&[b'x'; 60], |_, _| ()), Ok(()));
        assert_eq!(state.look(&[b'x'; 60], |_, _| ()), Err(TooLong(2)));
    }

    #[test]
    fn halving_ends_at_single_rows_and_loses_nothing() {
        fn leaves<'a>(bytes: &'a [u8], out: &mut Vec<&'a [u8]>) {
            match halves(bytes, true) {
                Some((a, b, _)) => {
                    leaves(a, out);
                    leaves(b, out);
                }
                None => out.push(bytes),
            }
        }
        let text = b"a\nbb\n\"c\nc\"\nd";
        let mut rows = Vec::new();
        leaves(text, &mut rows);
        assert_eq!(rows, [&b"a\n"[..], b"bb\n", b"\"c\nc\"\n", b"d"]);
        assert_eq!(halves(b"a\nb\nc\nd\n", true).map(|(_, _, rows)| rows), Some(2));
    }
}
