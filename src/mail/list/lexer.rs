//! What are the tokens of an address list? (RFC 5322 3.2)

/// One token: octets `start..end` of the text, both at character boundaries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// White space or a comment stands before it.
    pub(super) spaced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything without a meaning of its own, dots and control characters included.
    Word,
    /// A quoted string with its quotes.
    Quoted,
    /// A domain literal with its brackets.
    Literal,
    /// One of `< > @ , ; : ) ]`.
    Mark(u8),
    /// This opens and never closes; the token is all the rest.
    Unclosed(char),
}

/// Splits a text into tokens, each octet looked at a bounded number of times.
pub(super) struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    /// The next token; not an `Iterator`, for nobody iterates it as one.
    pub(super) fn next(&mut self) -> Option<Token> {
        let before = self.at;
        loop {
            self.skip_blanks();
            let start = self.at;
            let first = *self.bytes.get(start)?;
            let kind = match first {
                b'(' if self.skip_comment() => continue,
                b'(' => Kind::Unclosed('('),
                b'"' if self.skip_past(b'"') => Kind::Quoted,
                b'"' => Kind::Unclosed('"'),
                b'[' if self.skip_past(b']') => Kind::Literal,
                b'[' => Kind::Unclosed('['),
                _ if is_mark(first) => {
                    self.at += 1;
                    Kind::Mark(first)
                }
                _ => {
                    self.skip_word();
                    Kind::Word
                }
            };
            return Some(Token { kind, start, end: self.at, spaced: start > before });
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            match rest.first() {
                Some(b' ' | b'\t') => self.at += 1,
                _ => match fold_len(rest) {
                    0 => return,
                    len => self.at += len,
                },
            }
        }
    }

    /// Goes behind the comment that begins here, nested ones included; to the end, and `false`, where it doesn't close.
    fn skip_comment(&mut self) -> bool {
        let mut depth = 0_usize;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.skip_one(),
                b'(' => depth += 1,
                b')' if depth == 1 => return true,
                b')' => depth -= 1,
                _ => {}
            }
        }
        false
    }

    /// Goes behind the next `closing` after the octet here; to the end, and `false`, where there is none.
    fn skip_past(&mut self, closing: u8) -> bool {
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.skip_one(),
                _ if byte == closing => return true,
                _ => {}
            }
        }
        false
    }

    fn skip_word(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            let blank = matches!(byte, b' ' | b'\t') || fold_len(self.bytes.get(self.at..).unwrap_or_default()) > 0;
            if blank || is_mark(byte) || matches!(byte, b'(' | b'"' | b'[') {
                return;
            }
            self.at += 1;
            if byte == b'\\' {
                self.skip_one();
            }
        }
    }

    /// Goes behind an escaped octet; the others of its character, where it has more, are ordinary ones.
    fn skip_one(&mut self) {
        self.at = self.bytes.len().min(self.at + 1);
    }
}

/// How long the line end at the front is, if it is one that folds (white space or the end follows), else 0.
pub(super) fn fold_len(bytes: &[u8]) -> usize {
    let len = match bytes {
        [b'\r', b'\n', ..] => 2,
        [b'\n', ..] => 1,
        _ => return 0,
    };
    if matches!(bytes.get(len), None | Some(b' ' | b'\t')) { len } else { 0 }
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'@' | b',' | b';' | b':' | b')' | b']')
}
