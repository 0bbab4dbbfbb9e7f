//! Which of a message's first lines are its header, and which fields are in it? (RFC 5322 2.2, 3.6)

use super::find;

/// The largest header that is taken, in octets.
pub const LARGEST: usize = 1 << 20;

/// A header as it will be said: fields in their order, every line ended by CRLF, without NUL and bare CR.
#[derive(Clone, Debug, Default)]
pub struct Header {
    text: Vec<u8>,
    fields: Vec<Span>,
}

/// Where one field is in the text.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    colon: usize,
    end: usize,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Name, colon and value with its folds and its CRLF.
    pub raw: &'a [u8],
    /// The name as it was written; printable ASCII.
    pub name: &'a str,
    /// What follows the colon, folds included, without white space and CRLF at either end.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether this is its name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The value as text: folds removed; what is not UTF-8 is taken for Latin-1.
    pub fn text(&self) -> String {
        text(self.value)
    }
}

/// The value of a field as text: folds removed; what is not UTF-8 is taken for Latin-1.
pub fn text(value: &[u8]) -> String {
    let line: Vec<u8> = value.iter().copied().filter(|c| !matches!(c, b'\r' | b'\n')).collect();
    String::from_utf8(line).unwrap_or_else(|e| e.as_bytes().iter().copied().map(char::from).collect())
}

impl Header {
    /// The fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        self.fields.iter().map(|span| Field {
            raw: &self.text[span.start..span.end],
            // Only ASCII passes for a name, so there is always a text.
            name: std::str::from_utf8(&self.text[span.start..span.colon]).unwrap_or_default(),
            value: self.text[span.colon + 1..span.end].trim_ascii(),
        })
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Takes a line without line end in; false where it is no part of a header.
    fn push(&mut self, line: &[u8]) -> bool {
        if let (true, Some(field)) = (matches!(line.first(), Some(b' ' | b'\t')), self.fields.last_mut()) {
            // A fold with nothing in it would look like the end of the header to some.
            if !line.trim_ascii().is_empty() {
                self.text.extend_from_slice(line);
                self.text.extend_from_slice(b"\r\n");
                field.end = self.text.len();
            }
            return true;
        }
        let Some((name, value)) = split_name(line) else { return false };
        let start = self.text.len();
        self.text.extend_from_slice(name);
        self.text.push(b':');
        self.text.extend_from_slice(value);
        self.text.extend_from_slice(b"\r\n");
        self.fields.push(Span { start, colon: start + name.len(), end: self.text.len() });
        true
    }
}

/// Name and value of a line that begins a field; `Name :` counts (RFC 5322 4.5).
pub fn split_name(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = line.split_at_checked(find::one(b':', line)?)?;
    let name = name.trim_ascii_end();
    (!name.is_empty() && name.iter().all(|c| matches!(c, 33..=126))).then_some((name, value.get(1..)?))
}

/// The start of a message was judged.
#[derive(Debug)]
pub struct Start {
    /// The header; empty where all text is body.
    pub header: Header,
    /// Where the body starts: an offset into everything that was pushed.
    pub body: usize,
}

/// The header is larger than [`LARGEST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Collects the start of a message until it is clear where the header ends.
#[derive(Debug, Default)]
pub struct Opening {
    raw: Vec<u8>,
    /// Start of the first line that was not judged.
    line: usize,
    /// No LF from `line` to here.
    searched: usize,
    header: Header,
    /// Where the message starts behind mbox lines, and whether they can be nothing else.
    start: usize,
    mbox: bool,
    scratch: Vec<u8>,
}

/// What ended the header.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// The empty line.
    Empty,
    /// A line that is no field, the end of the message, or the limit.
    Text,
}

impl Opening {
    /// Takes the next chunk; `Some` when the header is over. Everything that was pushed is in [`Opening::into_raw`].
    ///
    /// # Errors
    /// More than [`LARGEST`] octets of header.
    pub fn push(&mut self, chunk: &[u8]) -> Result<Option<Start>, TooLarge> {
        self.raw.extend_from_slice(chunk);
        while let Some(at) = find::one(b'\n', &self.raw[self.searched..]) {
            let end = self.searched + at;
            self.searched = end + 1;
            if let Some(start) = self.judge(end) {
                return Ok(Some(start));
            }
            self.line = self.searched;
            if self.line > LARGEST {
                return self.overfull();
            }
        }
        self.searched = self.raw.len();
        if self.raw.len() > LARGEST { self.overfull() } else { Ok(None) }
    }

