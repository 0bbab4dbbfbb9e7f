//! What does a sender get to read when a message fails, is late, or goes where nobody reports? (RFC 3464, 6522, 3461 6)
//!
//! A report has three parts: words for people, fields for programs, and the header of the message or, where the sender asked for it
//! (RET=FULL), the whole. A whole message is returned up to [`RETURNED`] only: nobody needs an attachment back, and so a report fits
//! into memory, whatever the message was.
//!
//! All that others said (replies, header fields, addresses) is foreign text: in the fields it is printable ASCII on folded lines, in
//! the words it is escaped, and the boundary is one that occurs nowhere in the parts.

use lettre::message::{
    Body, MultiPart, SinglePart,
    header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0},
};
use memchr::memmem;

use super::{
    address::{Address, ReversePath},
    envelope::{Notify, Recipient, Ret},
    queued::Last,
};
use crate::error::{Error, Exit};

mod returned;
mod status;
mod text;

pub use returned::RETURNED;
use returned::Returned;

/// Octets of an address that a line of a header can hold.
const LONGEST_ADDRESS: usize = 900;

/// What is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It failed, for good or because the time was over.
    Failure,
    /// It is late, and will be tried again.
    Delay,
    /// It was named among the recipients and is no address; the message goes to the others.
    Stray,
    /// It was passed on to a server that sends no reports on success (RFC 3461 5.2.2).
    Relayed,
}

/// Whether the sender is to get such a report (RFC 3461 4.1, 5.2; RFC 5321 4.5.5).
///
/// Never where there is no sender: what has none is a report itself, or wants none, and a report on a report would go round for ever.
/// Without NOTIFY a failure is told, and a delay; success only where it was asked for. That a message was sent by a program
/// (`Auto-Submitted`, `Precedence`) changes nothing: those fields ask responders to keep quiet who would answer a person's words,
/// while a report is the only way in which the program's owner learns that the mail is lost.
pub fn is_owed(sender: &ReversePath, notify: Option<Notify>, kind: Kind) -> bool {
    if *sender == ReversePath::Null {
        return false;
    }
    match (notify, kind) {
        (None, Kind::Failure | Kind::Stray | Kind::Delay) => true,
        (None, Kind::Relayed) | (Some(Notify::Never), _) => false,
        (Some(Notify::When { failure, .. }), Kind::Failure | Kind::Stray) => failure,
        (Some(Notify::When { delay, .. }), Kind::Delay) => delay,
        (Some(Notify::When { success, .. }), Kind::Relayed) => success,
    }
}

/// A report that is to be written. Dates are in the form of RFC 5322.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// What is reported.
    pub kind: Kind,
    /// By what name the log knows the message.
    pub id: &'a str,
    /// The Message-ID of the report, with its angle brackets.
    pub message_id: &'a str,
    /// When the report is written.
    pub date: &'a str,
    /// The name of this host.
    pub host: &'a str,
    /// Whom the report is from: MAILER-DAEMON at a domain.
    pub from: &'a Address,
    /// The sender of the message. The report itself goes out without one (`MAIL FROM:<>`).
    pub to: &'a Address,
    /// ENVID, as plain text.
    pub envid: Option<&'a str>,
    /// RET.
    pub ret: Option<Ret>,
    /// The message was under REQUIRETLS: whatever RET says, only its header is returned, for the report may go another way
    /// (RFC 8689 5).
    pub requiretls: bool,
    /// When the message arrived here.
    pub arrived: &'a str,
    /// Until when it is tried, where it still is.
    pub until: Option<&'a str>,
    /// Whom it is about; not empty.
    pub recipients: &'a [Told<'a>],
    /// The start of the message as [`super::content::Content`] gives it: [`RETURNED`] octets, or all there are. In the form for seven
    /// bits where it can be had, so that the report needs no more.
    pub start: &'a [u8],
    /// Octets of the whole message.
    pub size: u64,
}

/// What is told of one recipient.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Who it is.
    pub whom: Whom<'a>,
    /// What was heard last; of one that was passed on, the reply.
    pub last: Option<&'a Last>,
    /// The name of the server, where one was reached: host, address or address literal, without a port.
    pub server: Option<&'a str>,
    /// When it was tried last.
    pub tried: Option<&'a str>,
}

