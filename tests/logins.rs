//! Does each way to log in work end to end, and is its secret seen nowhere but on the wire? (RFC 4954; sealpost.toml(5))

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{MESSAGE, PASSWORD, Run, Sealpost, USER, reveals_secret};
use sealpost::{
    host::listen::{Event, Settings, Sink},
    smtp::{
        sasl::{Kind, Secret, verifier::Login},
        server::fault::Faults,
    },
};

const WITH_PASSWORD: [&str; 7] =
    ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN", "CRAM-MD5"];
const WITH_TOKEN: [&str; 2] = ["OAUTHBEARER", "XOAUTH2"];

/// A sink that wants a secret of that kind.
fn sink(kind: Kind, faults: &[&'static str]) -> Sink {
    let password = if kind == Kind::Token { Secret::token(PASSWORD.to_owned()) } else { Secret::new(PASSWORD.to_owned()) };
    let login = Some(Login { user: USER.to_owned(), password });
    Sink::start(Settings { login, faults: Faults::named(faults.iter().copied()), ..Settings::default() }).unwrap()
}

/// An account at the sink.
fn client(sink: &Sink, tls: &str, auth: &str) -> Sealpost {
    let port = sink.address.port();
    let sealpost = Sealpost::new(&format!(
        "[accounts.relay]\nhost = \"localhost\"\nport = {port}\ntls = {{ {tls}ca_file = \"ca.pem\" }}\n[accounts.relay.auth]\nuser = {USER:?}\n{auth}"
    ));
    sealpost.scratch.write("ca.pem", sink.ca_pem.as_deref().unwrap());
    sealpost
}

/// Sends through the sink, and shows the dialogue.
fn send(sink: &Sink, tls: &str, auth: &str) -> Run {
    client(sink, tls, auth).send(&["--debug", "ok@sink.test"], MESSAGE.as_bytes())
}

fn secret(kind: Kind, text: &str) -> String {
    if kind == Kind::Token { format!("token_command = \"echo {text}\"\n") } else { format!("password = \"{text}\"\n") }
}

#[test]
fn every_mechanism_logs_in_with_the_right_secret_and_shows_it_to_nobody_else() {
    for (kind, mechanisms) in [(Kind::Password, &WITH_PASSWORD[..]), (Kind::Token, &WITH_TOKEN)] {
        let sink = sink(kind, &[]);
        for mechanism in mechanisms {
            for (text, exit) in [(PASSWORD, 0), ("wrong", 77)] {
                let run = send(&sink, "", &format!("{}mechanism = {mechanism:?}", secret(kind, text)));
                assert_eq!(run.code, exit, "{mechanism}: {run:?}");
                assert!(!reveals_secret(run.stderr.as_bytes()), "{mechanism}: {}", run.stderr);
                assert!(!reveals_secret(format!("{:?}", run.records).as_bytes()), "{mechanism}: {:?}", run.records);
                if exit == 0 {
                    assert_eq!(run.field("/auth"), *mechanism);
                    // Who was refused leaves without waiting for the 221, which the sink may tell of too.
                    let mut mails =
                        sink.events.iter().filter_map(|e| if let Event::Delivered(mail) = e { Some(mail) } else { None });
                    assert_eq!(mails.next().unwrap().transaction.user.as_deref(), Some(USER), "{mechanism}");
                } else {
                    assert!(run.stderr.contains("hint: "), "{mechanism}: {}", run.stderr);
                }
            }
        }
    }
}

#[test]
fn a_password_that_scram_has_no_place_for_goes_another_way() {
    let password = "correct-horse-\u{1f600}";
    let login = Some(Login { user: USER.to_owned(), password: Secret::new(password.to_owned()) });
    let sink = Sink::start(Settings { login, ..Settings::default() }).unwrap();
    let sealpost = client(&sink, "", &secret(Kind::Password, password));
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!((run.code, run.field("/auth")), (0, "PLAIN"), "{run:?}");
    let config = sealpost.scratch.path().join("config.toml").display().to_string();
    let run = sealpost.command(&["check", "--json", "-C", &config], b"");
    assert!(run.code == 0 && run.stdout.contains("\"mechanism\":\"PLAIN\""), "{run:?}");
}

#[test]
fn what_is_told_as_secret_is_found_wherever_it_stands() {
    for before in ["", "x", "xy", "user=cron\x01auth=Bearer "] {
        let said = STANDARD.encode(format!("{before}{PASSWORD}\x01\x01"));
        assert!(reveals_secret(said.as_bytes()), "{said}");
    }
    assert!(!reveals_secret(STANDARD.encode("correct-horse-Battery").as_bytes()));
}

#[test]
fn a_stripped_offer_is_told_as_what_it_is() {
    let run = send(&sink(Kind::Password, &["no-plus"]), "", &secret(Kind::Password, PASSWORD));
    assert_eq!(run.code, 77, "{run:?}");
    assert!(run.stderr.contains("server-does-support-channel-binding"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: somebody on the way took the mechanisms"), "{}", run.stderr);
}

#[test]
fn a_refused_token_is_told_in_the_server_s_words_and_nothing_else_is_tried() {
    for mechanism in WITH_TOKEN {
        let auth = format!("{}mechanism = {mechanism:?}", secret(Kind::Token, PASSWORD));
        let run = send(&sink(Kind::Token, &["token-refused"]), "", &auth);
        assert_eq!(run.code, 77, "{run:?}");
        assert!(run.stderr.contains(r#"it gave as reason: {"status":"invalid_token","#), "{}", run.stderr);
        assert!(!reveals_secret(run.stderr.as_bytes()), "{}", run.stderr);
    }
}

#[test]
fn a_server_that_is_not_verified_gets_a_proof_but_no_secret() {
    for (kind, mechanism, exit) in [
        (Kind::Password, "auto", 0),
        (Kind::Password, "CRAM-MD5", 0),
        (Kind::Password, "SCRAM-SHA-1", 0),
        (Kind::Password, "PLAIN", 75),
        (Kind::Password, "LOGIN", 75),
        (Kind::Token, "auto", 75),
        (Kind::Token, "XOAUTH2", 75),
    ] {
        let sink = sink(kind, &["self-signed"]);
        let auth = format!("{}mechanism = {mechanism:?}", secret(kind, PASSWORD));
        let run = send(&sink, "policy = \"opportunistic\", ", &auth);
        assert_eq!(run.code, exit, "{mechanism}: {run:?}");
        assert_eq!(run.field("/tls/result"), if exit == 0 { "unverified" } else { "none" }, "{mechanism}: {run:?}");
    }
}
