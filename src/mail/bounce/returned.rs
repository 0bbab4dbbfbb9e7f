//! What of a message comes back with a report on it? (RFC 3461 4.3, 6522 3, 2046 5.2.1)

use lettre::message::header::ContentTransferEncoding;
use memchr::memchr_iter;

use super::{Kind, Notice, status::blanked};
use crate::mail::{
    envelope::Ret,
    fold,
    header::{Header, Opening},
};

/// The largest message that is returned whole, in octets, and what is looked at of a larger one.
pub const RETURNED: u64 = 50 * 1024;

/// Characters of the message's subject that the report's takes over.
const SUBJECT: usize = 120;
/// Octets of a Message-ID that is referred to.
const MESSAGE_ID: usize = 500;

/// The third part of a report.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) media_type: &'static str,
    pub(super) encoding: ContentTransferEncoding,
    /// Not encoded yet.
    pub(super) octets: Vec<u8>,
    /// The subject as its field has it, in one line and not too long.
    pub(super) subject: Option<String>,
    /// The Message-ID with its angle brackets.
    pub(super) message_id: Option<String>,
}

impl Returned {
    /// Reads what there is of the message.
    pub(super) fn of(notice: &Notice<'_>) -> Self {
        let complete = u64::try_from(notice.start.len()) == Ok(notice.size);
        let header = header_of(notice.start, complete);
        let value = |name: &str| header.fields().find(|field| field.is(name)).map(|field| field.text());
        let subject = value("Subject").map(|text| shortened(&blanked(&text))).filter(|text| !text.is_empty());
        let message_id = value("Message-ID").filter(|id| is_message_id(id));
        if complete && wants_whole(notice) && is_sound(notice.start, &header) {
            let ascii = notice.start.is_ascii();
            let encoding = if ascii { ContentTransferEncoding::SevenBit } else { ContentTransferEncoding::EightBit };
            return Self { media_type: WHOLE, encoding, octets: notice.start.to_vec(), subject, message_id };
        }
        let octets: Vec<u8> = header.fields().flat_map(|field| field.raw).copied().collect();
        let plain = octets.iter().all(|octet| matches!(octet, b' '..=b'~' | b'\t' | b'\r' | b'\n')) && has_short_lines(&octets);
        // Header fields that are not ASCII may be quoted-printable here (RFC 6522 3), which spares SMTPUTF8; and so may controls, which
        // could drive the terminal of who looks at the report in the raw.
        let encoding = if plain { ContentTransferEncoding::SevenBit } else { ContentTransferEncoding::QuotedPrintable };
        Self { media_type: "text/rfc822-headers", encoding, octets, subject, message_id }
    }

    /// Whether it is the whole message.
    pub(super) fn is_whole(&self) -> bool {
        self.media_type == WHOLE
    }
}

const WHOLE: &str = "message/rfc822";

/// RET is about failures; on all else the header is enough (RFC 3461 4.3).
fn wants_whole(notice: &Notice<'_>) -> bool {
    matches!(notice.kind, Kind::Failure | Kind::Stray)
        && notice.ret == Some(Ret::Full)
        && !notice.requiretls
        && notice.size <= RETURNED
}

/// Whether a whole message may stand in a part as it is, for nothing but 7bit and 8bit is allowed there. One whose header is not ASCII
/// would be `message/global`, and the report would need SMTPUTF8 to get to a sender who may not have it.
fn is_sound(octets: &[u8], header: &Header) -> bool {
    let ascii = header.fields().all(|field| field.raw.is_ascii());
    !header.is_empty() && ascii && !octets.contains(&0) && has_short_lines(octets)
}

/// Whether each line ends in CRLF, has no other CR, and is not too long to be sent.
fn has_short_lines(octets: &[u8]) -> bool {
    let Some(lines) = octets.strip_suffix(b"\n") else { return octets.is_empty() };
    let ends_well = |line: &[u8]| line.ends_with(b"\r") && memchr_iter(b'\r', line).count() == 1;
    lines.split(|octet| *octet == b'\n').all(|line| ends_well(line) && line.len() <= fold::MOST + 1)
}

/// The header at the start of a message; of one that goes on behind what there is, the lines that are whole.
fn header_of(start: &[u8], complete: bool) -> Header {
    let end = if complete { start.len() } else { start.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1) };
    let mut opening = Opening::default();
    match opening.push(&start[..end]) {
        Ok(Some(found)) => found.header,
        Ok(None) => opening.finish().header,
        Err(_) => Header::default(),
    }
}

/// At most [`SUBJECT`] characters, cut between words, for the cut must not go through an encoded one.
fn shortened(subject: &str) -> String {
    let subject = subject.trim();
    let Some((cut, _)) = subject.char_indices().nth(SUBJECT) else { return subject.to_owned() };
    let end = subject[..cut].rfind(' ').unwrap_or_default();
    format!("{} ...", subject[..end].trim_end()).trim_start().to_owned()
}

/// Whether it may be referred to: one word in angle brackets.
fn is_message_id(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    inner.is_some_and(|id| {
        !id.is_empty() && id.len() <= MESSAGE_ID && id.bytes().all(|c| c.is_ascii_graphic() && !b"<>".contains(&c))
    })
}