/// Whom something is told of.
#[derive(Clone, Copy, Debug)]
pub enum Whom<'a> {
    /// A recipient.
    Recipient(&'a Recipient),
    /// What was to be one, as it was written.
    Stray(&'a str),
}

/// Writes the report: a whole message in lines that end in CRLF, none longer than 998 octets. It is ASCII, unless it returns a body
/// that is not (8-bit), or the sender's own address is not (SMTPUTF8).
///
/// # Errors
/// `EX_SOFTWARE`, which should not happen: the library does not take a media type of ours.
pub fn write(notice: &Notice<'_>) -> Result<Vec<u8>, Error> {
    let original = Returned::of(notice);
    let mut message = MultiPart::builder().build();
    for field in header(notice, &original) {
        message.headers_mut().insert_raw(field);
    }
    let eight_bit = original.encoding == ContentTransferEncoding::EightBit;
    let words = SinglePart::builder().header(ContentType::TEXT_PLAIN).body(text::of(notice, original.is_whole()));
    let fields = part("message/delivery-status", status::of(notice), ContentTransferEncoding::SevenBit)?;
    let back = part(original.media_type, original.octets, original.encoding)?;
    let parts = [words, fields, back];
    let boundary = boundary(notice.id, &parts);
    message.headers_mut().set(MIME_VERSION_1_0);
    message.headers_mut().set(media_type(&format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\""))?);
    if eight_bit {
        // What holds 8-bit text says so itself (RFC 2045 6.4).
        message.headers_mut().set(ContentTransferEncoding::EightBit);
    }
    Ok(parts.into_iter().fold(message, MultiPart::singlepart).formatted())
}

/// The fields of the report that are not about MIME.
fn header(notice: &Notice<'_>, original: &Returned) -> Vec<HeaderValue> {
    let title = match notice.kind {
        Kind::Failure | Kind::Stray => "Undelivered",
        Kind::Delay => "Delayed",
        Kind::Relayed => "Passed on",
    };
    let subject = original.subject.as_deref().unwrap_or("your message");
    let field = |name, value: &str| HeaderValue::new(name, status::blanked(value));
    let mut fields = vec![
        field(HeaderName::new_from_ascii_str("Date"), notice.date),
        field(HeaderName::new_from_ascii_str("From"), &format!("Mail Delivery System <{}>", notice.from)),
        to(notice.to),
        field(HeaderName::new_from_ascii_str("Subject"), &format!("{title}: {subject}")),
        field(HeaderName::new_from_ascii_str("Message-ID"), notice.message_id),
    ];
    if let Some(id) = &original.message_id {
        fields.push(field(HeaderName::new_from_ascii_str("In-Reply-To"), id));
        fields.push(field(HeaderName::new_from_ascii_str("References"), id));
    }
    // RFC 3834 5: no responder answers this.
    fields.push(field(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-replied"));
    fields
}

/// The sender's address as it is: an encoded word in it would be another address.
fn to(address: &Address) -> HeaderValue {
    let text = address.to_string();
    // The envelope has it whole; a line of the header could not.
    let text = if text.len() > LONGEST_ADDRESS { "undisclosed-recipients:;".to_owned() } else { text };
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str("To"), text.clone(), text)
}

/// A part of a type that the library has no name for. What is not to be encoded is as it has to be already: the library would have
/// lines of 76 octets there.
fn part(kind: &str, octets: Vec<u8>, encoding: ContentTransferEncoding) -> Result<SinglePart, Error> {
    let body = match encoding {
        ContentTransferEncoding::SevenBit | ContentTransferEncoding::EightBit => Body::dangerous_pre_encoded(octets, encoding),
        _ => Body::new_with_encoding(octets, encoding).map_err(|_| software("a part can't be encoded"))?,
    };
    Ok(SinglePart::builder().header(media_type(kind)?).body(body))
}

fn media_type(text: &str) -> Result<ContentType, Error> {
    ContentType::parse(text).map_err(|error| software(&error.to_string()))
}

fn software(because: &str) -> Error {
    Error::new(Exit::Software, "writing a report", because)
}

/// A boundary that occurs in no part, whatever others made them say.
fn boundary(id: &str, parts: &[SinglePart]) -> String {
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let octets: Vec<Vec<u8>> = parts.iter().map(SinglePart::formatted).collect();
    let occurs = |boundary: &str| octets.iter().any(|part| memmem::find(part, boundary.as_bytes()).is_some());
    // Each part is finite, so some number is not in it.
    let mut number = 0u64;
    loop {
        let boundary = format!("report-{id}-{number}");
        if !occurs(&boundary) {
            return boundary;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests;
