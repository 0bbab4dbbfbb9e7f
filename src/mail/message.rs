//! What is added to a header, and what leaves it, before it may be sent? (RFC 5322 3.6; sendmail(8))

use super::{
    address::{self, Spec},
    authors::Authority,
    fold,
    header::{self, Field, Header},
    list,
    phrase::encode_list,
    resent::{Latest, is_one_of},
};
use crate::error::{Error, Exit};

/// More `Received:` fields than this are a loop (RFC 5321 6.3).
pub const MOST_HOPS: usize = 50;

/// Where the caller's values come from; each closure is asked only when its field is missing or needs it.
#[derive(Clone, Copy)]
pub struct Completion<'a> {
    /// The value of a `Received` field of our own, in front of all others (RFC 5321 4.4).
    pub trace: Option<&'a str>,
    /// The value of `Date` and `Resent-Date`.
    pub date: &'a dyn Fn() -> String,
    /// The value of `Message-ID` and `Resent-Message-ID`, with its angle brackets.
    pub message_id: &'a dyn Fn() -> String,
    /// The value of `From` and `Resent-From`.
    pub from: &'a dyn Fn() -> String,
    /// Whom the header may say that it is from, where that is not for the caller to choose (`rewrite_from`).
    pub authority: Option<Authority<'a>>,
    /// An address list with its bare names qualified; `None` where there was none.
    pub qualify: &'a dyn Fn(&str) -> Option<String>,
    /// Encoded words for the text of an unstructured field that is not ASCII (RFC 2047).
    pub unstructured: &'a dyn Fn(&str) -> String,
    /// Encoded words for a display name or comment that is not ASCII: only what may stand in a phrase (RFC 2047 5 (3)).
    pub phrase: &'a dyn Fn(&str) -> String,
    /// The message only passes through (`-G`): nothing is added, qualified or encoded.
    pub gateway: bool,
}

/// A header that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// Its lines, each ended by CRLF, none over 998 octets; without the empty line behind it.
    pub text: Vec<u8>,
    /// An octet above 127 is left in it.
    pub eight_bit: bool,
    /// It has a Content-Type, so the body may be more than plain text.
    pub typed: bool,
    /// It says `TLS-Required: No`.
    pub tls_waived: bool,
}

/// Completes `header`; fields that need no change keep their bytes and order, what is added stands before them.
///
/// # Errors
/// `EX_DATAERR`: a line over 998 octets that can't be folded, or so many `Received` that it is a loop.
pub fn complete(header: &Header, with: &Completion<'_>) -> Result<Completed, Error> {
    refuse_loop(header)?;
    let mut text = Vec::with_capacity(1024);
    if let Some(trace) = with.trace {
        fold::field("Received", trace, &mut text);
    }
    let parts = Parts::of(header);
    if !with.gateway {
        add_missing(&parts, with, &mut text);
    }
    let signed = header.fields().any(|f| f.is("DKIM-Signature"));
    let claims = Claims::of(&parts, with.authority);
    let answers = if with.gateway || parts.has("Reply-To") { None } else { claims.answers(&parts, with) };
    for (at, part) in parts.all.iter().enumerate() {
        let field = &part.field;
        if leaves(field) || claims.forbid(at, part) || (answers.is_some() && field.is("Reply-To")) {
            continue;
        }
        if let Some(value) = claims.instead(at) {
            let encoded = if value.is_ascii() || with.gateway { None } else { encode_list(value, with.phrase) };
            fold::field(field.name, encoded.as_deref().unwrap_or(value), &mut text);
            if let Some(authors) = answers.as_ref().filter(|_| field.is("From")) {
                fold::field("Reply-To", authors, &mut text);
            }
        } else if with.gateway {
            text.extend_from_slice(field.raw);
        } else if parts.is_vain(part) {
            // One that says something was added.
        } else if signed {
            text.extend_from_slice(field.raw);
        } else {
            amend(field, with, &mut text);
        }
    }
    let text = fold::shorten(text, &|name, value| foldable(name, value, with)).map_err(|name| {
        Error::new(Exit::DataErr, "checking the header", format!("{name} has a line over 998 octets without a space")).hint(
            "a line of a header holds at most 998 octets (RFC 5322 2.1.1); break it, with a space at the start of the next one",
        )
    })?;
    let eight_bit = !text.is_ascii();
    let typed = header.fields().any(|f| f.is("Content-Type"));
    Ok(Completed { text, eight_bit, typed, tls_waived: waives_tls(header) })
}

