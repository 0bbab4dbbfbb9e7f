//! What does a server of HTTP answer, however its octets are cut? (RFC 9112, bounded)

use std::fmt;

use zeroize::Zeroizing;

/// Most octets of an answer, its head and its chunks included. Tokens have a few thousand.
const LONGEST: usize = 128 * 1024;

/// Most fields of a head.
const FIELDS: usize = 100;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Where a redirect points.
    pub location: Option<String>,
    /// The content.
    pub body: Zeroizing<Vec<u8>>,
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not HTTP.
    Malformed,
    /// It is longer than any that makes sense.
    TooLong,
    /// It breaks off.
    Short,
    /// Its content has a form that nobody asked for.
    Encoded,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the answer is not HTTP",
            Self::TooLong => "the answer is longer than 128 KiB",
            Self::Short => "the answer breaks off",
            Self::Encoded => "the answer is compressed, which nobody asked for",
        })
    }
}

/// Reads one answer.
pub struct Reader {
    /// All that came, in a buffer that never grows.
    octets: Zeroizing<Vec<u8>>,
    /// How much of it is understood.
    at: usize,
    state: State,
    status: u16,
    location: Option<String>,
    body: Zeroizing<Vec<u8>>,
}

/// What comes next.
#[derive(Clone, Copy)]
enum State {
    Head,
    /// As many octets.
    Length(usize),
    /// All until the connection ends.
    Rest,
    /// The size of a chunk.
    Size,
    /// A chunk of as many octets, and the end of its line.
    Chunk(usize),
    /// The fields behind the last chunk, which are passed over.
    Trailer,
}

impl Default for Reader {
    fn default() -> Self {
        let buffer = || Zeroizing::new(Vec::with_capacity(LONGEST));
        Self { octets: buffer(), at: 0, state: State::Head, status: 0, location: None, body: buffer() }
    }
}

impl Reader {
    /// Takes the next octets; the answer, as soon as it is whole.
    ///
    /// # Errors
    /// It is none, or too long.
    pub fn push(&mut self, octets: &[u8]) -> Result<Option<Answer>, Fault> {
        if self.octets.len() + octets.len() > LONGEST {
            return Err(Fault::TooLong);
        }
        self.octets.extend_from_slice(octets);
        while let Some(next) = self.step()? {
            let Some(state) = next else { return Ok(Some(self.finish())) };
            self.state = state;
        }
        Ok(None)
    }

    /// The connection has ended; the answer, if that is how its end is marked.
    ///
    /// # Errors
    /// It breaks off.
    pub fn end(mut self) -> Result<Answer, Fault> {
        match self.state {
            State::Rest => {
                self.body.extend_from_slice(self.octets.get(self.at..).unwrap_or_default());
                Ok(self.finish())
            }
            _ => Err(Fault::Short),
        }
    }

    fn finish(&mut self) -> Answer {
        Answer { status: self.status, location: self.location.take(), body: std::mem::take(&mut self.body) }
    }

    /// One step: `None` needs more octets, `Some(None)` is the end.
    #[expect(clippy::option_option, reason = "wait, go on, end")]
    fn step(&mut self) -> Result<Option<Option<State>>, Fault> {
        let rest = self.octets.get(self.at..).unwrap_or_default();
        let next = match self.state {
            State::Head => return self.head(),
            State::Length(length) => rest.get(..length).map(|body| (length, body, None)),
            State::Rest => None,
            State::Size => match httparse::parse_chunk_size(rest) {
                Ok(httparse::Status::Complete((octets, 0))) => Some((octets, &b""[..], Some(State::Trailer))),
                Ok(httparse::Status::Complete((octets, size))) => {
                    let size = usize::try_from(size).ok().filter(|size| *size <= LONGEST).ok_or(Fault::TooLong)?;
                    Some((octets, &b""[..], Some(State::Chunk(size))))
                }
                Ok(httparse::Status::Partial) => None,
                Err(_) => return Err(Fault::Malformed),
            },
            State::Chunk(size) => match rest.get(size..size + 2) {
                Some(b"\r\n") => rest.get(..size).map(|chunk| (size + 2, chunk, Some(State::Size))),
                Some(_) => return Err(Fault::Malformed),
                None => None,
            },
            State::Trailer => {
                let end = rest.iter().position(|octet| *octet == b'\n');
                end.map(|end| (end + 1, &b""[..], (end > 1).then_some(State::Trailer)))
            }
        };
        let Some((octets, content, state)) = next else { return Ok(None) };
        self.body.extend_from_slice(content);
        self.at += octets;
        Ok(Some(state))
    }

