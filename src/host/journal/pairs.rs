//! Which facts of a record go to the system's log, under which key, and how grave is it? (sealpost(1), "The log"; RFC 5424 6.2.1)

use std::fmt::Display;

use super::{
    record::{Event, Record, Status},
    text::Name,
};

/// Severity of syslog, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Severity {
    Error = 3,
    Warning = 4,
    Info = 6,
}

/// Facility "mail".
pub(super) const FACILITY: u8 = 2;

/// One fact: its key in a line for people, the name of its journald field (without prefix), and its value.
pub(super) struct Pair<'a> {
    pub(super) key: &'static str,
    pub(super) field: &'static str,
    pub(super) value: Value<'a>,
}

/// A value, not escaped.
pub(super) enum Value<'a> {
    /// One word or sentence.
    Text(&'a dyn Display),
    /// Addresses, of which there may be many.
    Mailboxes(&'a mut dyn Iterator<Item = &'a Name>),
}

/// Sent is information, what may still work a warning, what won't an error. Mail that went although the server's STARTTLS was
/// stripped is a warning too: somebody may be reading along.
pub(super) fn severity(record: &Record) -> Severity {
    match record.status {
        Status::Sent if record.tls.downgrade => Severity::Warning,
        Status::Sent | Status::Queued | Status::Held | Status::Released | Status::Removed => Severity::Info,
        Status::Deferred | Status::Unknown => Severity::Warning,
        Status::Failed | Status::Rejected => Severity::Error,
    }
}

/// Shows every fact that is known to `visit`, the ones that a person looks for first.
pub(super) fn each(record: &Record, visit: &mut dyn FnMut(Pair<'_>)) {
    let tls = &record.tls;
    let event = (record.event != Event::Send.as_str()).then_some(&record.event);
    let head: [Fact<'_>; 16] = [
        ("id", "ID", Some(&record.id)),
        ("event", "EVENT", known(event)),
        ("status", "STATUS", Some(&record.status)),
        ("tls", "TLS_RESULT", Some(&tls.result)),
        ("version", "TLS_VERSION", known(tls.version.as_ref())),
        ("cipher", "TLS_CIPHER", known(tls.cipher.as_ref())),
        ("group", "TLS_GROUP", known(tls.group.as_ref())),
        ("policy", "TLS_POLICY", known(tls.policy.as_ref())),
        ("trust", "TLS_TRUST", known(tls.trust.as_ref())),
        ("request", "TLS_REQUEST", known(tls.request.as_ref())),
        ("failure", "TLS_FAILURE", known(tls.failure.as_ref())),
        ("downgrade", "TLS_DOWNGRADE", known(tls.downgrade.then_some(&true))),
        ("account", "ACCOUNT", known(record.account.as_ref())),
        ("host", "HOST", known(record.host.as_ref())),
        ("port", "PORT", known(record.port.as_ref())),
        ("address", "ADDRESS", known(record.address.as_ref())),
    ];
    let accepted = format!("{}/{}", record.accepted(), record.recipients.len());
    let tail: [Fact<'_>; 15] = [
        ("accepted", "ACCEPTED", Some(&accepted)),
        ("exit", "EXIT", Some(&record.exit)),
        ("code", "CODE", known(record.code.as_ref())),
        ("enhanced", "ENHANCED", known(record.enhanced.as_ref())),
        ("reply", "REPLY", known(record.reply.as_ref())),
        ("error", "ERROR", known(record.error.as_ref())),
        ("detail", "TLS_DETAIL", known(tls.detail.as_ref())),
        ("message_id", "MESSAGE_ID", known(record.message_id.as_ref())),
        ("uid", "UID", known(record.uid.as_ref())),
        ("user", "USER", known(record.user.as_ref())),
        ("size", "SIZE", known(record.size.as_ref())),
        ("attempt", "ATTEMPT", known(record.attempt.as_ref())),
        ("queue", "QUEUE", Some(&record.queue)),
        ("auth", "AUTH", known(record.auth.as_ref())),
        ("duration_ms", "DURATION_MS", Some(&record.duration_ms)),
    ];
    facts(&head, visit);
    addresses(record, visit);
    facts(&tail, visit);
}

type Fact<'a> = (&'static str, &'static str, Option<&'a dyn Display>);

fn facts(facts: &[Fact<'_>], visit: &mut dyn FnMut(Pair<'_>)) {
    for (key, field, value) in facts {
        if let Some(value) = value {
            visit(Pair { key, field, value: Value::Text(*value) });
        }
    }
}

fn addresses(record: &Record, visit: &mut dyn FnMut(Pair<'_>)) {
    if record.from.is_some() {
        visit(Pair { key: "from", field: "FROM", value: Value::Mailboxes(&mut record.from.iter()) });
    }
    if !record.recipients.is_empty() {
        visit(Pair { key: "to", field: "TO", value: Value::Mailboxes(&mut record.recipients.iter().map(|r| &r.address)) });
    }
}

fn known<T: Display>(value: Option<&T>) -> Option<&dyn Display> {
    value.map(|v| v as &dyn Display)
}
