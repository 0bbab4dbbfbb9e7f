//! Does `sealpost check` read well of a real Postfix and a real Dovecot, and does it come to what a send comes to?

use crate::{
    common::{MESSAGE, PASSWORD},
    smarthost::smarthost,
};

/// A service, the rest of the account, its TLS and its login; then what the page must say.
type Row = (&'static str, &'static str, &'static str, bool, &'static [&'static str]);

const ROWS: [Row; 7] = [
    ("starttls-good-auth-scram", "", "start = \"starttls\"", true, &["220 ", "SCRAM-SHA-256", "accepted", "the server verified"]),
    ("starttls-good-auth", "", "start = \"starttls\"", true, &["AUTH PLAIN LOGIN", "PLAIN (the best", "and ", "VRFY"]),
    ("implicit-good-auth", "", "start = \"implicit\"", true, &["under TLS", "accepted", "the server verified"]),
    ("implicit-expired-auth", "", "start = \"implicit\"", true, &["(expired)", "certificate-expired", "not tried"]),
    ("starttls-selfsigned-auth", "", "policy = \"opportunistic\"\nstart = \"starttls\"", true, &["self-signed", "not logging in"]),
    ("plain-small", "", "start = \"starttls\"", false, &["starttls-not-supported", "SIZE 20000"]),
    ("lmtp", "protocol = \"lmtp\"", "policy = \"off\"", false, &["LMTP)", "LHLO", "in plaintext"]),
];

#[test]
fn a_check_of_a_real_server_is_whole_and_true() {
    let Some(smarthost) = smarthost() else { return };
    for (service, account, tls, login, wanted) in ROWS {
        let auth = if login { format!("password = {PASSWORD:?}") } else { String::new() };
        let sealpost = smarthost.client(service, account, tls, &auth);
        let config = sealpost.scratch.path().join("config.toml");
        let run = sealpost.command(&["check", "-C", config.to_str().unwrap()], b"");
        let text = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in wanted {
            assert!(text.contains(words), "{service}: {words:?} is not in\n{}", run.stdout);
        }
        let sent = sealpost.send(&["-f", "cron@client.test", "ok@sink.test"], MESSAGE.as_bytes());
        assert_eq!(run.code, sent.code, "{service}: {sent:?}\n{}", run.stdout);
        assert!(run.stdout.lines().all(|line| line.len() <= 80), "{}", run.stdout);
    }
}
