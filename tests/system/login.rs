//! Does each way to log in work at a real server, and fail cleanly with a wrong secret? (RFC 4954; Dovecot, alone and in Postfix, and
//! Cyrus SASL)

use crate::{
    common::{PASSWORD, Run, contains},
    smarthost::{Smarthost, send, smarthost, token},
};

/// Long after these tests.
const NEVER: u64 = 4_000_000_000;

fn password(text: &str) -> String {
    format!("password = {text:?}\n")
}

fn token_command(token: &str) -> String {
    format!("token_command = \"echo {token}\"\n")
}

/// Logs in at a Postfix that offers all that Dovecot knows, as `auth` says.
fn log_in(smarthost: &Smarthost, mark: &str, auth: &str) -> (Run, String) {
    send(&smarthost.client("starttls-good-auth-all", "", "", auth), mark, &["ok@sink.test"])
}

#[test]
fn every_mechanism_of_dovecot_takes_the_right_secret_and_refuses_a_wrong_one() {
    let Some(smarthost) = smarthost() else { return };
    let good = token("cron", NEVER);
    let (expired, forged) = (token("cron", 1_600_000_001), format!("{}x", token("root", NEVER)));
    let mut cases = Vec::new();
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"] {
        cases.push((mechanism, password(PASSWORD), 0));
        cases.push((mechanism, password("wrong"), 77));
    }
    for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
        cases.push((mechanism, token_command(&good), 0));
        cases.push((mechanism, token_command(&expired), 77));
        cases.push((mechanism, token_command(&forged), 77));
    }
    for (index, (mechanism, secret, exit)) in cases.into_iter().enumerate() {
        let mark = format!("mechanism-{index}");
        let (run, id) = log_in(smarthost, &mark, &format!("{secret}mechanism = \"{mechanism}\""));
        assert_eq!(run.code, exit, "{mechanism} with {secret}: {run:?}");
        assert_eq!(run.oddities(), Vec::<String>::new(), "{mechanism}");
        if exit == 0 {
            assert_eq!(run.field("/auth"), mechanism, "{run:?}");
            assert!(contains(&smarthost.delivered(&id), b"(Authenticated sender: cron)"), "{mechanism}");
        } else {
            assert_eq!(run.field("/status"), "failed", "{mechanism}: {run:?}");
            assert_eq!(run.last()["code"], 535, "{mechanism}: {run:?}");
            assert!(run.stderr.contains(&format!("the login by {mechanism}")) && run.stderr.contains("hint: "), "{run:?}");
            assert!(smarthost.arrived(&id).is_empty(), "{mechanism}");
        }
    }
}

#[test]
fn every_mechanism_of_cyrus_takes_the_right_password_and_refuses_a_wrong_one() {
    let Some(smarthost) = smarthost() else { return };
    // "auto" says that it could bind, where Cyrus in Postfix can't: both sides must agree that this is no attack.
    for mechanism in ["auto", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"] {
        for (secret, exit) in [(PASSWORD, 0), ("wrong", 77)] {
            let auth = format!("{}mechanism = {mechanism:?}", password(secret));
            let client = smarthost.client("starttls-good-auth-cyrus", "", "", &auth);
            let (run, id) = send(&client, &format!("cyrus-{mechanism}-{exit}"), &["ok@sink.test"]);
            assert_eq!(run.code, exit, "{mechanism} with {secret}: {run:?}");
            assert_eq!(run.oddities(), Vec::<String>::new(), "{mechanism}");
            if exit == 0 {
                assert_eq!(run.field("/auth"), if mechanism == "auto" { "SCRAM-SHA-256" } else { mechanism }, "{run:?}");
                assert!(contains(&smarthost.delivered(&id), b"(Authenticated sender: cron"), "{mechanism}");
            }
        }
    }
}

#[test]
fn auto_takes_the_strongest_that_server_secret_and_trust_allow() {
    let Some(smarthost) = smarthost() else { return };
    let good = token("cron", NEVER);
    for (mark, service, secret, exit, mechanism) in [
        ("auto-password", "starttls-good-auth-all", password(PASSWORD), 0, "SCRAM-SHA-256"),
        ("auto-token", "starttls-good-auth-all", token_command(&good), 0, "OAUTHBEARER"),
        ("auto-few", "starttls-good-auth", password(PASSWORD), 0, "PLAIN"),
        ("auto-few-token", "starttls-good-auth", token_command(&good), 77, ""),
        ("auto-unverified", "starttls-selfsigned-auth-all", password(PASSWORD), 0, "SCRAM-SHA-256"),
        ("auto-unverified-token", "starttls-selfsigned-auth-all", token_command(&good), 75, ""),
    ] {
        let client = smarthost.client(service, "", "policy = \"opportunistic\"", &secret);
        let (run, _) = send(&client, mark, &["ok@sink.test"]);
        assert_eq!((run.code, run.field("/auth")), (exit, mechanism), "{mark}: {run:?}");
        assert_eq!(run.oddities(), Vec::<String>::new(), "{mark}");
    }
}

#[test]
fn a_refused_token_is_told_in_the_server_s_own_words() {
    let Some(smarthost) = smarthost() else { return };
    for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
        let expired = token("cron", 1_600_000_001);
        let auth = format!("{}mechanism = {mechanism:?}", token_command(&expired));
        let (run, _) = log_in(smarthost, &format!("json-{mechanism}"), &auth);
        assert!(run.stderr.contains("it gave as reason: {") && run.stderr.contains("\"status\""), "{run:?}");
        assert!(!run.stderr.contains(&expired), "{run:?}");
    }
}

#[test]
fn a_client_certificate_logs_in_and_another_does_not() {
    let Some(smarthost) = smarthost() else { return };
    for (mark, certificate, user, exit) in [
        ("external", "client.pem", "", 0),
        ("external-user", "client.pem", "user = \"cron\"\n", 0),
        ("external-stranger", "stranger.pem", "", 77),
    ] {
        let tls = format!("client_cert = {}", smarthost.file(certificate));
        let auth = format!("{user}mechanism = \"EXTERNAL\"");
        let (run, id) = send(&smarthost.certified("submission", &tls, &auth), mark, &["ok@sink.test"]);
        assert_eq!(run.code, exit, "{mark}: {run:?}");
        assert_eq!(run.oddities(), Vec::<String>::new(), "{mark}");
        if exit == 0 {
            assert_eq!(run.field("/auth"), "EXTERNAL", "{run:?}");
            assert!(!smarthost.delivered(&id).is_empty());
        }
    }
}
