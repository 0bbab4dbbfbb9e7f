//! How are programs told what became of each recipient? (RFC 3464 2, 3463, 6533 3)

use std::fmt::Write as _;

use super::{Kind, Notice, Told, Whom};
use crate::{
    error::is_treacherous,
    mail::{
        address::Address,
        fold,
        outcome::Enhanced,
        queued::{EXPIRED, LOST, Last, MOST_UNKNOWN},
        tls::Failure,
        words,
    },
};

/// Octets of an address in a field, which has no place to be folded at. The words for people have it whole.
const LONGEST_ADDRESS: usize = 900;

/// The fields about the message, and after an empty line those about each recipient. ASCII.
pub(super) fn of(notice: &Notice<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 * (notice.recipients.len() + 1));
    if let Some(envid) = notice.envid {
        field("Original-Envelope-Id", envid, &mut out);
    }
    field("Reporting-MTA", &format!("dns; {}", mta(notice.host).unwrap_or("localhost")), &mut out);
    field("Arrival-Date", notice.arrived, &mut out);
    field("X-Sealpost-Id", notice.id, &mut out);
    for told in notice.recipients {
        out.extend_from_slice(b"\r\n");
        recipient(notice, told, &mut out);
    }
    out
}

fn recipient(notice: &Notice<'_>, told: &Told<'_>, out: &mut Vec<u8>) {
    match told.whom {
        Whom::Recipient(recipient) => {
            if let Some(original) = &recipient.original {
                fold::field("Original-Recipient", &typed(original), out);
            }
            fold::field("Final-Recipient", &typed(&recipient.address), out);
        }
        Whom::Stray(text) if text.is_ascii() => fold::field("Final-Recipient", &format!("unknown; {text}"), out),
        Whom::Stray(text) => fold::field("Final-Recipient", &format!("unknown; {}", escaped(text)), out),
    }
    field("Action", action(notice.kind), out);
    field("Status", &status(notice.kind, told.last).to_string(), out);
    if let Some(server) = told.server.and_then(mta) {
        field("Remote-MTA", &format!("dns; {server}"), out);
    }
    if let Some(last) = told.last {
        let kind = if last.code.is_some() { "smtp" } else { "X-Sealpost" };
        field("Diagnostic-Code", &format!("{kind}; {}", last.said()), out);
    }
    if let Some(tls) = told.last.and_then(|last| last.tls.as_deref()) {
        field("X-Sealpost-TLS", tls, out);
    }
    if let Some(tried) = told.tried {
        field("Last-Attempt-Date", tried, out);
    }
    if let Some(until) = notice.until.filter(|_| notice.kind == Kind::Delay) {
        field("Will-Retry-Until", until, out);
    }
}

fn action(kind: Kind) -> &'static str {
    match kind {
        Kind::Failure | Kind::Stray => "failed",
        Kind::Delay => "delayed",
        Kind::Relayed => "relayed",
    }
}

/// The code of what is reported. One that is given up keeps class 4: sent again later, the message may arrive (RFC 3463 2).
fn status(kind: Kind, last: Option<&Last>) -> Enhanced {
    let of_class = |class: u8| last.and_then(|last| last.enhanced).filter(|enhanced| enhanced.class == class);
    let unspecific = |class| Enhanced { class, subject: 0, detail: 0 };
    let sealed = || last.and_then(|last| last.tls.as_deref()).map(unsealed);
    match kind {
        Kind::Relayed => of_class(2).unwrap_or(unspecific(2)),
        Kind::Delay => of_class(4).or_else(sealed).unwrap_or(unspecific(4)),
        Kind::Failure | Kind::Stray if last.is_some_and(Last::is_permanent) => of_class(5).unwrap_or(unspecific(5)),
        Kind::Failure | Kind::Stray if last.is_some_and(|last| last.unknown >= MOST_UNKNOWN) => LOST,
        Kind::Failure | Kind::Stray => sealed().unwrap_or(EXPIRED),
    }
}

/// No TLS to be had: security features not supported; else a cryptographic failure (RFC 3463 3.8).
fn unsealed(tls: &str) -> Enhanced {
    let detail = if tls_failure(tls) == Some(Failure::StarttlsNotSupported) { 4 } else { 5 };
    Enhanced { class: 4, subject: 7, detail }
}

/// The failure that the words begin with.
pub(super) fn tls_failure(words: &str) -> Option<Failure> {
    Failure::parse(words.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next()?)
}

/// An address and its type. One that is not ASCII is escaped, so that no program on the way back needs to know more than RFC 3464.
fn typed(address: &Address) -> String {
    let text = address.to_string();
    if text.is_ascii() && text.len() <= LONGEST_ADDRESS {
        return format!("rfc822; {text}");
    }
    format!("utf-8; {}", escaped(&text))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        let start = escaped.len();
        match c {
            '!'..='~' if !"+=\\".contains(c) => escaped.push(c),
            // Writing to a String can't fail.
            c => drop(write!(escaped, "\\x{{{:02X}}}", u32::from(c))),
        }
        if escaped.len() > LONGEST_ADDRESS {
            escaped.truncate(start);
            break;
        }
    }
    escaped
}

/// A host name or address as a name of type `dns`; `None` where it is neither.
fn mta(host: &str) -> Option<&str> {
    let fits = |c: u8| c.is_ascii_alphanumeric() || b".-_:[]".contains(&c);
    (!host.is_empty() && host.len() <= 255 && host.bytes().all(fits)).then_some(host)
}

/// Appends a field with foreign text: what is not ASCII becomes encoded words, as does a word too long for a line; without any there is no field.
fn field(name: &str, value: &str, out: &mut Vec<u8>) {
    let value = words::unstructured(&blanked(value));
    if !value.is_empty() {
        fold::field(name, &value, out);
    }
}

/// Controls, and what hides or reorders text, as spaces.
pub(super) fn blanked(text: &str) -> String {
    text.chars().map(|c| if is_treacherous(c) { ' ' } else { c }).collect()
}
