//! How does a line of any octets become lines of printable ASCII? (RFC 2045 6.7 quoted-printable, 6.8 base64)

/// Octets of an encoded line, the `=` of a soft break included.
const WIDTH: usize = 76;

/// What comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Plain octets.
    Plain,
    /// Quoted-printable with long lines or octets that should not be in it: what is encoded stays so.
    Encoded,
}

/// Encodes lines, piece by piece.
///
/// The first piece of a line is the whole line or at least 5 octets: so `From ` at its start is seen, wherever the chunks end.
#[derive(Clone, Debug)]
pub struct Encoder {
    input: Input,
    /// The line has begun.
    open: bool,
    /// Octets on the line that is being written.
    column: usize,
    /// One octet, or one `=XX`, that waits to know whether it is the last of its line.
    held: Token,
}

#[derive(Clone, Copy, Debug, Default)]
struct Token {
    octets: [u8; 3],
    length: usize,
}

impl Token {
    fn raw(octet: u8) -> Self {
        Self { octets: [octet, 0, 0], length: 1 }
    }

    fn encoded(octet: u8) -> Self {
        Self { octets: escape(octet), length: 3 }
    }

    fn text(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

impl Encoder {
    /// An encoder at the start of a line.
    pub fn new(input: Input) -> Self {
        Self { input, open: false, column: 0, held: Token::default() }
    }

    /// Appends the encoded form of a piece of a line.
    pub fn text(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let from = !self.open && piece.starts_with(b"From ");
        for (i, octet) in piece.iter().enumerate() {
            if self.input == Input::Encoded && self.continues(*octet) {
                continue;
            }
            self.flush(WIDTH - 1, out);
            // A dot could be stuffed twice by careless relays, and "From " gets a ">" from mailboxes.
            let risky = !self.open && (*octet == b'.' || (i == 0 && from));
            self.held = match *octet {
                b'=' if self.input == Input::Encoded => Token::raw(b'='),
                b'\t' | b' '..=b'<' | b'>'..=b'~' if !risky => Token::raw(*octet),
                octet => Token::encoded(octet),
            };
            self.open = true;
        }
    }

    /// Ends the line.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if self.input == Input::Plain && matches!(self.held.text(), b" " | b"\t") {
            self.held = Token::encoded(self.held.octets[0]);
        }
        self.flush(WIDTH, out);
        out.extend_from_slice(b"\r\n");
        (self.open, self.column) = (false, 0);
    }

    /// Whether the octet belongs to an `=XX` that has begun.
    fn continues(&mut self, octet: u8) -> bool {
        let more = self.held.text().first() == Some(&b'=') && self.held.length < 3 && octet.is_ascii_hexdigit();
        if more {
            self.held.octets[self.held.length] = octet;
            self.held.length += 1;
        }
        more
    }

    /// Writes what is held, on a new line where it would end behind `limit`.
    fn flush(&mut self, limit: usize, out: &mut Vec<u8>) {
        let mut token = std::mem::take(&mut self.held);
        if self.column + token.length > limit {
            out.extend_from_slice(b"=\r\n");
            self.column = 0;
            // Nor may a line that only we began look like an mbox line or a boundary.
            if let [octet @ (b'.' | b'F' | b'-')] = token.text() {
                token = Token::encoded(*octet);
            }
        }
        out.extend_from_slice(token.text());
        self.column += token.length;
    }
}

/// `=XX`.
pub fn escape(octet: u8) -> [u8; 3] {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    [b'=', HEX[usize::from(octet >> 4)], HEX[usize::from(octet & 15)]]
}

/// Breaks lines that are base64 already, and leaves out what is not: decoders skip it (RFC 2045 6.8).
#[derive(Clone, Debug, Default)]
pub struct Wrapper {
    column: usize,
}

impl Wrapper {
    /// Appends a piece of a line.
    pub fn text(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for octet in piece.iter().filter(|c| c.is_ascii_graphic()) {
            if self.column == WIDTH {
                out.extend_from_slice(b"\r\n");
                self.column = 0;
            }
            out.push(*octet);
            self.column += 1;
        }
    }

