//! Where does a line end, in a stream that may hold anything and may still grow?

use std::io::{self, ErrorKind, Read};

use memchr::memchr;

/// Octets of the longest line that is looked at: a record of a hundred thousand recipients fits.
pub(super) const LONGEST: usize = 16 << 20;

const CHUNK: usize = 64 << 10;

/// The lines of a stream. What stands behind the last newline is kept until the rest of it comes.
pub(super) struct Lines<R> {
    source: R,
    longest: usize,
    chunk: Box<[u8]>,
    /// What of the chunk was not looked at yet.
    fresh: std::ops::Range<usize>,
    /// The beginning of the line, from earlier chunks.
    begun: Vec<u8>,
    overlong: bool,
    /// The line that was begun has been lent to the caller.
    lent: bool,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The line without its newline.
    Whole(&'a [u8]),
    /// It was longer than any record: nothing of it was kept.
    Overlong,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(source: R, longest: usize) -> Self {
        let chunk = vec![0; CHUNK].into_boxed_slice();
        Self { source, longest, chunk, fresh: 0..0, begun: Vec::new(), overlong: false, lent: false }
    }

    /// The next line that has an end; `None` where there is none yet.
    pub(super) fn advance(&mut self) -> io::Result<Option<Line<'_>>> {
        self.take_back();
        loop {
            let (from, to) = (self.fresh.start, self.fresh.end);
            if let Some(length) = memchr(b'\n', &self.chunk[from..to]) {
                self.fresh.start = from + length + 1;
                return Ok(Some(self.lend(from, from + length)));
            }
            self.keep(from, to);
            self.fresh = 0..0;
            self.fresh.end = match self.source.read(&mut self.chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => 0,
                Ok(0) => return Ok(None),
                read => read?,
            };
        }
    }

    /// What stands behind the last newline, where nothing more will come.
    pub(super) fn rest(&mut self) -> Option<Line<'_>> {
        self.take_back();
        if self.begun.is_empty() && !self.overlong { None } else { Some(self.lend(0, 0)) }
    }

    pub(super) fn source(&self) -> &R {
        &self.source
    }

    fn take_back(&mut self) {
        if std::mem::take(&mut self.lent) {
            self.begun.clear();
            self.overlong = false;
        }
    }

    fn lend(&mut self, from: usize, to: usize) -> Line<'_> {
        self.lent = true;
        if self.begun.is_empty() && !self.overlong && to - from <= self.longest {
            return Line::Whole(&self.chunk[from..to]);
        }
        self.keep(from, to);
        if self.overlong { Line::Overlong } else { Line::Whole(&self.begun) }
    }

    fn keep(&mut self, from: usize, to: usize) {
        if self.overlong || self.begun.len() + (to - from) > self.longest {
            self.overlong = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(&self.chunk[from..to]);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives what it has in pieces of the given lengths, and an end of file between any two.
    struct Pieces(Vec<Vec<u8>>, bool);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 || self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            let (now, later) = piece.split_at(piece.len().min(buffer.len()));
            buffer[..now.len()].copy_from_slice(now);
            if !later.is_empty() {
                self.0.insert(0, later.to_vec());
            }
            Ok(now.len())
        }
    }

    /// All lines; an overlong one is `None`.
    fn all(source: Pieces, longest: usize) -> Vec<Option<Vec<u8>>> {
        let owned = |line: Line<'_>| match line {
            Line::Whole(bytes) => Some(bytes.to_vec()),
            Line::Overlong => None,
        };
        let (mut lines, mut found) = (Lines::new(source, longest), Vec::new());
        // The source is empty when it has said so twice.
        while !lines.source().0.is_empty() || !lines.fresh.is_empty() {
            found.extend(std::iter::from_fn(|| lines.advance().unwrap().map(owned)));
        }
        found.extend(lines.rest().map(owned));
        assert!(lines.rest().is_none());
        found
    }

    #[test]
    fn a_line_that_comes_in_pieces_is_one_line() {
        let pieces = ["a", "b\n\nc", "d\ne"].map(|piece| piece.as_bytes().to_vec()).to_vec();
        let text: Vec<String> = all(Pieces(pieces, false), 9).into_iter().map(|l| String::from_utf8(l.unwrap()).unwrap()).collect();
        assert_eq!(text, ["ab", "", "cd", "e"]);
    }

    #[test]
    fn a_line_without_end_costs_no_memory_and_the_next_one_is_whole() {
        let endless = io::repeat(b'x').take(100 << 20).chain(&b"\nnext\n"[..]);
        let mut lines = Lines::new(endless, 1 << 20);
        assert_eq!(lines.advance().unwrap(), Some(Line::Overlong));
        assert!(lines.begun.capacity() <= 2 << 20);
        assert_eq!(lines.advance().unwrap(), Some(Line::Whole(b"next")));
        assert_eq!(lines.advance().unwrap(), None);
    }

    proptest! {
        #[test]
        fn however_the_octets_come_the_lines_are_the_same(
            pieces in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 1..40), 0..20),
            longest in 0_usize..60,
        ) {
            let octets = pieces.concat();
            let mut wanted: Vec<&[u8]> = octets.split(|octet| *octet == b'\n').collect();
            if wanted.last().is_some_and(|last| last.is_empty()) {
                wanted.pop();
            }
            let wanted: Vec<_> = wanted.into_iter().map(|line| (line.len() <= longest).then(|| line.to_vec())).collect();
            prop_assert_eq!(all(Pieces(pieces, false), longest), wanted);
        }
    }
}