fn refuse_loop(header: &Header) -> Result<(), Error> {
    let hops = header.fields().filter(|f| f.is("Received")).count();
    if hops <= MOST_HOPS {
        return Ok(());
    }
    Err(Error::new(
        Exit::DataErr,
        "checking the header",
        format!("mail loop: {hops} Received fields, at most {MOST_HOPS} are taken"),
    )
    .hint("an alias or a forward sends this message round in a circle; look where the last Received fields point"))
}

/// One field, and whether it is of this journey of the message.
struct Part<'h> {
    field: Field<'h>,
    /// No Resent- field of an older resending.
    counts: bool,
}

/// The fields of a header, and whether the message is sent again: then only the latest Resent fields are ours (RFC 5322 3.6.6).
struct Parts<'h> {
    all: Vec<Part<'h>>,
    resent: bool,
}

impl<'h> Parts<'h> {
    fn of(header: &'h Header) -> Self {
        let mut latest = Latest::default();
        let mut part = |field: Field<'h>| {
            let again = latest.take(field.name).is_some();
            Part { counts: again || field.name.get(..7).is_none_or(|start| !start.eq_ignore_ascii_case("resent-")), field }
        };
        let all = header.fields().map(&mut part).collect();
        Self { all, resent: latest.is_there() }
    }

    /// The fields of this name that count.
    fn named(&self, name: &str) -> impl Iterator<Item = &Part<'h>> {
        self.all.iter().filter(move |part| part.counts && part.field.is(name))
    }

    /// Whether the field is there and says something.
    fn has(&self, name: &str) -> bool {
        self.named(name).any(|part| !part.field.value.is_empty())
    }

    /// The fields that are added where they are missing: date, author and name.
    fn made(&self) -> [&'static str; 3] {
        if self.resent { ["Resent-Date", "Resent-From", "Resent-Message-ID"] } else { ["Date", "From", "Message-ID"] }
    }

    /// Whether it should say something and does not: then one that does is added.
    fn is_vain(&self, part: &Part<'_>) -> bool {
        part.counts && part.field.value.is_empty() && is_one_of(part.field.name, &self.made())
    }
}

/// What the fields that say who sent the message have to say, where that is not for the caller to choose.
struct Claims<'a> {
    authority: Option<Authority<'a>>,
    /// For From and Resent-From: the index of the first field, and what it says in place of all of this name.
    authors: [Option<(usize, String)>; 2],
}

/// Who wrote it, and who sent it for that one: of the message, and of the latest resending (RFC 5322 3.6.2, 3.6.6).
const CLAIMS: [(&str, &str); 2] = [("From", "Sender"), ("Resent-From", "Resent-Sender")];

impl<'a> Claims<'a> {
    fn of(parts: &Parts<'_>, authority: Option<Authority<'a>>) -> Self {
        let author = |(from, _): (&str, &str)| {
            let values: Vec<&[u8]> = parts.named(from).map(|part| part.field.value).collect();
            let value = authority?.instead(&values)?;
            let first = parts.all.iter().position(|part| part.counts && part.field.is(from))?;
            Some((first, value))
        };
        Self { authority, authors: CLAIMS.map(author) }
    }

    /// What the field at this index says now.
    fn instead(&self, at: usize) -> Option<&str> {
        self.authors.iter().flatten().find(|(first, _)| *first == at).map(|(_, value)| value.as_str())
    }

    /// Where answers go in place of the authors who were replaced: to them, where they have addresses that mean something elsewhere.
    fn answers(&self, parts: &Parts<'_>, with: &Completion<'_>) -> Option<String> {
        let [Some((first, _)), _] = &self.authors else { return None };
        let from = &parts.all.get(*first)?.field;
        let authors = list::parse_bytes(from.value);
        let reachable = |spec: &Spec| spec.domain().is_some_and(|domain| !address::is_localhost(domain));
        if authors.mailboxes.is_empty() || !authors.faults.is_empty() || !authors.mailboxes.iter().all(|a| reachable(&a.spec)) {
            return None;
        }
        let value = from.text();
        Some(if value.is_ascii() { value } else { encode_list(&value, with.phrase).unwrap_or(value) })
    }

