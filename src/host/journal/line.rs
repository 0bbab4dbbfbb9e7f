//! What does a person at a terminal read of one attempt, in one line?

use super::{
    record::{Event, Record, Status},
    text::Text,
};
use crate::error::printable;

/// Characters of a server's or a library's words.
const WORDS: usize = 200;

/// `sent to 2 of 2 via relay (smtp.example.com:587, 192.0.2.1) TLSv1.3 verified, 85 ms: queued as 4XYZ`; safe for a terminal.
pub fn summary(record: &Record) -> String {
    let line = if record.status == Status::Rejected {
        format!("rejected before an attempt{}", words(record))
    } else if record.event != Event::Send.as_str() {
        format!("{} {}{}", record.event, record.status, words(record))
    } else {
        let (verdict, route, protection) = (verdict(record), route(record), protection(record));
        format!("{verdict}{route}{protection}, {} ms{}", record.duration_ms, words(record))
    };
    printable(&line)
}

fn verdict(record: &Record) -> String {
    let (accepted, all) = (record.accepted(), record.recipients.len());
    match record.status {
        Status::Sent => format!("sent to {accepted} of {all}"),
        Status::Unknown => format!("unknown (the link was lost after the message), sent to {accepted} of {all}"),
        status => format!("{}, sent to {accepted} of {all}", status.as_str()),
    }
}

/// ` via account (host:port, address)`, as far as it is known.
fn route(record: &Record) -> String {
    let (Some(account), Some(host)) = (&record.account, &record.host) else { return String::new() };
    let mut place = match record.port {
        Some(port) if host.as_str().contains(':') => format!("[{host}]:{port}"),
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    };
    if let Some(address) = record.address.map(|a| a.to_string()).filter(|a| a != host.as_str()) {
        place = format!("{place}, {address}");
    }
    format!(" via {account} ({place})")
}

/// ` TLSv1.3 verified`, ` plaintext (why)`, ` TLS failed (why)`; nothing where it never came to that.
fn protection(record: &Record) -> String {
    let tls = &record.tls;
    let result = match (tls.result, tls.failure) {
        ("none", None) => return String::new(),
        ("none", Some(_)) => "TLS failed",
        (result, _) => result,
    };
    let version = tls.version.as_ref().map(|v| format!("{v} ")).unwrap_or_default();
    let downgrade = if tls.downgrade { ", had TLS before" } else { "" };
    let failure = tls.failure.map(|f| format!(" ({f}{downgrade})")).unwrap_or_default();
    format!(" {version}{result}{failure}")
}

/// `: ` and why it did not go, or what the server said.
fn words(record: &Record) -> String {
    let reply = || record.reply.as_ref().filter(|r| !r.as_str().is_empty());
    let text = record.error.as_ref().or_else(reply);
    text.map(|t| format!(": {}", Text::<WORDS>::new(t.as_str()))).unwrap_or_default()
}
