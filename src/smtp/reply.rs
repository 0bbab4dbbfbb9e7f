//! What did the server answer, and what can it do? (RFC 5321 4.2, 4.1.1.1, 2034; bounded, whatever it sends)

use std::fmt;

use super::sasl::Mask;
use crate::mail::{
    find,
    outcome::{Enhanced, Reply},
};

/// Longest reply line. RFC 5321 4.5.3.1.5 says 512; real servers send longer advice, and 334 challenges are longer still.
const LINE_LIMIT: usize = 12 * 1024;
/// Most lines of one reply; an EHLO of a rich server has about twenty.
const LINES_LIMIT: usize = 256;
/// Most octets of one reply.
const REPLY_LIMIT: usize = 64 * 1024;

/// Why bytes are no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// This line does not begin with three digits of a reply.
    NotAReply(String),
    /// The lines of one reply disagree in their code.
    MixedCodes,
    /// A line, or the whole reply, is longer than anything reasonable.
    TooLong,
}

impl Malformed {
    /// The same without the secret, which is gone before anything is cut.
    pub(super) fn masked(self, mask: &Mask) -> Self {
        match self {
            Self::NotAReply(line) => Self::NotAReply(mask.hide(&line).into_owned()),
            other => other,
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAReply(line) => {
                let start: String = line.chars().take(60).collect();
                write!(f, "the server sent something that is no SMTP reply: {start:?}")
            }
            Self::MixedCodes => f.write_str("the lines of the server's reply carry different codes"),
            Self::TooLong => f.write_str("the server's reply is endless"),
        }
    }
}

/// Takes bytes as they arrive and gives whole replies, in bounded memory.
#[derive(Debug, Default)]
pub struct Parser {
    unread: Vec<u8>,
    start: usize,
    code: Option<u16>,
    enhanced: Option<Enhanced>,
    lines: Vec<String>,
    size: usize,
}

impl Parser {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.unread.drain(..self.start);
        self.start = 0;
        self.unread.extend_from_slice(bytes);
    }

    /// Nothing is left over: no whole reply, no fragment of one. At a lock-step point anything else is an attack (RFC 3207 6).
    pub fn is_empty(&self) -> bool {
        self.start == self.unread.len() && self.code.is_none()
    }

    /// The next whole reply, if it is there.
    ///
    /// # Errors
    /// The bytes are no reply, or exceed the bounds; the parser is of no use afterwards.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, Malformed> {
        while let Some(end) = find::one(b'\n', &self.unread[self.start..]) {
            let line = self.unread[self.start..self.start + end].to_vec();
            self.start += end + 1;
            if let Some(reply) = self.line(line.strip_suffix(b"\r").unwrap_or(&line))? {
                return Ok(Some(reply));
            }
        }
        if self.unread.len() - self.start > LINE_LIMIT { Err(Malformed::TooLong) } else { Ok(None) }
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Reply>, Malformed> {
        self.size += line.len();
        if line.len() > LINE_LIMIT || self.size > REPLY_LIMIT || self.lines.len() >= LINES_LIMIT {
            return Err(Malformed::TooLong);
        }
        let (code, more, rest) = split(line).ok_or_else(|| Malformed::NotAReply(decode(line)))?;
        if *self.code.get_or_insert(code) != code {
            return Err(Malformed::MixedCodes);
        }
        let text = decode(rest);
        let (enhanced, text) = match Enhanced::parse(&text, code) {
            Some((enhanced, after)) => (Some(enhanced), after.to_owned()),
            None => (None, text),
        };
        self.enhanced = self.enhanced.or(enhanced);
        self.lines.push(text);
        if more {
            return Ok(None);
        }
        self.code = None;
        self.size = 0;
        Ok(Some(Reply { code, enhanced: self.enhanced.take(), lines: std::mem::take(&mut self.lines) }))
    }
}

impl Enhanced {
    /// The code at the start of `text`, and the text behind it; `None` where there is none or its class contradicts `code`
    /// (RFC 2034 4: the class agrees with the first digit).
    fn parse(text: &str, code: u16) -> Option<(Self, &str)> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let mut parts = word.split('.');
        let mut number = |limit: usize| {
            let part = parts.next()?;
            let valid = !part.is_empty() && part.len() <= limit && part.bytes().all(|b| b.is_ascii_digit());
            valid.then(|| part.parse::<u16>().ok()).flatten()
        };
        let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
        if parts.next().is_some() || class != code / 100 {
            return None;
        }
        Some((Self { class: u8::try_from(class).ok()?, subject, detail }, rest.trim_start()))
    }
}

