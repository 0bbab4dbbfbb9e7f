//! How is each entity written in the form that was asked for? (RFC 2045 6; RFC 6152 3)

use super::{
    Refused,
    entity::{Fields, Kind},
    survey::{Action, Plan},
    walk::{Visitor, Walker},
};
use crate::mail::{
    content::Form,
    fold::{self, MOST},
    qp::{Encoder, Input, Wrapper, escape},
};

/// The second pass: takes the message as it is stored, gives it as it may be said.
pub struct Recoder(Walker<Writer>);

impl Recoder {
    /// At the start of the message that `plan` was made of.
    pub fn new(plan: Plan, form: Form) -> Self {
        let writer = Writer {
            plan,
            form,
            next: 0,
            sealed: false,
            action: Action::Keep,
            mime: false,
            column: 0,
            body: Body::Keep,
            out: Vec::new(),
            refused: None,
        };
        Self(Walker::new(writer))
    }

    /// Takes the next chunk and appends what it becomes, a small multiple of its length at the most.
    ///
    /// # Errors
    /// An octet would have to change that must not.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), Refused> {
        std::mem::swap(&mut self.0.visitor().out, out);
        self.0.feed(chunk);
        std::mem::swap(&mut self.0.visitor().out, out);
        self.0.visitor().refused.map_or(Ok(()), Err)
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As for [`Recoder::feed`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Refused> {
        std::mem::swap(&mut self.0.visitor().out, out);
        self.0.finish();
        std::mem::swap(&mut self.0.visitor().out, out);
        self.0.visitor().refused.map_or(Ok(()), Err)
    }
}

struct Writer {
    plan: Plan,
    form: Form,
    /// Number of the next entity.
    next: usize,
    /// The entity that is being read must not change, and what is to be done with it.
    sealed: bool,
    action: Action,
    /// Its header has MIME-Version.
    mime: bool,
    /// Octets of a line between entities.
    column: usize,
    body: Body,
    out: Vec<u8>,
    refused: Option<Refused>,
}

/// Who writes the content of the entity.
enum Body {
    Keep,
    Quoted { encoder: Encoder, nuls: bool },
    Base64(Wrapper),
}

const SEALED: Refused = Refused("a signed or encrypted part would have to change");

impl Writer {
    fn line(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    /// What an entity that is encoded now says of itself; the message also what it left to chance.
    fn label(&mut self, fields: &Fields) {
        if self.next == 1 {
            if !self.mime {
                self.line(b"MIME-Version: 1.0");
            }
            if fields.content_type.is_none() {
                let charset = self.plan.charset();
                self.line(format!("Content-Type: text/plain; charset={charset}").as_bytes());
            }
        }
        self.line(b"Content-Transfer-Encoding: quoted-printable");
    }
}

impl Visitor for Writer {
    fn entity(&mut self, sealed: bool) {
        (self.sealed, self.mime, self.column) = (sealed, false, 0);
        match self.plan.action(self.next, self.form) {
            Ok(action) => self.action = action,
            Err(why) => self.refuse(why),
        }
        self.next += 1;
    }

    fn header(&mut self, name: &[u8], line: &[u8]) {
        self.mime |= name == b"mime-version";
        let relabelled = matches!(self.action, Action::Unlabel | Action::Encode { .. });
        if relabelled && name == b"content-transfer-encoding" {
            return;
        }
        let eight_bit = self.form == Form::SevenBit && !line.is_ascii();
        if !eight_bit && line.len() <= MOST {
            self.line(line);
            return;
        }
        if self.sealed {
            self.refuse(SEALED);
        } else if eight_bit && self.next == 1 && !name.starts_with(b"content-") {
            self.refuse(Refused("its header has 8-bit text that can't be encoded, in an address or under a DKIM signature"));
        }
        let start = self.out.len();
        let encoded = if eight_bit { encode_words(line) } else { line.to_vec() };
        fold::fold(&encoded, MOST, &mut self.out);
        if self.out[start..].split(|c| *c == b'\n').any(|l| l.len() > MOST + 1) {
            self.refuse(Refused("the header of a part has a line over 998 octets without a space"));
        }
    }