    #[expect(clippy::option_option, reason = "as in `step`")]
    fn head(&mut self) -> Result<Option<Option<State>>, Fault> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut head = httparse::Response::new(&mut fields);
        let rest = self.octets.get(self.at..).unwrap_or_default();
        let length = match head.parse(rest) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Fault::TooLong),
            Err(_) => return Err(Fault::Malformed),
        };
        let status = head.code.unwrap_or_default();
        let field = |name: &str| {
            head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value.trim_ascii())
        };
        let state = match (status, field("transfer-encoding"), field("content-length")) {
            // Not the answer yet (RFC 9110 15.2).
            (100..200, ..) => Some(State::Head),
            (204 | 304, ..) => None,
            (_, Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") => Some(State::Size),
            (_, Some(_), _) => return Err(Fault::Encoded),
            (_, None, Some(digits)) => Some(State::Length(length_of(digits)?)),
            (_, None, None) => Some(State::Rest),
        };
        if field("content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")) {
            return Err(Fault::Encoded);
        }
        let location = field("location").and_then(|value| std::str::from_utf8(value).ok()).map(str::to_owned);
        (self.status, self.location) = (status, location);
        self.at += length;
        Ok(Some(state))
    }
}

fn length_of(digits: &[u8]) -> Result<usize, Fault> {
    let length: u64 = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(Fault::Malformed)?;
    usize::try_from(length).ok().filter(|length| *length <= LONGEST).ok_or(Fault::TooLong)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The answer that comes in pieces of `step` octets, its connection closed behind it.
    fn read(octets: &[u8], step: usize) -> Result<(u16, String), Fault> {
        let mut reader = Reader::default();
        for piece in octets.chunks(step) {
            if let Some(answer) = reader.push(piece)? {
                return Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()));
            }
        }
        reader.end().map(|answer| (answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
    }

    #[test]
    fn each_way_to_end_an_answer_is_understood_wherever_it_is_cut() {
        for (octets, wanted) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Ok((200, "{}"))),
            ("HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\n{}behind", Ok((200, "{}"))),
            ("HTTP/1.0 400 Bad\r\n\r\n{\"a\":1}", Ok((400, "{\"a\":1}"))),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
                Ok((200, "{}abc")),
            ),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 None\r\n\r\n", Ok((204, ""))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", Err(Fault::Short)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", Err(Fault::Short)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}xx", Err(Fault::Malformed)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Err(Fault::Encoded)),
            ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", Err(Fault::Encoded)),
            ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Err(Fault::Malformed)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", Err(Fault::TooLong)),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", Err(Fault::TooLong)),
            ("220 mail.example.com ESMTP\r\n", Err(Fault::Malformed)),
            ("", Err(Fault::Short)),
        ] {
            let wanted = wanted.map(|(status, body): (u16, &str)| (status, body.to_owned()));
            for step in [1, 3, 4096] {
                assert_eq!(read(octets.as_bytes(), step), wanted, "{octets:?}, {step} octets at once");
            }
        }
    }

    #[test]
    fn an_answer_without_end_is_cut() {
        let mut reader = Reader::default();
        let endless = (0..).find_map(|n| reader.push(if n == 0 { b"HTTP/1.1 200 OK\r\n\r\n" } else { b"xxxxxxxxxxxxxxxx" }).err());
        assert_eq!(endless, Some(Fault::TooLong));
        let fields = "HTTP/1.1 200 OK\r\n".to_owned() + &"a: b\r\n".repeat(FIELDS + 1);
        assert_eq!(read(fields.as_bytes(), 4096), Err(Fault::TooLong));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_alike_wherever_they_are_cut(
            octets in "(HTTP/1.1 [0-9]{3} x\r\n|content-length: [0-9]{1,2}\r\n|transfer-encoding: chunked\r\n|\r\n|[0-9a-f]{1,2}|[a-z:;]|\n){0,20}",
            step in 1..9_usize,
        ) {
            prop_assert_eq!(read(octets.as_bytes(), step), read(octets.as_bytes(), 4096));
        }
    }
}
