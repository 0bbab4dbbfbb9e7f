//! Is REQUIRETLS asked for, refused and waived as the manual says, end to end? (RFC 8689)

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

use common::{
    MESSAGE, Run, Sealpost,
    zone::{Dns, Signing, Zone},
};
use sealpost::{
    host::listen::{Delivery, Event, Settings, Sink, Tls},
    smtp::server::fault::Faults,
};

/// A sink that offers REQUIRETLS, or does not.
fn sink(requiretls: bool, tls: Tls) -> Sink {
    Sink::start(Settings { requiretls, tls, ..Settings::default() }).unwrap()
}

/// An account that goes there, `tls` being the last lines of its table.
fn account(name: &str, sink: &Sink, tls: &str) -> String {
    let file = format!("{}.pem", sink.address.port());
    let port = sink.address.port();
    format!("[accounts.{name}]\nhost = \"localhost\"\nport = {port}\n[accounts.{name}.tls]\nca_file = {file:?}\n{tls}\n")
}

fn sealpost(accounts: &[String], sinks: &[&Sink]) -> Sealpost {
    let sealpost = Sealpost::new(&accounts.concat());
    for sink in sinks {
        sealpost.scratch.write(&format!("{}.pem", sink.address.port()), sink.ca_pem.as_deref().unwrap());
    }
    sealpost
}

fn send(sealpost: &Sealpost, from: &str, message: &str) -> Run {
    let run = sealpost.send(&["-i", "-f", from, "ok@sink.test"], message.as_bytes());
    assert_eq!(run.oddities(), Vec::<String>::new());
    run
}

fn delivered(sink: &Sink) -> Option<Delivery> {
    sink.events.try_iter().find_map(|event| if let Event::Delivered(delivery) = event { Some(*delivery) } else { None })
}

#[test]
fn a_server_that_offers_it_is_asked_and_the_log_says_so() {
    for (tls, start) in [(Tls::Starttls, "starttls"), (Tls::Implicit, "implicit")] {
        let sink = sink(true, tls);
        let sealpost = sealpost(&[account("relay", &sink, &format!("start = {start:?}\nrequiretls = true"))], &[&sink]);
        let run = send(&sealpost, "me@client.test", MESSAGE);
        assert_eq!((run.code, run.field("/tls/result"), run.field("/tls/request")), (0, "verified", "requiretls"), "{run:?}");
        assert!(delivered(&sink).unwrap().transaction.requiretls);
    }
}

#[test]
fn a_server_that_does_not_offer_it_gets_nothing_but_bounces() {
    let sink = sink(false, Tls::Starttls);
    let sealpost = sealpost(&[account("relay", &sink, "requiretls = true")], &[&sink]);
    let run = send(&sealpost, "me@client.test", MESSAGE);
    assert_eq!((run.code, run.field("/status"), run.field("/tls/result")), (75, "deferred", "none"), "{run:?}");
    assert_eq!((run.field("/tls/request"), &run.last()["tls"]["failure"]), ("requiretls", &serde_json::Value::Null));
    assert!(run.stderr.contains("does not offer REQUIRETLS (5.7.30)") && run.stderr.contains("hint: "), "{}", run.stderr);
    assert!(delivered(&sink).is_none());

    let run = send(&sealpost, "<>", MESSAGE);
    assert_eq!((run.code, run.field("/tls/result"), run.field("/tls/request")), (0, "verified", ""), "{run:?}");
    assert!(!delivered(&sink).unwrap().transaction.requiretls);
}

/// Puts a queue into the configuration.
fn queueing(sealpost: &Sealpost, mode: &str) {
    let path = sealpost.scratch.path().join("config.toml");
    let lines = format!("mode = {mode:?}\nretry_first = \"1h\"");
    let text = std::fs::read_to_string(&path).unwrap().replace("mode = \"off\"", &lines);
    sealpost.scratch.write("config.toml", text);
}