    fn header_end(&mut self, _: &Kind, fields: &Fields, empty: bool) {
        let quoted = |input, nuls| Body::Quoted { encoder: Encoder::new(input), nuls };
        self.body = match self.action {
            Action::Keep | Action::Unlabel => Body::Keep,
            Action::Wrap => Body::Base64(Wrapper::default()),
            Action::Mend => quoted(Input::Encoded, true),
            Action::Encode { nuls } => {
                self.label(fields);
                quoted(Input::Plain, nuls)
            }
        };
        // A line that changes could be taken for a field without an empty line before it.
        if empty || self.action != Action::Keep {
            self.line(b"");
        }
    }

    fn leaf(&mut self, piece: &[u8]) {
        match &mut self.body {
            Body::Quoted { encoder, nuls: true } => encoder.text(piece, &mut self.out),
            Body::Quoted { encoder, nuls: false } => {
                for text in piece.split(|c| *c == 0) {
                    encoder.text(text, &mut self.out);
                }
            }
            Body::Base64(wrapper) => wrapper.text(piece, &mut self.out),
            Body::Keep => {
                for text in piece.split(|c| *c == 0) {
                    self.out.extend_from_slice(text);
                }
            }
        }
    }

    fn leaf_end(&mut self) {
        match &mut self.body {
            Body::Quoted { encoder, .. } => encoder.end(&mut self.out),
            Body::Base64(wrapper) => wrapper.end(&mut self.out),
            Body::Keep => self.out.extend_from_slice(b"\r\n"),
        }
    }

    /// What stands between entities is shown to nobody: it is made to fit.
    fn frame(&mut self, piece: &[u8]) {
        let eight_bit = self.form == Form::SevenBit && !piece.is_ascii();
        if self.sealed && (eight_bit || self.column + piece.len() > MOST) {
            self.refuse(SEALED);
        }
        let mut rest = piece;
        while !rest.is_empty() {
            if self.column == MOST {
                self.out.extend_from_slice(b"\r\n");
                self.column = 0;
            }
            let (part, after) = rest.split_at(rest.len().min(MOST - self.column));
            self.out.extend(part.iter().map(|c| if eight_bit && *c > 127 { b'?' } else { *c }));
            self.column += part.len();
            rest = after;
        }
    }

    fn frame_end(&mut self) {
        self.out.extend_from_slice(b"\r\n");
        self.column = 0;
    }

    fn refuse(&mut self, why: Refused) {
        self.refused = self.refused.or(Some(why));
    }
}

/// A header line with each word that is not ASCII as encoded words: what every reader of `filename="…"` understands, though
/// RFC 2047 wants no encoded word inside quotes.
fn encode_words(line: &[u8]) -> Vec<u8> {
    let delimiter = |c: &u8| matches!(c, b' ' | b'\t' | b'"' | b';' | b':' | b'=' | b'<' | b'>' | b'(' | b')' | b',');
    let (charset, text) = match std::str::from_utf8(line) {
        Ok(_) => ("utf-8", true),
        Err(_) => ("iso-8859-1", false),
    };
    let mut out = Vec::with_capacity(3 * line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.iter().position(delimiter).unwrap_or(rest.len()));
        if word.is_ascii() {
            out.extend_from_slice(word);
        } else {
            encode_word(word, charset, text, &mut out);
        }
        let (delimiters, after) = after.split_at(after.len().min(1));
        out.extend_from_slice(delimiters);
        rest = after;
    }
    out
}

fn encode_word(word: &[u8], charset: &str, utf8: bool, out: &mut Vec<u8>) {
    let room = 75 - "=??Q??=".len() - charset.len();
    let mut used = room;
    let mut first = true;
    for (i, octet) in word.iter().enumerate() {
        // A character is not torn apart: its octets go where the first one goes, 12 being the most for one.
        let begins = !utf8 || *octet & 0xc0 != 0x80 || i == 0;
        if begins && used + 12 > room {
            out.extend_from_slice(if first { b"" } else { b"?= " });
            out.extend_from_slice(format!("=?{charset}?Q?").as_bytes());
            (used, first) = (0, false);
        }
        if octet.is_ascii_alphanumeric() || *octet == b'.' || *octet == b'-' {
            out.push(*octet);
            used += 1;
        } else {
            out.extend_from_slice(&escape(*octet));
            used += 3;
        }
    }
    out.extend_from_slice(b"?=");
}
