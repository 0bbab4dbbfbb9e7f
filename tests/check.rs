//! Does `sealpost check` say what a send would do, of every server that misbehaves, and no more than it may? (sealpost(1))

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;
#[path = "check/letter.rs"]
mod letter;
#[path = "check/servers.rs"]
mod servers;
#[path = "check/table.rs"]
mod table;

use common::{PASSWORD, Run, Sealpost, USER, reveals_secret, script::Server};
use sealpost::{
    host::listen::{Event, Settings, Sink, Tls},
    smtp::{
        sasl::{Secret, verifier::Login},
        server::fault::Faults,
    },
};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

fn check(sealpost: &Sealpost, args: &[&str]) -> Run {
    let config = sealpost.scratch.path().join("config.toml");
    let mut words = vec!["check", "-C", config.to_str().unwrap()];
    words.extend(args);
    sealpost.command(&words, b"")
}

/// The only account of a run with `--json`.
fn account(run: &Run) -> Value {
    let mut whole: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    assert_eq!(whole["exit"], run.code, "{run:?}");
    assert_eq!(whole["accounts"].as_array().map(Vec::len), Some(1), "{run:?}");
    whole["accounts"][0].take()
}

/// What must hold of every page; returns what does not.
fn oddities(run: &Run) -> Vec<String> {
    let mut odd = Vec::new();
    odd.extend(run.stdout.lines().filter(|line| line.width() > 80).map(|line| format!("too wide: {line}")));
    if run.stdout.chars().any(|c| c.is_control() && c != '\n') {
        odd.push(format!("a control character: {:?}", run.stdout));
    }
    if reveals_secret(run.stdout.as_bytes()) || reveals_secret(run.stderr.as_bytes()) {
        odd.push("the secret".to_owned());
    }
    if run.stdout.contains("would send now") != (run.code == 0) {
        odd.push(format!("verdict and exit code disagree: {}\n{}", run.code, run.stdout));
    }
    odd
}

fn sink(faults: &[&str], login: bool, implicit: bool) -> Sink {
    Sink::start(Settings {
        faults: Faults::named(faults.iter().copied()),
        tls: if implicit { Tls::Implicit } else { Tls::Starttls },
        login: login.then(|| Login { user: USER.to_owned(), password: Secret::new(PASSWORD.to_owned()) }),
        ..Settings::default()
    })
    .unwrap()
}

fn configured(sink: &Sink, tls: &str, more: &str) -> Sealpost {
    let port = sink.address.port();
    let sealpost = Sealpost::new(&format!("[accounts.relay]\nhost = \"localhost\"\nport = {port}\n{more}\ntls = {{ {tls} }}\n"));
    sealpost.scratch.write("ca.pem", sink.ca_pem.as_deref().unwrap());
    sealpost
}

fn auth() -> String {
    format!("auth = {{ user = {USER:?}, password = {PASSWORD:?} }}")
}

