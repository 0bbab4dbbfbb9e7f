//! Does each fault of `sealpost sink` meet a `sendmail` that says the right thing, to its caller and to the log? (sealpost(1))

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

use common::{BACKENDS, MESSAGE, PASSWORD, Sealpost, USER};
use sealpost::{
    host::listen::{Settings, Sink, Tls},
    smtp::{
        sasl::{Secret, verifier::Login},
        server::fault::{FAULTS, Fault, Faults, Premise},
    },
};

/// Fault, exit code, `status`, `tls.result`, `tls.failure` of a message with 8-bit text to two recipients.
const TABLE: [(&str, i32, &str, &str, &str); FAULTS.len()] = [
    ("greeting-554", 69, "failed", "none", ""),
    ("greeting-421", 75, "deferred", "none", ""),
    ("silent-greeting", 75, "deferred", "none", ""),
    ("no-ehlo", 75, "deferred", "none", "starttls-not-supported"),
    ("endless-reply", 76, "failed", "none", ""),
    ("no-starttls", 75, "deferred", "none", "starttls-not-supported"),
    ("mangled-starttls", 75, "deferred", "none", "starttls-not-supported"),
    ("no-pipelining", 0, "sent", "verified", ""),
    ("no-chunking", 0, "sent", "verified", ""),
    ("no-8bitmime", 0, "sent", "verified", ""),
    ("no-smtputf8", 0, "sent", "verified", ""),
    ("no-dsn", 0, "sent", "verified", ""),
    ("no-auth", 77, "failed", "none", ""),
    ("tiny-size", 65, "failed", "none", ""),
    ("starttls-454", 75, "deferred", "none", "starttls-not-supported"),
    ("starttls-502", 75, "deferred", "none", "starttls-not-supported"),
    ("starttls-garbage", 75, "deferred", "none", "validation-failure"),
    ("starttls-close", 75, "deferred", "none", "validation-failure"),
    ("handshake-garbage", 75, "deferred", "none", "validation-failure"),
    ("handshake-silence", 75, "deferred", "none", "validation-failure"),
    ("old-tls", 75, "deferred", "none", "validation-failure"),
    ("self-signed", 75, "deferred", "none", "certificate-not-trusted"),
    ("expired", 75, "deferred", "none", "certificate-expired"),
    ("not-yet-valid", 75, "deferred", "none", "certificate-expired"),
    ("unknown-ca", 75, "deferred", "none", "certificate-not-trusted"),
    ("wrong-name", 75, "deferred", "none", "certificate-host-mismatch"),
    ("plaintext-on-implicit", 75, "deferred", "none", "validation-failure"),
    ("auth-535", 77, "failed", "none", ""),
    ("auth-454", 75, "deferred", "none", ""),
    ("auth-garbage", 77, "failed", "none", ""),
    ("auth-hasty", 77, "failed", "none", ""),
    ("auth-endless", 77, "failed", "none", ""),
    ("bad-scram", 77, "failed", "none", ""),
    ("scram-nonce", 77, "failed", "none", ""),
    ("scram-few", 77, "failed", "none", ""),
    ("scram-many", 77, "failed", "none", ""),
    ("no-plus", 77, "failed", "none", ""),
    ("token-refused", 77, "failed", "none", ""),
    ("mail-451", 75, "deferred", "verified", ""),
    ("mail-550", 69, "failed", "verified", ""),
    ("rcpt-451", 75, "deferred", "verified", ""),
    ("rcpt-550", 67, "failed", "verified", ""),
    ("rcpt-550-all", 67, "failed", "verified", ""),
    ("data-421", 75, "deferred", "verified", ""),
    ("data-452", 75, "deferred", "verified", ""),
    ("data-554", 65, "failed", "verified", ""),
    ("drop-after-dot", 75, "unknown", "verified", ""),
    ("half-reply", 75, "unknown", "verified", ""),
    ("reply-354-after-dot", 75, "unknown", "verified", ""),
    ("unsolicited", 0, "sent", "verified", ""),
    ("stop-reading", 75, "unknown", "verified", ""),
    ("slow", 75, "deferred", "none", ""),
    ("greeting-twice", 76, "failed", "none", ""),
];