/// What EHLO said (RFC 5321 4.1.1.1); keywords in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// PIPELINING (RFC 2920).
    pub pipelining: bool,
    /// The limit of SIZE in octets (RFC 1870); `None` where none is declared.
    pub size: Option<u64>,
    /// 8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// REQUIRETLS (RFC 8689).
    pub requiretls: bool,
    /// XSEALPOST: it is the service of this machine, which takes a [`Handover`](super::command::Handover).
    pub sealpost: bool,
    /// Most MAILs of one connection (RFC 9422); `None` where nothing is said.
    pub mail_max: Option<u32>,
    /// AUTH mechanisms in the order of the server, upper case (RFC 4954).
    pub auth: Vec<String>,
}

impl Capabilities {
    /// Reads the reply to EHLO or LHLO.
    pub fn of(reply: &Reply) -> Self {
        let mut known = Self::default();
        for line in reply.lines.iter().skip(1) {
            known.add(line);
        }
        known
    }

    fn add(&mut self, line: &str) {
        // `AUTH=PLAIN LOGIN` is how servers of the last century say it, and some still do.
        let mut words = line.split([' ', '\t', '=']).filter(|w| !w.is_empty());
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_str() {
            "STARTTLS" => self.starttls = true,
            "PIPELINING" => self.pipelining = true,
            "SIZE" => self.size = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0),
            "8BITMIME" => self.eight_bit = true,
            "SMTPUTF8" => self.smtputf8 = true,
            "DSN" => self.dsn = true,
            "CHUNKING" => self.chunking = true,
            "REQUIRETLS" => self.requiretls = true,
            "XSEALPOST" => self.sealpost = true,
            "LIMITS" => {
                let value = words.skip_while(|word| !word.eq_ignore_ascii_case("MAILMAX")).nth(1);
                self.mail_max = value.and_then(|n| n.parse().ok());
            }
            "AUTH" => {
                for mechanism in words.map(str::to_ascii_uppercase) {
                    if !self.auth.contains(&mechanism) {
                        self.auth.push(mechanism);
                    }
                }
            }
            _ => {}
        }
    }
}

/// How many octets of a reply's line stand before its words, codes that is, and whether another line follows; of what is no reply none.
pub fn head(line: &str) -> (usize, bool) {
    let Some((code, more, rest)) = split(line.as_bytes()) else { return (0, false) };
    let text = line.get(line.len() - rest.len()..).unwrap_or_default();
    let words = Enhanced::parse(text, code).map_or(text, |(_, words)| words);
    (line.len() - words.len(), more)
}

fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let digits = line.get(..3)?;
    let valid = matches!(digits[0], b'2'..=b'5') && digits.iter().all(u8::is_ascii_digit);
    let code = valid.then(|| digits.iter().fold(0, |n, d| n * 10 + u16::from(d - b'0')))?;
    match line.get(3) {
        None => Some((code, false, b"")),
        Some(b' ' | b'\t') => Some((code, false, &line[4..])),
        Some(b'-') => Some((code, true, &line[4..])),
        Some(_) => None,
    }
}