    /// Whether the field has to leave: one more author, or a sender whom the provider may know as little as the author who was
    /// replaced.
    fn forbid(&self, at: usize, part: &Part<'_>) -> bool {
        let Some(authority) = self.authority.filter(|_| part.counts) else { return false };
        CLAIMS.iter().zip(&self.authors).any(|((from, sender), author)| match author {
            _ if part.field.is(sender) => author.is_some() || !authority.allows(part.field.value),
            Some((first, _)) => part.field.is(from) && *first != at,
            None => false,
        })
    }
}

/// Whether the header says `TLS-Required: No`, once and nothing else: the grammar of RFC 8689 3 has neither comments nor lists, and
/// what is not sure to be meant so must not weaken anything.
fn waives_tls(header: &Header) -> bool {
    let mut values = header.fields().filter(|f| f.is("TLS-Required")).map(|f| f.value);
    values.next().is_some_and(|value| value.eq_ignore_ascii_case(b"No")) && values.next().is_none()
}

/// Adds what RFC 5322 3.6 wants.
fn add_missing(parts: &Parts<'_>, with: &Completion<'_>, text: &mut Vec<u8>) {
    let [date, from, message_id] = parts.made();
    if !parts.has(date) {
        fold::field(date, &(with.date)(), text);
    }
    // An empty one that is claimed says in its own place what it has to.
    let claimed = with.authority.is_some() && parts.named(from).next().is_some();
    if !parts.has(from) && !claimed {
        fold::field(from, &(with.from)(), text);
    }
    if !parts.has(message_id) {
        fold::field(message_id, &(with.message_id)(), text);
    }
}

/// Fields that never stay: they would tell of blind recipients, or of a transport or mailbox before ours.
fn leaves(field: &Field<'_>) -> bool {
    ["Bcc", "Resent-Bcc", "Return-Path", "Content-Length"].iter().any(|name| field.is(name))
}

/// Appends the field with its bare names qualified and its 8-bit text encoded; as it is where neither is needed.
fn amend(field: &Field<'_>, with: &Completion<'_>, text: &mut Vec<u8>) {
    let qualified = if QUALIFIED.iter().any(|n| field.is(n)) { (with.qualify)(&field.text()) } else { None };
    let ascii = qualified.as_ref().map_or(field.raw.is_ascii(), |q| q.is_ascii());
    let encoded = match kind(field.name) {
        _ if ascii => None,
        Kind::Addresses => encode_list(qualified.as_ref().unwrap_or(&field.text()), with.phrase),
        Kind::Unstructured => Some((with.unstructured)(&field.text())),
        Kind::Structured => None,
    };
    match encoded.or(qualified) {
        Some(value) => fold::field(field.name, &value, text),
        None => text.extend_from_slice(field.raw),
    }
}

/// The same value in a way that can be folded, where the field allows one: also in a message that is signed or passes through, which
/// could not go at all otherwise.
fn foldable(name: &str, value: &[u8], with: &Completion<'_>) -> Option<String> {
    let value = header::text(value);
    match kind(name) {
        Kind::Addresses => Some(list::spaced(&value)),
        Kind::Unstructured => Some((with.unstructured)(&value)),
        Kind::Structured => None,
    }
}

/// Fields whose bare names are qualified.
const QUALIFIED: [&str; 10] =
    ["From", "Sender", "Reply-To", "To", "Cc", "Resent-From", "Resent-Sender", "Resent-Reply-To", "Resent-To", "Resent-Cc"];

/// What may stand in a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Addresses,
    Unstructured,
    /// Tokens with a grammar of their own: an encoded word would be wrong, so 8-bit text stays.
    Structured,
}

fn kind(name: &str) -> Kind {
    const ADDRESSES: [&str; 6] =
        ["Disposition-Notification-To", "Errors-To", "Return-Receipt-To", "Mail-Followup-To", "Mail-Reply-To", "Apparently-To"];
    const STRUCTURED: [&str; 11] = [
        "Authentication-Results",
        "Date",
        "DKIM-Signature",
        "In-Reply-To",
        "Message-ID",
        "MIME-Version",
        "Received",
        "References",
        "Resent-Date",
        "Resent-Message-ID",
        "Auto-Submitted",
    ];
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    if QUALIFIED.iter().chain(&ADDRESSES).any(is) {
        Kind::Addresses
    } else if STRUCTURED.iter().any(is) || (starts("Content-") && !is(&"Content-Description")) || starts("ARC-") || starts("List-")
    {
        Kind::Structured
    } else {
        Kind::Unstructured
    }
}

#[cfg(test)]
mod tests;
