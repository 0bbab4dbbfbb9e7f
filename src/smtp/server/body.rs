//! Where does a message that comes after DATA end, and what are its octets? (RFC 5321 4.1.1.4, 4.5.2)

use memchr::memchr2;

/// Undoes dot-stuffing and finds the end, however the octets are cut into pieces.
///
/// Only `CRLF . CRLF` ends a message: a server that also takes `LF . LF` or the like lets whoever wrote the body put commands
/// behind it (SMTP smuggling). Bare CR and LF pass as they are.
#[derive(Debug)]
pub(super) struct Decoder {
    at: At,
    lone_lf_ends_lines: bool,
    bare: bool,
}

#[derive(Clone, Copy, Debug)]
enum At {
    LineStart,
    Dot,
    DotCr,
    Line,
    Cr,
}

impl Decoder {
    /// `lone_lf_ends_lines`: the peer is a local program that ends its lines, DATA included, with LF alone.
    pub(super) fn new(lone_lf_ends_lines: bool) -> Self {
        Self { at: At::LineStart, lone_lf_ends_lines, bare: false }
    }

    /// Appends the octets of the message in `input` to `out`; how many of `input` were used, and whether the end was among them.
    pub(super) fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let mut used = 0;
        while let Some(&octet) = input.get(used) {
            match (self.at, octet) {
                (At::Line, _) => {
                    used += self.line(input.get(used..).unwrap_or_default(), out);
                    continue;
                }
                (At::DotCr, b'\n') => return (used + 1, true),
                (At::Dot, b'\n') if self.lone_lf_ends_lines => return (used + 1, true),
                (At::LineStart, b'.') => self.at = At::Dot,
                (At::Dot, b'\r') => self.at = At::DotCr,
                (At::Cr, b'\n') => {
                    out.push(octet);
                    self.at = At::LineStart;
                }
                (At::LineStart | At::Dot, _) => {
                    self.at = At::Line;
                    continue;
                }
                // The dot was stuffing after all, and the CR behind it stands alone.
                (At::DotCr, _) => {
                    out.push(b'\r');
                    self.at = At::Cr;
                    continue;
                }
                (At::Cr, _) => {
                    self.bare = true;
                    self.at = At::Line;
                    continue;
                }
            }
            used += 1;
        }
        (used, false)
    }

    /// Whether a CR or LF stood alone, which RFC 5321 section 2.3.8 forbids a client to send.
    pub(super) fn saw_bare_line_end(&self) -> bool {
        self.bare
    }

    /// Copies up to and including the next CR or LF.
    fn line(&mut self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        let end = memchr2(b'\r', b'\n', rest);
        let piece = end.and_then(|end| rest.get(..=end)).unwrap_or(rest);
        out.extend_from_slice(piece);
        match piece.last() {
            Some(b'\r') => self.at = At::Cr,
            Some(b'\n') if self.lone_lf_ends_lines => self.at = At::LineStart,
            Some(b'\n') => self.bare = true,
            _ => {}
        }
        piece.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes out, what is left behind the end (`None`: no end), and whether a bare line end was seen.
    fn decoded(input: &[u8], pieces: usize, lf: bool) -> (Vec<u8>, Option<Vec<u8>>, bool) {
        let mut decoder = Decoder::new(lf);
        let mut out = Vec::new();
        let mut used = 0;
        for piece in input.chunks(pieces) {
            let (n, ended) = decoder.decode(piece, &mut out);
            used += n;
            if ended {
                return (out, Some(input[used..].to_vec()), decoder.saw_bare_line_end());
            }
            assert_eq!(n, piece.len());
        }
        (out, None, decoder.saw_bare_line_end())
    }

    #[test]
    fn only_a_dot_between_two_crlf_ends_a_message() {
        // input, octets of the message, what follows the end
        let cases: [(&str, &str, Option<&str>); 16] = [
            (".\r\n", "", Some("")),
            ("a\r\n.\r\nQUIT\r\n", "a\r\n", Some("QUIT\r\n")),
            ("a\r\n..\r\n.\r\n", "a\r\n.\r\n", Some("")),
            ("..a\r\n.b\r\n.\r\n", ".a\r\nb\r\n", Some("")),
            ("a\n.\nMAIL", "a\n.\nMAIL", None),
            ("a\n.\r\nMAIL", "a\n.\r\nMAIL", None),
            ("a\r\n.\nMAIL", "a\r\n\nMAIL", None),
            ("a\r.\rMAIL", "a\r.\rMAIL", None),
            ("a\r\n.\rMAIL", "a\r\n\rMAIL", None),
            ("a\r\n.\r\r\nMAIL", "a\r\n\r\r\nMAIL", None),
            ("a\r\r\n.\r\nMAIL", "a\r\r\n", Some("MAIL")),
            ("a\r\n\0.\r\nMAIL", "a\r\n\0.\r\nMAIL", None),
            ("a\r\n.\0\r\nMAIL", "a\r\n\0\r\nMAIL", None),
            ("a\r\n. \r\nMAIL", "a\r\n \r\nMAIL", None),
            ("a\n\r.\r\nMAIL", "a\n\r.\r\nMAIL", None),
            ("a.\r\n.\r\n", "a.\r\n", Some("")),
        ];
        for (input, message, rest) in cases {
            for pieces in 1..=input.len() {
                let (out, left, _) = decoded(input.as_bytes(), pieces, false);
                assert_eq!(String::from_utf8_lossy(&out), message, "{input:?} by {pieces}");
                assert_eq!(left.is_some(), rest.is_some(), "{input:?} by {pieces}");
                if pieces == input.len() {
                    assert_eq!(left.as_deref(), rest.map(str::as_bytes), "{input:?}");
                }
            }
        }
    }

    #[test]
    fn a_local_program_may_end_all_its_lines_with_lf_alone() {
        assert_eq!(decoded(b"a\n..b\n.\nQUIT\n", 1, true), (b"a\n.b\n".to_vec(), Some(b"QUIT\n".to_vec()), false));
        assert_eq!(decoded(b"a\r\n.\r\nQUIT", 64, true).1.as_deref(), Some(&b"QUIT"[..]));
    }

    #[test]
    fn a_bare_line_end_is_noticed() {
        for (input, bare) in
            [("a\r\n.b\r\n.\r\n", false), ("a\nb\r\n", true), ("a\rb\r\n", true), ("\r\n.\rx", true), ("a\r\r\n", true)]
        {
            assert_eq!(decoded(input.as_bytes(), 1, false).2, bare, "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_stuffed_comes_back_whatever_the_pieces(lines in proptest::collection::vec("[a.\\x00]{0,6}", 0..8), pieces in 1usize..9) {
            let message: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
            let mut wire = String::new();
            for line in &lines {
                wire.push_str(if line.starts_with('.') { "." } else { "" });
                wire.push_str(line);
                wire.push_str("\r\n");
            }
            wire.push_str(".\r\n");
            let (out, left, bare) = decoded(wire.as_bytes(), pieces, false);
            prop_assert_eq!(out, message.into_bytes());
            prop_assert_eq!(left.map(|left| left.len()), Some(0));
            prop_assert!(!bare);
        }

        #[test]
        fn the_cut_into_pieces_changes_nothing(input in "[a.\\r\\n]{0,40}", pieces in 1usize..9) {
            let whole = decoded(input.as_bytes(), 64, false);
            prop_assert_eq!(decoded(input.as_bytes(), pieces, false), whole);
        }
    }
}