/// The next message that arrives.
fn arrives(sink: &Sink) -> (Delivery, String) {
    loop {
        if let Event::Delivered(delivery) = sink.events.recv_timeout(std::time::Duration::from_secs(60)).unwrap() {
            let sealpost::host::listen::Kept::Memory(octets) = &delivery.kept else { panic!("kept in memory") };
            let text = String::from_utf8_lossy(octets).replace('\r', "");
            return (*delivery, text);
        }
    }
}

#[test]
fn a_queue_tells_the_sender_at_once_of_a_server_that_does_not_offer_it() {
    for mode in ["fallback", "always"] {
        let sink = sink(false, Tls::Starttls);
        let sealpost = sealpost(&[account("relay", &sink, "requiretls = true")], &[&sink]);
        queueing(&sealpost, mode);
        let run = sealpost.send(&["-f", "me@client.test", "ok@sink.test"], MESSAGE.as_bytes());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        let (report, text) = arrives(&sink);
        assert_eq!((report.transaction.sender.as_str(), report.transaction.recipients[0].address.as_str()), ("", "me@client.test"));
        assert!(text.contains("\nStatus: 5.7.30\n") && text.contains("Action: failed"), "{text}");
    }
}

/// What `-bs` answers to the end of a message that asks for it.
fn spoken(sealpost: &Sealpost) -> (String, Run) {
    let mail = "MAIL FROM:<me@client.test> REQUIRETLS\nRCPT TO:<ok@sink.test>";
    let run = sealpost.send(&["-bs"], format!("EHLO x\n{mail}\nDATA\n{MESSAGE}.\nQUIT\n").as_bytes());
    let answer = run.stdout.lines().skip_while(|line| !line.starts_with("354 ")).nth(1).unwrap_or_default().to_owned();
    (answer, run)
}

#[test]
fn a_message_that_asks_for_it_itself_has_it_or_is_refused_at_once() {
    for mode in ["off", "fallback", "always"] {
        let (with, without) = (sink(true, Tls::Starttls), sink(false, Tls::Starttls));
        let first = account("relay", &without, "").replacen("port", "fallback = [\"second\"]\nport", 1);
        let willing = sealpost(&[first, account("second", &with, "")], &[&without, &with]);
        let unwilling = sealpost(&[account("relay", &without, "")], &[&without]);
        if mode != "off" {
            queueing(&willing, mode);
            queueing(&unwilling, mode);
        }
        let (answer, run) = spoken(&willing);
        assert!(answer.starts_with("250 ") && run.stdout.contains("250-REQUIRETLS"), "{run:?}");
        assert!(arrives(&with).0.transaction.requiretls);

        let (answer, run) = spoken(&unwilling);
        if mode == "off" {
            assert!(answer.starts_with("554 ") && answer.contains("does not offer REQUIRETLS (5.7.30)"), "{run:?}");
            assert_eq!((run.field("/status"), run.last()["exit"].as_u64()), ("failed", Some(69)), "{run:?}");
        } else {
            assert!(answer.starts_with("250 ") && run.stderr.is_empty(), "{run:?}");
            assert!(arrives(&without).1.contains("\nStatus: 5.7.30\n"));
        }
    }
}

#[test]
fn a_fallback_that_offers_it_is_tried() {
    let (without, with) = (sink(false, Tls::Starttls), sink(true, Tls::Starttls));
    let first = account("relay", &without, "requiretls = true").replacen("port", "fallback = [\"second\"]\nport", 1);
    let sealpost = sealpost(&[first, account("second", &with, "requiretls = true")], &[&without, &with]);
    let run = send(&sealpost, "me@client.test", MESSAGE);
    assert_eq!((run.code, run.records.len(), run.field("/account")), (0, 2, "second"), "{run:?}");
    assert!(delivered(&without).is_none() && delivered(&with).unwrap().transaction.requiretls);
}

#[test]
fn check_says_what_a_send_would_meet() {
    for (offered, code) in [(true, 0), (false, 75)] {
        let sink = sink(offered, Tls::Starttls);
        let sealpost = sealpost(&[account("relay", &sink, "requiretls = true")], &[&sink]);
        let config = sealpost.scratch.path().join("config.toml");
        let run = sealpost.command(&["check", "-C", config.to_str().unwrap()], b"");
        assert_eq!((run.code, run.stdout.contains("does not offer REQUIRETLS (5.7.30)")), (code, !offered), "{}", run.stdout);
    }
}

