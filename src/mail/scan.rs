//! What must be known of a body before the first octet of it is said? (RFC 5321 4.5.2, 4.5.3.1.6; RFC 1870, 6152)

use super::lines::{Sink, Splitter};

/// The longest line that may leave, without its CRLF (RFC 5321 4.5.3.1.6).
pub const LONGEST_LINE: u64 = super::fold::MOST as u64;

/// Measures a body in one pass, chunk by chunk.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    splitter: Splitter,
    tally: Tally,
}

/// What the scan has found; octets are counted as they will be on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Octets on the wire, every line ended by CRLF, NULs left out.
    pub size: u64,
    /// An octet above 127.
    pub eight_bit: bool,
    /// Octets of the longest line, without CRLF.
    pub longest: u64,
    /// NULs, which never leave.
    pub nuls: u64,
    /// CRs without LF, each of which became a line break.
    pub bare_crs: u64,
    /// Lines that are a lone dot.
    pub lone_dots: u64,
    /// Offset in the source at which a last line that is a lone dot starts.
    last_dot: Option<u64>,
    /// Octets of the line that is being read.
    line: u64,
    /// Its first octet is a dot.
    dot: bool,
    /// Offset in the source of its start.
    line_start: u64,
    /// Offset in the source of the chunk that is being read.
    base: u64,
}

impl Scan {
    /// Measures the next chunk.
    pub fn feed(&mut self, chunk: &[u8]) {
        if !self.tally.eight_bit {
            self.tally.eight_bit = !chunk.is_ascii();
        }
        self.splitter.feed(chunk, &mut self.tally);
        self.tally.base += chunk.len() as u64;
    }

    /// Octets on the wire so far.
    pub fn size(&self) -> u64 {
        self.tally.size
    }

    /// Where, in the source, a lone dot line that has just ended begins; what follows may still make it an ordinary line.
    pub fn last_dot(&self) -> Option<u64> {
        self.tally.last_dot
    }

    /// The source is over: ends the last line, and says what was found.
    pub fn finish(mut self) -> Tally {
        self.splitter.finish(&mut self.tally);
        if self.tally.line > 0 {
            self.tally.end(0);
        }
        self.tally
    }
}

impl Tally {
    /// Takes a lone dot that is the very last line away; answers where in the source the body ends now.
    pub fn drop_last_dot(&mut self) -> Option<u64> {
        let end = self.last_dot.take()?;
        self.size -= 3;
        self.lone_dots -= 1;
        Some(end)
    }
}

impl Sink for Tally {
    fn text(&mut self, piece: &[u8]) {
        if self.line == 0 {
            self.dot = piece[0] == b'.';
            self.last_dot = None;
        }
        self.line += piece.len() as u64;
        self.size += piece.len() as u64;
    }

    fn end(&mut self, next: usize) {
        self.last_dot = None;
        if self.line == 1 && self.dot {
            self.last_dot = Some(self.line_start);
            self.lone_dots += 1;
        }
        self.longest = self.longest.max(self.line);
        self.size += 2;
        self.line = 0;
        self.line_start = self.base + next as u64;
    }

    fn bare_cr(&mut self) {
        self.bare_crs += 1;
    }

    fn nul(&mut self) {
        self.nuls += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(chunks: &[&[u8]]) -> Tally {
        let mut scan = Scan::default();
        for chunk in chunks {
            scan.feed(chunk);
        }
        scan.finish()
    }

    #[test]
    fn size_is_what_the_wire_will_carry() {
        let table: &[(&[u8], u64, u64)] = &[
            (b"", 0, 0),
            (b"a", 3, 1),
            (b"a\n", 3, 1),
            (b"a\r\n", 3, 1),
            (b"a\r\r\n", 3, 1),
            (b"a\rbc", 7, 2),
            (b"\n\n", 4, 0),
            (b"a\0b\n", 4, 2),
            (b"\0", 0, 0),
        ];
        for (input, size, longest) in table {
            let tally = scan(&[input]);
            assert_eq!((tally.size, tally.longest), (*size, *longest), "{input:?}");
        }
    }

    #[test]
    fn what_can_not_go_as_it_is_is_noticed() {
        let tally = scan(&[b"a\0\rb\xc3", b"\xbc\n"]);
        assert_eq!((tally.eight_bit, tally.nuls, tally.bare_crs), (true, 1, 1));
        assert!(!scan(&[b"plain\n"]).eight_bit);
    }

    #[test]
    fn only_a_dot_that_is_the_very_last_line_can_be_dropped() {
        let table: &[(&[u8], Option<u64>)] = &[
            (b"a\n.\n", Some(2)),
            (b"a\n.", Some(2)),
            (b"a\r\n.\r\n", Some(3)),
            (b"a\r.", Some(2)),
            (b".", Some(0)),
            (b"a\n.\n\n", None),
            (b"a\n.\nb", None),
            (b"a\n..\n", None),
            (b"a\n. \n", None),
            (b"a.", None),
        ];
        for (input, end) in table {
            for cut in 0..=input.len() {
                let mut tally = scan(&[&input[..cut], &input[cut..]]);
                let before = tally.size;
                assert_eq!(tally.drop_last_dot(), *end, "{input:?} cut at {cut}");
                assert_eq!(tally.size, before - if end.is_some() { 3 } else { 0 });
            }
        }
    }
}
