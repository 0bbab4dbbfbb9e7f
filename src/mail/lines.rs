//! Where do the lines of foreign text end? (RFC 5321 2.3.8; the one answer for scan, wire and re-encoding)
//!
//! LF, CRLF and CR CR LF end one line, a CR that no LF follows ends one too, and a NUL is no text. Because every reader of a
//! message asks here, what was measured, what is sent and what is re-encoded can't disagree about a line.

use super::find;

/// What a [`Splitter`] finds.
pub trait Sink {
    /// A piece of a line, without CR, LF and NUL; a line may come in many pieces.
    fn text(&mut self, piece: &[u8]);
    /// The line is over; `next` is the offset in the chunk at which the next one starts.
    fn end(&mut self, next: usize);
    /// A CR ended a line without an LF; `end` follows.
    fn bare_cr(&mut self) {}
    /// A NUL, which is passed over.
    fn nul(&mut self) {}
}

/// Cuts a stream of chunks into lines; the cuts don't depend on where the chunks end.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    /// CRs at the end of what was read, not yet judged: 0, 1 or 2. More would be a state without bound.
    held: u8,
}

impl Splitter {
    /// Cuts the next chunk.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut impl Sink) {
        // Nearly all mail has neither CR nor NUL here, and looking for one octet is quicker than looking for three.
        if self.held == 0 && find::two(b'\r', 0, chunk).is_none() {
            let mut from = 0;
            find::each(b'\n', chunk, |at| {
                text(sink, &chunk[from..at]);
                from = at + 1;
                sink.end(from);
            });
            text(sink, &chunk[from..]);
            return;
        }
        self.feed_any(chunk, sink);
    }

    fn feed_any(&mut self, chunk: &[u8], sink: &mut impl Sink) {
        let mut from = 0;
        find::each_of_three([b'\r', b'\n', 0], chunk, |at| {
            if from < at {
                self.settle(from, sink);
                text(sink, &chunk[from..at]);
            }
            from = at + 1;
            match chunk[at] {
                0 => sink.nul(),
                b'\n' => {
                    self.held = 0;
                    sink.end(from);
                }
                _ if self.held < 2 => self.held += 1,
                _ => {
                    sink.bare_cr();
                    sink.end(at);
                }
            }
        });
        if from < chunk.len() {
            self.settle(from, sink);
            text(sink, &chunk[from..]);
        }
    }

    /// The stream is over: CRs that still wait for an LF end their lines.
    pub fn finish(&mut self, sink: &mut impl Sink) {
        self.settle(0, sink);
    }

    /// No LF came: each CR that was held back ended a line.
    fn settle(&mut self, next: usize, sink: &mut impl Sink) {
        for _ in 0..self.held {
            sink.bare_cr();
            sink.end(next);
        }
        self.held = 0;
    }
}

fn text(sink: &mut impl Sink, piece: &[u8]) {
    if !piece.is_empty() {
        sink.text(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default, Debug, PartialEq)]
    struct Lines {
        done: Vec<Vec<u8>>,
        open: Vec<u8>,
        bare: usize,
        nul: usize,
    }

    impl Sink for Lines {
        fn text(&mut self, piece: &[u8]) {
            assert!(!piece.is_empty());
            self.open.extend_from_slice(piece);
        }
        fn end(&mut self, _: usize) {
            self.done.push(std::mem::take(&mut self.open));
        }
        fn bare_cr(&mut self) {
            self.bare += 1;
        }
        fn nul(&mut self) {
            self.nul += 1;
        }
    }

    fn split(chunks: &[&[u8]]) -> Lines {
        let (mut lines, mut splitter) = (Lines::default(), Splitter::default());
        for chunk in chunks {
            splitter.feed(chunk, &mut lines);
        }
        splitter.finish(&mut lines);
        lines
    }

    #[test]
    fn every_kind_of_line_end_ends_one_line() {
        let table: &[(&[u8], &[&str], &str, usize)] = &[
            (b"a\nb\n", &["a", "b"], "", 0),
            (b"a\r\nb", &["a"], "b", 0),
            (b"a\rb", &["a"], "b", 1),
            (b"a\r\r\nb", &["a"], "b", 0),
            (b"a\r\r\r\nb", &["a", ""], "b", 1),
            (b"a\r\rb", &["a", ""], "b", 2),
            (b"a\r", &["a"], "", 1),
            (b"\n\r\n\r", &["", "", ""], "", 1),
            (b"a\n\rb", &["a", ""], "b", 1),
            (b"a\r\0\nb\0c", &["a"], "bc", 0),
        ];
        for (input, done, open, bare) in table {
            let lines = split(&[input]);
            assert_eq!(lines.done, done.iter().map(|l| l.as_bytes().to_vec()).collect::<Vec<_>>(), "{input:?}");
            assert_eq!(lines.open, open.as_bytes(), "{input:?}");
            assert_eq!(lines.bare, *bare, "{input:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn where_chunks_end_does_not_matter(
            input in proptest::collection::vec(proptest::sample::select(b"a.\r\n\0".to_vec()), 0..40),
            cuts in proptest::collection::vec(0usize..40, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(input.len())).collect();
            cuts.extend([0, input.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect();
            proptest::prop_assert_eq!(split(&chunks), split(&[&input]));
        }
    }
}