#[test]
fn every_fault_ends_in_the_right_exit_code_record_and_advice() {
    let mut wrong = Vec::new();
    let rows = FAULTS.iter().zip(TABLE).flat_map(|row| BACKENDS.iter().map(move |backend| (row, backend)));
    for ((fault, (name, exit, status, result, failure)), backend) in rows {
        assert_eq!(fault.name, name, "the table follows the order of the faults");
        let run = suffer(fault, &format!("backend = {backend:?}, "));
        let name = format!("{name}, {backend}");
        let seen = (run.code, run.field("/status"), run.field("/tls/result"), run.field("/tls/failure"));
        // Who can't bind a login to the channel can't notice that somebody took the offer away.
        let (exit, status, result) = match (fault.name, *backend) {
            ("no-plus", "native-tls") => (0, "sent", "verified"),
            _ => (exit, status, result),
        };
        if seen != (exit, status, result, failure) {
            wrong.push(format!("{name}: {seen:?}\n{}", run.stderr));
        }
        if (status == "unknown") != run.stderr.contains("may arrive twice") {
            wrong.push(format!("{name}: what to know before sending it again\n{}", run.stderr));
        }
        wrong.extend(run.oddities().into_iter().map(|odd| format!("{name}: {odd}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn after_a_failed_handshake_an_opportunistic_account_goes_on_in_plaintext_unless_it_refuses() {
    let faults = ["starttls-close", "handshake-garbage"].into_iter();
    for (name, backend) in faults.flat_map(|name| BACKENDS.iter().map(move |backend| (name, backend))) {
        let fault = FAULTS.iter().find(|fault| fault.name == name).unwrap();
        for (on_downgrade, code, result, attempts) in [("warn", 0, "plaintext", 2), ("refuse", 75, "none", 1)] {
            let run =
                suffer(fault, &format!("backend = {backend:?}, policy = \"opportunistic\", on_downgrade = \"{on_downgrade}\", "));
            let seen = (run.code, run.field("/tls/result"), run.field("/tls/failure"), run.records.len());
            assert_eq!(seen, (code, result, "validation-failure", attempts), "{name}, {on_downgrade}, {backend}: {}", run.stderr);
        }
    }
}

/// Sends a message to a sink with the fault, and with what the fault needs; `tls` is put before the account's other TLS keys.
fn suffer(fault: &'static Fault, tls: &str) -> common::Run {
    let secret = match fault.premise() {
        Some(Premise::Login) => Some(Secret::new(PASSWORD.to_owned())),
        Some(Premise::Token) => Some(Secret::token(PASSWORD.to_owned())),
        _ => None,
    };
    let auth = match fault.premise() {
        Some(Premise::Login) => format!("auth = {{ user = {USER:?}, password = {PASSWORD:?} }}\n"),
        Some(Premise::Token) => format!("auth = {{ user = {USER:?}, token_command = \"echo {PASSWORD}\" }}\n"),
        _ => String::new(),
    };
    let implicit = fault.premise() == Some(Premise::Implicit);
    let sink = Sink::start(Settings {
        faults: Faults::named([fault.name]),
        tls: if implicit { Tls::Implicit } else { Tls::Starttls },
        login: secret.map(|password| Login { user: USER.to_owned(), password }),
        ..Settings::default()
    })
    .unwrap();
    let start = if implicit { "implicit" } else { "starttls" };
    let sealpost = Sealpost::new(&format!(
        "[accounts.relay]\nhost = \"localhost\"\nport = {}\ntls = {{ {tls}start = \"{start}\", ca_file = \"ca.pem\" }}\n{auth}",
        sink.address.port()
    ));
    sealpost.scratch.write("ca.pem", sink.ca_pem.as_deref().unwrap());
    let message = format!("{MESSAGE}Grüße\n{}", "more than 1000 octets\n".repeat(60));
    sealpost.send(&["ok@sink.test", "too@sink.test"], message.as_bytes())
}