/// UTF-8 where it is that, else Latin-1: 8-bit text in a reply is legal under SMTPUTF8, common without, and never a failure.
pub fn decode(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(input: &[u8]) -> Result<Vec<Reply>, Malformed> {
        let mut parser = Parser::default();
        parser.push(input);
        let mut replies = Vec::new();
        while let Some(reply) = parser.next_reply()? {
            replies.push(reply);
        }
        Ok(replies)
    }

    fn one(input: &[u8]) -> Reply {
        all(input).unwrap().remove(0)
    }

    #[test]
    fn a_reply_may_be_bare_short_lower_case_latin1_or_end_in_lf() {
        assert_eq!(one(b"250\r\n").code, 250);
        assert_eq!(one(b"354\n").code, 354);
        assert_eq!(one(b"250 \r\n").lines, [""]);
        assert_eq!(one(b"550 caf\xe9 ferm\xe9\r\n").text(), "café fermé");
        assert_eq!(one("550 café\r\n".as_bytes()).text(), "café");
        assert_eq!(one(b"571 nope\r\n").code, 571);
    }

    #[test]
    fn an_enhanced_code_counts_only_where_it_agrees_with_the_reply() {
        let reply = one(b"550 5.7.1 no relay\r\n");
        assert_eq!((reply.enhanced.unwrap().to_string(), reply.text()), ("5.7.1".into(), "no relay".into()));
        assert_eq!(reply.to_string(), "550 5.7.1 no relay");
        for odd in ["250 4.0.0 odd", "250 2.0 odd", "250 2.0.0.0 odd", "250 2..0 odd", "250 127.0.0.1 odd", "250 2.1234.1 odd"] {
            let reply = one(format!("{odd}\r\n").as_bytes());
            assert_eq!((reply.enhanced, reply.text()), (None, odd[4..].into()), "{odd}");
        }
    }

    #[test]
    fn the_lines_of_one_reply_agree_in_their_code() {
        assert_eq!(one(b"250-2.1.5 a\r\n250 2.1.5 b\r\n").lines, ["a", "b"]);
        assert_eq!(all(b"250-a\r\n550 b\r\n"), Err(Malformed::MixedCodes));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for noise in ["hello\r\n", "25\r\n", "\r\n", "650 x\r\n", "150 x\r\n", "2x0 x\r\n", "250x\r\n", "\x16\x03\x01\n"] {
            assert!(matches!(all(noise.as_bytes()), Err(Malformed::NotAReply(_))), "{noise:?}");
        }
    }

    #[test]
    fn an_endless_line_and_an_endless_reply_end() {
        assert_eq!(all(&vec![b'2'; LINE_LIMIT + 1]), Err(Malformed::TooLong));
        assert_eq!(all("250-x\r\n".repeat(LINES_LIMIT + 1).as_bytes()), Err(Malformed::TooLong));
        assert_eq!(all(format!("250-{}\r\n", "y".repeat(9000)).repeat(9).as_bytes()), Err(Malformed::TooLong));
    }

    #[test]
    fn what_is_left_over_is_seen() {
        let mut parser = Parser::default();
        parser.push(b"220 go\r\n250 injected\r\n");
        assert_eq!(parser.next_reply().unwrap().unwrap().code, 220);
        assert!(!parser.is_empty());
        let mut parser = Parser::default();
        parser.push(b"220 go\r\n2");
        parser.next_reply().unwrap();
        assert!(!parser.is_empty());
        let mut parser = Parser::default();
        parser.push(b"220-go\r\n");
        assert_eq!(parser.next_reply().unwrap(), None);
        assert!(!parser.is_empty());
    }

    #[test]
    fn capabilities_are_read_in_any_case_and_old_spellings() {
        let reply = one(b"250-mx STARTTLS\r\n250-size 1000\r\n250-Pipelining\r\n250-AUTH=PLAIN LOGIN\r\n250-auth plain scram-sha-256\r\n250-8bitmime\r\n250-DSN\r\n250-RequireTLS\r\n250 chunking\r\n");
        let known = Capabilities::of(&reply);
        assert_eq!(known.auth, ["PLAIN", "LOGIN", "SCRAM-SHA-256"]);
        assert_eq!(known.size, Some(1000));
        assert!(known.pipelining && known.eight_bit && known.dsn && known.chunking && known.requiretls);
        assert!(!known.starttls, "the greeting line names the host, nothing else");
        assert!(!Capabilities::of(&one(b"250-mx\r\n250 XXXXXXXA\r\n")).starttls);
        assert_eq!(Capabilities::of(&one(b"250-mx\r\n250 SIZE 0\r\n")).size, None);
        assert_eq!(Capabilities::of(&one(b"250-mx\r\n250 SIZE 99999999999999999999999\r\n")).size, None);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_replies(input in proptest::collection::vec(prop_oneof![Just(b'2'), Just(b'5'), Just(b'0'), Just(b' '), Just(b'-'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..200), cut in 0usize..200) {
            let cut = cut.min(input.len());
            let mut parser = Parser::default();
            let mut replies = Vec::new();
            let mut result = Ok(());
            'pieces: for piece in [&input[..cut], &input[cut..]] {
                parser.push(piece);
                loop {
                    match parser.next_reply() {
                        Ok(Some(reply)) => replies.push(reply),
                        Ok(None) => break,
                        Err(e) => { result = Err(e); break 'pieces; }
                    }
                }
            }
            prop_assert_eq!(result.map(|()| replies), all(&input));
        }
    }
}