    /// Ends the line.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.column = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn encode(input: Input, lines: &[Vec<u8>], cut: usize) -> Vec<u8> {
        let (mut encoder, mut out) = (Encoder::new(input), Vec::new());
        for line in lines {
            let cut = line.len().min(cut.max(5));
            encoder.text(&line[..cut], &mut out);
            encoder.text(&line[cut..], &mut out);
            encoder.end(&mut out);
        }
        out
    }

    /// A decoder by the book, apart from lettre's and ours.
    fn decode(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in text.split_inclusive(|c| *c == b'\n') {
            let line = line.strip_suffix(b"\r\n").expect("every line ends in CRLF");
            let (line, hard) = line.strip_suffix(b"=").map_or((line, true), |l| (l, false));
            let mut rest = line.iter();
            while let Some(c) = rest.next() {
                out.push(if *c == b'=' {
                    let mut digit = || char::from(*rest.next().unwrap()).to_digit(16).unwrap();
                    u8::try_from(digit() * 16 + digit()).unwrap()
                } else {
                    *c
                });
            }
            if hard {
                out.extend_from_slice(b"\r\n");
            }
        }
        out
    }

    fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
        lines.iter().flat_map(|l| [&l[..], b"\r\n"].concat()).collect()
    }

    #[test]
    fn each_rule_of_the_encoding_holds() {
        let table: &[(&[u8], &str)] = &[
            (b"", "\r\n"),
            (b"plain text", "plain text\r\n"),
            (b"f\xc3\xbcr = 1", "f=C3=BCr =3D 1\r\n"),
            (b"ends in space ", "ends in space=20\r\n"),
            (b"ends in tab\t", "ends in tab=09\r\n"),
            (b" ", "=20\r\n"),
            (b".", "=2E\r\n"),
            (b".a.", "=2Ea.\r\n"),
            (b"From a", "=46rom a\r\n"),
            (b"Frozen", "Frozen\r\n"),
            (b"\0\x1b\x7f", "=00=1B=7F\r\n"),
        ];
        for (line, want) in table {
            assert_eq!(String::from_utf8(encode(Input::Plain, &[line.to_vec()], 5)).unwrap(), *want);
        }
    }

    #[test]
    fn lines_break_softly_at_76_and_not_before() {
        let line = |n: usize| String::from_utf8(encode(Input::Plain, &[vec![b'a'; n]], 5)).unwrap();
        assert_eq!(line(76), format!("{}\r\n", "a".repeat(76)));
        assert_eq!(line(77), format!("{}=\r\naa\r\n", "a".repeat(75)));
        let umlauts = encode(Input::Plain, &[vec![0xfc; 26]], 5);
        assert_eq!(String::from_utf8(umlauts).unwrap(), format!("{}=\r\n=FC\r\n", "=FC".repeat(25)));
    }

    #[test]
    fn what_is_encoded_already_is_not_encoded_twice() {
        let line = [&b"=C3=bc\xfc =3D ".repeat(9)[..], b"="].concat();
        let out = encode(Input::Encoded, &[line], 6);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.replace("=\r\n", ""), "=C3=bc=FC =3D ".repeat(9));
        assert!(text.split("\r\n").all(|l| l.len() <= 76));
    }

    #[test]
    fn base64_is_wrapped_and_cleaned() {
        let (mut wrapper, mut out) = (Wrapper::default(), Vec::new());
        wrapper.text(&[b'A'; 100], &mut out);
        wrapper.text(b"B\xfc C", &mut out);
        wrapper.end(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{}\r\n{}BC\r\n", "A".repeat(76), "A".repeat(24)));
    }

    fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let octet =
            prop_oneof![any::<u8>(), select(b" \t.=-F".to_vec())].prop_filter("no line ends", |c| !matches!(c, b'\r' | b'\n'));
        vec(vec(octet, 0..200), 0..5)
    }

    proptest! {
        #[test]
        fn decoding_gives_back_every_octet(lines in lines(), cut in 0usize..200) {
            let out = encode(Input::Plain, &lines, cut);
            prop_assert_eq!(decode(&out), joined(&lines));
            prop_assert_eq!(&out, &encode(Input::Plain, &lines, 200));
            for line in out.split(|c| *c == b'\n') {
                prop_assert!(line.len() <= 77 && line.iter().all(|c| *c <= 126));
                prop_assert!(!line.starts_with(b".") && !line.starts_with(b"From "));
                prop_assert!(!line.ends_with(b" \r") && !line.ends_with(b"\t\r"));
            }
        }

        #[test]
        fn mending_good_quoted_printable_keeps_its_meaning(lines in lines(), cut in 0usize..200) {
            let good = encode(Input::Plain, &lines, 200);
            let lines: Vec<Vec<u8>> = good.split_inclusive(|c| *c == b'\n').map(|l| l.strip_suffix(b"\r\n").unwrap().to_vec()).collect();
            prop_assert_eq!(decode(&encode(Input::Encoded, &lines, cut)), decode(&good));
        }
    }
}