    /// The message is over.
    pub fn finish(&mut self) -> Start {
        if self.line < self.raw.len() {
            if let Some(start) = self.judge(self.raw.len()) {
                return start;
            }
            self.line = self.raw.len();
        }
        self.end(End::Text, self.line)
    }

    /// Everything that was pushed.
    pub fn into_raw(self) -> Vec<u8> {
        self.raw
    }

    /// Judges the line that ends before `end`; `Some` when it ended the header.
    fn judge(&mut self, end: usize) -> Option<Start> {
        let line = &self.raw[self.line..end];
        let next = (end + 1).min(self.raw.len());
        let line = if find::two(b'\r', 0, line).is_none() {
            line
        } else {
            self.scratch.clear();
            self.scratch.extend(line.iter().copied().filter(|c| *c != 0));
            let text = self.scratch.iter().rposition(|c| *c != b'\r').map_or(0, |last| last + 1);
            self.scratch.truncate(text);
            self.scratch.iter_mut().filter(|c| **c == b'\r').for_each(|c| *c = b' ');
            &self.scratch
        };
        if line.is_empty() {
            return Some(self.end(End::Empty, next));
        }
        if self.header.is_empty() && (line.starts_with(b"From ") || line.starts_with(b">From ")) {
            self.start = next;
            self.mbox |= has_time(line);
            return None;
        }
        if self.header.push(line) { None } else { Some(self.end(End::Text, self.line)) }
    }

    /// Decides whether what was collected is a header at all: no text may be lost to a first line like `Warning: disk full`
    /// or `From now on …`.
    fn end(&mut self, end: End, body: usize) -> Start {
        let header = std::mem::take(&mut self.header);
        if !header.is_empty() && (end == End::Empty || header.fields().any(|f| is_known(f.name))) {
            return Start { header, body };
        }
        let body = match (self.start, self.mbox) {
            (1.., false) if header.is_empty() => 0,
            _ if header.is_empty() => body,
            (start, _) => start,
        };
        Start { header: Header::default(), body }
    }

    fn overfull(&mut self) -> Result<Option<Start>, TooLarge> {
        // A field as long as that is no text either: its addresses may be those of a Bcc.
        let unfinished =
            split_name(&self.raw[self.line..]).and_then(|(name, _)| std::str::from_utf8(name).ok()).is_some_and(is_known);
        match self.end(End::Text, self.line) {
            start if start.header.is_empty() && !unfinished => Ok(Some(start)),
            _ => Err(TooLarge),
        }
    }
}

/// `dd:dd` somewhere: what an mbox line has and a sentence that begins with "From" hardly.
fn has_time(line: &[u8]) -> bool {
    line.windows(5).any(|w| w[2] == b':' && [0, 1, 3, 4].iter().all(|i| w[*i].is_ascii_digit()))
}

/// Names that nobody writes at the start of a plain text by chance.
fn is_known(name: &str) -> bool {
    const PREFIXES: [&str; 6] = ["x-", "resent-", "content-", "list-", "arc-", "mime-"];
    const NAMES: [&str; 24] = [
        "apparently-to",
        "authentication-results",
        "auto-submitted",
        "bcc",
        "cc",
        "date",
        "delivered-to",
        "disposition-notification-to",
        "dkim-signature",
        "errors-to",
        "from",
        "full-name",
        "in-reply-to",
        "message-id",
        "precedence",
        "received",
        "references",
        "reply-to",
        "return-path",
        "return-receipt-to",
        "sender",
        "subject",
        "to",
        "user-agent",
    ];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
        || PREFIXES.iter().any(|p| name.get(..p.len()).is_some_and(|start| start.eq_ignore_ascii_case(p)))
}

#[cfg(test)]
mod tests;
