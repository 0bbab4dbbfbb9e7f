//! How do foreign bytes become lines of SMTP, so that no input can end the data early? (RFC 5321 2.3.8, 4.5.2)

use crate::mail::{
    find,
    lines::{Sink, Splitter},
};

/// Makes every line end CRLF and leaves NULs out, chunk by chunk; what comes out has no other CR or LF.
#[derive(Clone, Debug, Default)]
pub struct CrlfNormaliser {
    splitter: Splitter,
    /// A line has begun and not ended.
    open: bool,
}

/// How many octets more than twice the chunk [`CrlfNormaliser::feed`] may append: two CRs that were held back.
pub const HELD: usize = 4;

impl CrlfNormaliser {
    /// Appends the normalised form of `chunk`: at most twice its length and [`HELD`].
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        self.splitter.feed(chunk, &mut Lines { out, open: &mut self.open });
    }

    /// Ends the last line; at most [`HELD`] octets. The normaliser is as new afterwards.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.splitter.finish(&mut Lines { out, open: &mut self.open });
        if std::mem::take(&mut self.open) {
            out.extend_from_slice(b"\r\n");
        }
    }
}

struct Lines<'a> {
    out: &'a mut Vec<u8>,
    open: &'a mut bool,
}

impl Sink for Lines<'_> {
    fn text(&mut self, piece: &[u8]) {
        self.out.extend_from_slice(piece);
        *self.open = true;
    }

    fn end(&mut self, _: usize) {
        self.out.extend_from_slice(b"\r\n");
        *self.open = false;
    }
}

/// Doubles the dot at the start of a line, chunk by chunk (RFC 5321 4.5.2).
///
/// Wants lines that end in CRLF and no other LF, as [`crate::mail::content::Content`] promises.
#[derive(Clone, Debug)]
pub struct DotStuffer {
    /// The last two octets, as far as they matter: how much of CRLF has been seen.
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Cr,
    Crlf,
}

impl Default for DotStuffer {
    fn default() -> Self {
        Self { seen: Seen::Crlf }
    }
}

impl DotStuffer {
    /// Appends the stuffed form of `chunk`: its length and one octet for each line that starts with a dot.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let (Some(first), Some(last)) = (chunk.first(), chunk.last()) else {
            return;
        };
        let mut from = 0;
        // A dot right behind a chunk border: after "\r\n" before it, or after "\r" before it and "\n" here.
        if self.seen == Seen::Crlf && *first == b'.' {
            out.push(b'.');
        } else if self.seen == Seen::Cr && chunk.starts_with(b"\n.") {
            out.extend_from_slice(b"\n.");
            from = 1;
        }
        find::each_pattern(b"\r\n.", chunk, |at| {
            out.extend_from_slice(&chunk[from..at + 2]);
            out.push(b'.');
            from = at + 2;
        });
        out.extend_from_slice(&chunk[from..]);
        self.seen = match last {
            b'\r' => Seen::Cr,
            b'\n' if chunk.ends_with(b"\r\n") || (chunk.len() == 1 && self.seen == Seen::Cr) => Seen::Crlf,
            _ => Seen::Nothing,
        };
    }

    /// What ends the data; a last line without CRLF is ended first. The stuffer is as new afterwards.
    pub fn finish(&mut self) -> &'static [u8] {
        match std::mem::replace(&mut self.seen, Seen::Crlf) {
            Seen::Crlf => b".\r\n",
            Seen::Cr => b"\n.\r\n",
            Seen::Nothing => b"\r\n.\r\n",
        }
    }
}

#[cfg(test)]
mod tests;