#[test]
fn a_message_that_waives_tls_keeps_its_field_and_is_told_of() {
    let message = format!("TLS-Required: No\n{MESSAGE}");
    for (tls, offered, result, request) in [
        ("policy = \"opportunistic\"", false, "verified", "tls-required-no"),
        ("", false, "verified", "tls-required-no"),
        ("requiretls = true", true, "verified", "requiretls"),
    ] {
        let sink = sink(offered, Tls::Starttls);
        let run = send(&sealpost(&[account("relay", &sink, tls)], &[&sink]), "me@client.test", &message);
        assert_eq!((run.code, run.field("/tls/result"), run.field("/tls/request")), (0, result, request), "{run:?}");
        let delivery = delivered(&sink).unwrap();
        let sealpost::host::listen::Kept::Memory(octets) = delivery.kept else { panic!("kept in memory") };
        assert!(common::contains(&octets, b"TLS-Required: No\r\n"));
    }
}

#[test]
fn a_message_that_waives_tls_does_not_overrule_the_account() {
    let sink =
        Sink::start(Settings { faults: sealpost::smtp::server::fault::Faults::named(["self-signed"]), ..Settings::default() })
            .unwrap();
    let run = send(&sealpost(&[account("relay", &sink, "")], &[&sink]), "me@client.test", &format!("TLS-Required: No\n{MESSAGE}"));
    assert_eq!((run.code, run.field("/tls/result"), run.field("/tls/request")), (75, "none", "tls-required-no"), "{run:?}");
}

/// What comes of a message without and with the field, by an account that trusts what a signed zone says of the server.
#[test]
fn a_message_that_waives_tls_is_not_held_back_by_tlsa_records() {
    let rows = [
        ("good", "test", "opportunistic", "75 none tlsa-invalid", "0 unverified tlsa-invalid"),
        ("no-starttls", "test", "opportunistic", "75 none starttls-not-supported", "0 plaintext starttls-not-supported"),
        ("handshake-garbage", "test", "opportunistic", "75 none validation-failure", "0 plaintext validation-failure"),
        ("good", "test", "required", "75 none tlsa-invalid", "75 none tlsa-invalid"),
        ("good", "wrong", "required", "75 none dnssec-invalid", "75 none dnssec-invalid"),
        // The account goes on as if there was no DNSSEC, so it is the system that is asked, which does not know our zone.
        ("good", "wrong", "opportunistic", "75 none dnssec-invalid", "68 none"),
    ];
    let sinks = rows.map(|(fault, ..)| Sink::start(Settings { faults: Faults::named([fault]), ..Settings::default() }).unwrap());
    let mut zones = ["test", "wrong"].map(|name| Zone::new(name, Signing::Nsec, ""));
    zones[1].signing = Signing::WrongKey;
    for (sink, (_, zone, ..)) in sinks.iter().zip(rows) {
        let port = sink.address.port();
        zones[usize::from(zone == "wrong")].records +=
            &format!("mx{port} A 127.0.0.1\n_{port}._tcp.mx{port} TLSA 3 1 1 {}\n", "ab".repeat(32));
    }
    let Some(dns) = Dns::start(&zones) else { return };
    for (sink, (fault, zone, policy, held, waived)) in sinks.iter().zip(rows) {
        let port = sink.address.port();
        let account = format!(
            "[accounts.relay]\nhost = \"mx{port}.{zone}\"\nport = {port}\ntls = {{ trust = \"dane\", policy = {policy:?} }}\n"
        );
        for (field, wanted) in [("", held), ("TLS-Required: No\n", waived)] {
            let sealpost = Sealpost::new(&format!("{}{account}", dns.table()));
            let run = send(&sealpost, "me@client.test", &format!("{field}{MESSAGE}"));
            let seen = format!("{} {} {}", run.code, run.field("/tls/result"), run.field("/tls/failure"));
            assert_eq!(seen.trim_end(), wanted, "{fault}, {zone}, {policy}, {field:?}: {run:?}");
        }
    }
}
