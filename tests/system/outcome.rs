//! Do exit code and envelope tell what the smarthost did?

use std::net::TcpListener;

use crate::{
    common::{MESSAGE, Sealpost, contains},
    smarthost::{message, send, smarthost},
};

#[test]
fn what_the_smarthost_refuses_has_its_exit_code() {
    let Some(smarthost) = smarthost() else { return };
    let auth = "password = \"not the password\"";
    for (mark, service, auth, recipients, exit, status) in [
        ("refused-unknown", "plain", "", &["nobody@sink.test"][..], 67, "failed"),
        ("refused-foreign", "plain", "", &["a@elsewhere.test"], 67, "failed"),
        ("refused-later", "plain", "", &["later@sink.test"], 75, "deferred"),
        ("refused-login", "starttls-good-auth", auth, &["ok@sink.test"], 77, "failed"),
        ("refused-unasked", "starttls-good-auth", "", &["ok@sink.test"], 67, "failed"),
    ] {
        let policy = if service == "plain" { "policy = \"off\"" } else { "policy = \"required\"" };
        let (run, id) = send(&smarthost.client(service, "", policy, auth), mark, recipients);
        assert_eq!((run.code, run.field("/status")), (exit, status), "{mark}: {run:?}");
        assert_eq!(run.oddities(), Vec::<String>::new(), "{mark}");
        assert!(smarthost.arrived(&id).is_empty(), "{mark} arrived");
    }
}

#[test]
fn a_refused_recipient_does_not_stop_the_others() {
    let Some(smarthost) = smarthost() else { return };
    let client = smarthost.client("starttls-good", "", "", "");
    let (run, id) = send(&client, "partly", &["nobody@sink.test", "ok-2@sink.test", "later@sink.test"]);
    assert_eq!((run.code, run.field("/status")), (67, "failed"), "{run:?}");
    assert!(contains(&smarthost.delivered(&id), b"Delivered-To: ok-2@sink.test\n"));
    let told: Vec<&str> = (0..3).map(|n| run.field(&format!("/recipients/{n}/status")).to_owned().leak() as &str).collect();
    assert_eq!(told, ["failed", "sent", "deferred"], "{run:?}");
}

#[test]
fn a_message_over_the_servers_size_is_refused_before_its_body() {
    let Some(smarthost) = smarthost() else { return };
    let (_, large) = message("too-large", &b"0123456789 0123456789\n".repeat(2000));
    let run = smarthost.client("plain-small", "", "policy = \"off\"", "").send(&["-i", "ok@sink.test"], &large);
    assert_eq!((run.code, run.field("/status")), (65, "failed"), "{run:?}");
}

#[test]
fn a_server_that_is_down_is_temporary() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let run = Sealpost::new(&format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\n"))
        .send(&["-i", "ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!((run.code, run.field("/status"), run.field("/tls/result")), (75, "deferred", "none"), "{run:?}");
}

#[test]
fn lmtp_delivers() {
    let Some(smarthost) = smarthost() else { return };
    let client = smarthost.client("lmtp", "protocol = \"lmtp\"", "policy = \"off\"", "");
    let (run, id) = send(&client, "by-lmtp", &["ok@sink.test", "ok-b@sink.test"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(contains(&smarthost.delivered(&id), b"with LMTP"));
}

#[test]
fn the_envelope_comes_from_flags_and_header_and_bcc_stays_secret() {
    let Some(smarthost) = smarthost() else { return };
    let client = smarthost.client("starttls-good", "", "", "");
    let (id, text) = message("bcc", b"all is well\n");
    let text = String::from_utf8(text).unwrap().replace("Subject:", "Bcc: ok-hidden@sink.test,\n ok-folded@sink.test\nSubject:");
    let run = client.send(&["-t", "-i", "-f", "boss@client.test"], text.as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
    let told: Vec<&str> = (0..3).map(|n| run.field(&format!("/recipients/{n}/address")).to_owned().leak() as &str).collect();
    assert_eq!(told, ["ok@sink.test", "ok-hidden@sink.test", "ok-folded@sink.test"], "{run:?}");
    let mail = smarthost.delivered(&id);
    assert!(mail.starts_with(b"Return-Path: <boss@client.test>\n"), "{}", String::from_utf8_lossy(&mail));
    // Postfix names the recipient of this copy above the message; below, nobody hidden may appear.
    let own = memchr::memmem::find(&mail, b"From: Cron").unwrap();
    assert!(!contains(&mail[own..], b"hidden") && !contains(&mail[own..], b"folded"), "{}", String::from_utf8_lossy(&mail));

    let (id, text) = message("null-sender", b"a bounce\n");
    assert_eq!(client.send(&["-i", "-f", "<>", "ok@sink.test"], &text).code, 0);
    assert!(smarthost.delivered(&id).starts_with(b"Return-Path: <>\n"));
}
