//! What is added to a header, and what leaves it, before it may be sent? (RFC 5322 3.6; sendmail(8))

use super::{
    address::Spec,
    aliases::Hosts,
    fold,
    header::{self, Field, Header},
    list,
    phrase::encode_list,
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
    /// The value that `From` has to have, whatever it was (`rewrite_from`).
    pub replace_from: Option<&'a str>,
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
    let hops = header.fields().filter(|f| f.is("Received")).count();
    if hops > MOST_HOPS {
        return Err(Error::new(
            Exit::DataErr,
            "checking the header",
            format!("mail loop: {hops} Received fields, at most {MOST_HOPS} are taken"),
        )
        .hint("an alias or a forward sends this message round in a circle; look where the last Received fields point"));
    }
    let mut text = Vec::with_capacity(1024);
    if let Some(trace) = with.trace {
        fold::field("Received", trace, &mut text);
    }
    if !with.gateway {
        add_missing(header, with, &mut text);
    }
    let signed = header.fields().any(|f| f.is("DKIM-Signature"));
    let mut replacement = with.replace_from;
    // With another author a Sender would name a third one, whom the smarthost may know as little (RFC 5322 3.6.2).
    let stays = |f: &Field<'_>| !leaves(f) && (with.replace_from.is_none() || !f.is("Sender"));
    for field in header.fields().filter(stays) {
        if field.is("From") && (with.replace_from.is_some() || (field.value.is_empty() && !with.gateway)) {
            if let Some(value) = replacement.take() {
                fold::field("From", value, &mut text);
                if !with.gateway && !header.fields().any(|f| f.is("Reply-To")) {
                    reply_to(&field, with, &mut text);
                }
            }
        } else if with.gateway || signed {
            text.extend_from_slice(field.raw);
        } else {
            amend(&field, with, &mut text);
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

/// Whether the header says `TLS-Required: No`, once and nothing else: the grammar of RFC 8689 3 has neither comments nor lists, and
/// what is not sure to be meant so must not weaken anything.
fn waives_tls(header: &Header) -> bool {
    let mut values = header.fields().filter(|f| f.is("TLS-Required")).map(|f| f.value);
    values.next().is_some_and(|value| value.eq_ignore_ascii_case(b"No")) && values.next().is_none()
}

/// Adds what RFC 5322 3.6 wants; of a message that is sent again only the newest Resent fields are ours (3.6.6).
fn add_missing(header: &Header, with: &Completion<'_>, text: &mut Vec<u8>) {
    let resent = header.fields().any(|f| f.name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("resent-")));
    let [date, from, message_id] =
        if resent { ["Resent-Date", "Resent-From", "Resent-Message-ID"] } else { ["Date", "From", "Message-ID"] };
    let has = |name| header.fields().any(|f| f.is(name));
    if !has(date) {
        fold::field(date, &(with.date)(), text);
    }
    let has_from = header.fields().any(|f| f.is(from) && !f.value.is_empty());
    if !has_from && (resent || with.replace_from.is_none() || !has(from)) {
        match with.replace_from {
            Some(value) if !resent => fold::field(from, value, text),
            _ => fold::field(from, &(with.from)(), text),
        }
    }
    if !has(message_id) {
        fold::field(message_id, &(with.message_id)(), text);
    }
}

/// Lets answers go to the authors whom `from` named, where they have addresses that mean something elsewhere.
fn reply_to(from: &Field<'_>, with: &Completion<'_>, text: &mut Vec<u8>) {
    let authors = list::parse_bytes(from.value);
    let reachable = |spec: &Spec| spec.domain().is_some_and(|domain| !Hosts::is_localhost(domain));
    if authors.mailboxes.is_empty() || !authors.faults.is_empty() || !authors.mailboxes.iter().all(|a| reachable(&a.spec)) {
        return;
    }
    let value = from.text();
    let encoded = if value.is_ascii() { None } else { encode_list(&value, with.phrase) };
    fold::field("Reply-To", encoded.as_deref().unwrap_or(&value), text);
}

/// Fields that never leave: they would tell of blind recipients, or of a transport or mailbox before ours.
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
