//! How does a record look in the native protocol of journald? (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>)
//!
//! Own code for one datagram: `systemd-journal-logger` is a logger for the log façade, and would have us squeeze fields through
//! it. No memfd for large entries: every value is bounded, so an entry stays far below a socket's send buffer.

use super::{
    pairs::{FACILITY, Pair, Value, each, severity},
    record::Record,
    syslog,
};
use crate::host::config::Notation;

/// Recipients that become a field each.
const ADDRESSES: usize = 32;

/// The datagram: `MESSAGE` is the line that syslog would get, and every fact is a field of its own besides
/// (`journalctl SEALPOST_TLS_RESULT=plaintext`). `SEALPOST_TO` comes once for each recipient.
pub(super) fn datagram(record: &Record, notation: Notation, tag: &str) -> Vec<u8> {
    let mut entry = Vec::with_capacity(2048);
    push(&mut entry, "", "MESSAGE", &syslog::line(record, notation));
    push(&mut entry, "", "PRIORITY", &(severity(record) as u8).to_string());
    push(&mut entry, "", "SYSLOG_FACILITY", &FACILITY.to_string());
    push(&mut entry, "", "SYSLOG_IDENTIFIER", tag);
    each(record, &mut |Pair { field, value, .. }| match value {
        Value::Text(value) => push(&mut entry, "SEALPOST_", field, &value.to_string()),
        Value::Mailboxes(addresses) => {
            addresses.take(ADDRESSES).for_each(|a| push(&mut entry, "SEALPOST_", field, a.as_str()));
        }
    });
    entry
}

/// `NAME=value\n`, or with a newline in the value: name, newline, length in 8 octets little endian, value, newline.
fn push(entry: &mut Vec<u8>, prefix: &str, field: &str, value: &str) {
    entry.extend_from_slice(prefix.as_bytes());
    entry.extend_from_slice(field.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}
