//! How does a record look in syslog? (RFC 3164, as /dev/log speaks it)
//!
//! Two datagrams are too little for the `syslog` crate, which brings the log façade, a clock and a hostname lookup with it and
//! has no deadline for a daemon that stopped reading.

use std::fmt::Write;

use super::{
    notation::postfix,
    pairs::{FACILITY, Pair, Value, each, severity},
    record::Record,
    text::{Name, Text},
};
use crate::{error::is_treacherous, host::config::Notation};

/// Octets of one datagram: what rsyslog takes by default.
const DATAGRAM: usize = 8000;
/// Characters of one value.
const VALUE: usize = 200;
/// Addresses that are shown of many.
const ADDRESSES: usize = 10;

/// The datagram for /dev/log: priority, tag and process, then the line.
///
/// No timestamp: whoever listens there stamps by default with the time of arrival, and local time would cost us reading the
/// zone file.
pub(super) fn datagram(record: &Record, notation: Notation, tag: &str, pid: u32) -> String {
    let priority = FACILITY << 3 | severity(record) as u8;
    let mut text = format!("<{priority}>{tag}[{pid}]: {}", line(record, notation));
    if text.len() > DATAGRAM {
        let end = (0..=DATAGRAM).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
        text.push('…');
    }
    text
}

/// The record as `key=value` pairs in one line that a person can read: values with anything but plain characters in quotes,
/// controls escaped, unknown ones left out. In the notation of Postfix `tls` is what it would have noted, and our own word is
/// `tls_result`.
pub(super) fn line(record: &Record, notation: Notation) -> String {
    let mut line = String::with_capacity(512);
    each(record, &mut |Pair { key, value, .. }| {
        if !line.is_empty() {
            line.push(' ');
        }
        let key = match (key, notation) {
            ("tls", Notation::Postfix) => {
                line.extend(postfix(&record.tls).map(|noted| format!("tls={noted} ")));
                "tls_result"
            }
            _ => key,
        };
        line.push_str(key);
        line.push('=');
        match value {
            Value::Text(value) => quote(&mut line, Text::<VALUE>::new(&value.to_string()).as_str()),
            Value::Mailboxes(addresses) => quote(&mut line, &mailboxes(addresses)),
        }
    });
    line
}

fn mailboxes(addresses: &mut dyn Iterator<Item = &Name>) -> String {
    let mut list = String::new();
    for address in addresses.take(ADDRESSES) {
        let comma = if list.is_empty() { "" } else { "," };
        // Writing to a String can't fail.
        let _ = write!(list, "{comma}<{}>", Text::<VALUE>::new(address.as_str()));
    }
    if addresses.next().is_some() {
        list.push_str(",…");
    }
    list
}

fn quote(line: &mut String, value: &str) {
    let plain = |c: char| !(c.is_whitespace() || is_treacherous(c) || matches!(c, '"' | '\\'));
    if !value.is_empty() && value.chars().all(plain) {
        return line.push_str(value);
    }
    line.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            c if is_treacherous(c) => line.extend(c.escape_default()),
            c => line.push(c),
        }
    }
    line.push('"');
}