#[test]
fn a_server_without_fault_is_described_whole() {
    let sink = sink(&[], true, false);
    let sealpost = configured(&sink, "ca_file = \"ca.pem\"", &auth());
    let run = check(&sealpost, &["--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let told = account(&run);
    let session = &told["addresses"][0]["sessions"][0];
    for (pointer, wanted) in [
        ("/tls/version", "TLSv1.3"),
        ("/tls/group", "X25519MLKEM768"),
        ("/tls/chain/0/subject", "CN=sealpost sink"),
        ("/tls/trust/system/failure", "certificate-not-trusted"),
        ("/steps/0/step", "greeting"),
        ("/auth", "SCRAM-SHA-256-PLUS"),
    ] {
        assert_eq!(session.pointer(pointer).and_then(Value::as_str), Some(wanted), "{pointer}: {session}");
    }
    assert_eq!((&session["tls"]["trust"]["ca_file"]["trusted"], &told["login"]["accepted"]), (&true.into(), &true.into()));
    assert_eq!((&session["before_tls"]["starttls"], &session["under_tls"]["starttls"]), (&true.into(), &false.into()));
    assert_eq!(told["result"], "verified");
    let kinds: Vec<&str> = session["tls"]["trust"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(kinds, ["any", "ca_file", "dane", "pin", "system", "tofu"]);
    assert!(session["before_tls"]["lines"].as_array().unwrap().contains(&"ENHANCEDSTATUSCODES".into()), "{session}");
    assert!(sink.events.try_iter().all(|event| !matches!(event, Event::Delivered(_))), "a check sent mail");
    assert!(sealpost.log().is_empty(), "a check is no send");
}

#[test]
fn the_lines_that_it_shows_pin_the_server() {
    let sink = sink(&["self-signed"], false, false);
    let sealpost = configured(&sink, "ca_file = \"ca.pem\"", "");
    let run = check(&sealpost, &[]);
    assert_eq!(run.code, 75, "{run:?}");
    let lines: Vec<&str> = run
        .stdout
        .lines()
        .filter(|line| line.starts_with("  by "))
        .filter_map(|line| Some(&line[line.find("pins = ")?..]))
        .collect();
    assert_eq!(lines.len(), 2, "{run:?}");
    for line in lines {
        let pinned = configured(&sink, &format!("trust = \"pin\", {line}"), "");
        let run = check(&pinned, &[]);
        assert!(run.code == 0 && run.stdout.contains("server verified"), "{line}: {run:?}");
    }
}

#[test]
fn no_secret_crosses_a_connection_that_a_send_would_not_trust() {
    for (keywords, policy) in [("AUTH PLAIN LOGIN", "opportunistic"), ("AUTH PLAIN LOGIN", "required")] {
        let server = Server::start(&format!("hello: {keywords}\nwait"), None);
        let port = server.port();
        let accounts =
            format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls = {{ policy = \"{policy}\" }}\n{}\n", auth());
        let run = check(&Sealpost::new(&accounts), &[]);
        assert_eq!((run.code, oddities(&run)), (75, Vec::new()), "{run:?}");
        let heard = server.finish().remove(0).clear;
        assert!(!reveals_secret(&heard), "{policy}: {}", String::from_utf8_lossy(&heard));
        assert!(heard.starts_with(b"EHLO ") && !common::contains(&heard, b"AUTH"), "{}", String::from_utf8_lossy(&heard));
    }
}

#[test]
fn a_password_that_is_not_there_is_said_and_the_rest_is_looked_at_all_the_same() {
    let sink = sink(&[], true, false);
    let more = format!("auth = {{ user = {USER:?}, password_file = \"/nonexistent\" }}");
    let sealpost = configured(&sink, "ca_file = \"ca.pem\"", &more);
    let run = check(&sealpost, &[]);
    assert_eq!((run.code, oddities(&run)), (78, Vec::new()), "{run:?}");
    let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for wanted in [
        "password can't be had: /nonexistent does not exist",
        "SCRAM-SHA-256-PLUS",
        "this connection allows): not tried",
        "TLSv1.3",
    ] {
        assert!(text.contains(wanted), "{wanted}: {run:?}");
    }
}

#[test]
fn an_opportunistic_account_is_tried_again_in_plaintext_as_a_send_would() {
    let sink = sink(&["starttls-close"], false, false);
    let sealpost = configured(&sink, "policy = \"opportunistic\", ca_file = \"ca.pem\"", "");
    let run = check(&sealpost, &["--json"]);
    let told = account(&run);
    assert_eq!((run.code, &told["result"]), (0, &"plaintext".into()), "{run:?}");
    assert_eq!(told["addresses"][0]["sessions"].as_array().map(Vec::len), Some(2), "{run:?}");
    assert!(told["advice"].to_string().contains("plaintext"), "{run:?}");
}

#[test]
fn all_accounts_have_a_page_each_and_the_gravest_code_is_returned() {
    let sinks = [sink(&[], false, false), sink(&["greeting-554"], false, false), sink(&["greeting-421"], false, false)];
    let account = |(name, sink): (&str, &Sink)| {
        format!("[accounts.{name}]\nhost = \"localhost\"\nport = {}\ntls = {{ trust = \"any\" }}\n", sink.address.port())
    };
    let names = ["relay", "spare", "other"];
    let sealpost = Sealpost::new(&names.into_iter().zip(&sinks).map(account).collect::<String>());
    let run = check(&sealpost, &["--all"]);
    assert_eq!(run.code, 69, "{run:?}");
    for name in names {
        assert!(run.stdout.contains(&format!("account {name} (localhost:")), "{run:?}");
    }
    assert_eq!(check(&sealpost, &[]).code, 0);
    assert_eq!(check(&sealpost, &["spare"]).code, 69);
}

#[test]
fn what_can_not_be_checked_is_said_in_words() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"127.0.0.1\"\nport = 1\n");
    for (args, code, wanted) in [
        (&["nobody"][..], 78, "there is no account"),
        (&["--send", "a@@b"], 64, "a@@b"),
        (&["--all", "relay"], 64, "cannot be used with"),
        (&["-C", "/nonexistent.toml"], 64, "cannot be used multiple times"),
    ] {
        let run = check(&sealpost, args);
        assert_eq!((run.code, run.stdout.as_str()), (code, ""), "{args:?}: {run:?}");
        assert!(run.stderr.contains(wanted), "{args:?}: {run:?}");
    }
    let run = check(&sealpost, &[]);
    assert_eq!((run.code, oddities(&run)), (75, Vec::new()), "{run:?}");
    assert!(run.stdout.contains("connection refused"), "{run:?}");
}
