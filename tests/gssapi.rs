//! Does a Kerberos ticket log in at a real server, and does everything else fail cleanly? (RFC 4752; MIT's KDC, Dovecot, Cyrus SASL in
//! Postfix; a server that lies)

#![cfg(feature = "gssapi")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;
#[path = "gssapi/kit.rs"]
mod kit;
#[path = "gssapi/liar.rs"]
mod liar;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{Run, USER, script::Server};
use kit::{Realm, outlive, realm};
use liar::Liar;

/// A ticket for a minute of [`USER`].
const TICKET: [&str; 3] = ["-l", "60", USER];
/// On this machine, without TLS.
const CLEAR: &str = "policy = \"off\"";

/// Nothing went out, and the person was told `because` and what to do.
fn refused(run: &Run, exit: i32, because: &str, hint: &str) {
    assert_eq!(run.code, exit, "{run:?}");
    assert!(run.stderr.contains(because), "{because}: {}", run.stderr);
    assert!(run.stderr.lines().any(|line| line.starts_with("sendmail: hint: ") && line.contains(hint)), "{hint}: {}", run.stderr);
}

/// A client with a ticket for the server that plays `script`, and what became of it.
fn meet(realm: &Realm, script: &str) -> Run {
    let server = Server::start(&format!("hello: AUTH GSSAPI\nC: AUTH GSSAPI*\n{script}\n"), None);
    let client = realm.client_of(server.port(), CLEAR, "");
    realm.kinit(&client, &TICKET);
    let (run, _) = realm.send(&client, "script");
    for heard in server.finish() {
        assert_eq!(heard.deviation, None, "{script}: {run:?}");
    }
    run
}

#[test]
fn a_ticket_logs_in_under_tls_as_the_principal_s_user_or_as_the_one_that_is_named() {
    let Some(realm) = realm() else { return };
    for (mark, user) in [("named", "user = \"cron\""), ("unnamed", "")] {
        let client = realm.client("", user);
        realm.kinit(&client, &TICKET);
        let (run, came) = realm.send(&client, mark);
        assert_eq!(run.code, 0, "{mark}: {run:?}");
        assert!(came, "{mark}");
        assert_eq!((run.field("/auth"), run.field("/tls/result")), ("GSSAPI", "verified"), "{mark}: {run:?}");
        assert!(run.stderr.contains("> AUTH ***") && !run.stderr.contains("AUTH GSSAPI Y"), "{}", run.stderr);
    }
    realm.logged("Login: user=<cron>, method=GSSAPI");
}

#[test]
fn cyrus_takes_a_ticket_and_refuses_one_for_another_server() {
    let Some(realm) = realm() else { return };
    let ca = format!("ca_file = {:?}", realm.file("ca.pem"));
    for (mark, tls, exit) in [("cyrus", ca.as_str(), 0), ("cyrus-key", "trust = \"any\"\nserver_name = \"strange.test\"", 77)] {
        let client = realm.client_of(realm.postfix, tls, "");
        realm.kinit(&client, &TICKET);
        let (run, came) = realm.send(&client, mark);
        assert_eq!((run.code, came), (exit, exit == 0), "{mark}: {run:?}");
        if exit != 0 {
            refused(&run, 77, "the login by GSSAPI", "klist");
        }
    }
}

#[test]
fn a_keytab_does_in_place_of_kinit() {
    let Some(realm) = realm() else { return };
    let mut client = realm.client("", "");
    client.environment.push(("KRB5_CLIENT_KTNAME".to_owned(), realm.file("user.keytab")));
    let (run, came) = realm.send(&client, "keytab");
    assert_eq!((run.code, came), (0, true), "{run:?}");
}

#[test]
fn a_server_that_is_not_verified_may_see_a_ticket_too() {
    let Some(realm) = realm() else { return };
    let client = realm.client_of(realm.dovecot, "trust = \"any\"", "");
    realm.kinit(&client, &TICKET);
    let (run, came) = realm.send(&client, "unverified");
    assert_eq!((run.code, came), (0, true), "{run:?}");
    assert_eq!(run.field("/tls/result"), "unverified", "{run:?}");
}

#[test]
fn without_a_good_ticket_for_the_server_nobody_connects_and_the_hint_helps() {
    let Some(realm) = realm() else { return };
    let none = realm.client("", "");
    let expired = realm.client("", "");
    realm.kinit(&expired, &["-l", "1", USER]);
    let elsewhere = realm.client("", "");
    realm.kinit(&elsewhere, &["cron@OTHER.TEST"]);
    let unknown = realm.client("server_name = \"unknown.test\"", "");
    realm.kinit(&unknown, &TICKET);
    let mut alone = realm.client("", "");
    realm.kinit(&alone, &TICKET);
    alone.environment.push(("KRB5_CONFIG".to_owned(), realm.file("unreachable.conf")));
    outlive(&expired);
    for (mark, client, exit, because, hint) in [
        ("none", none, 75, "No Kerberos credentials available", "run `kinit`"),
        ("expired", expired, 75, "expired", "run `kinit`"),
        ("elsewhere", elsewhere, 77, "no ticket for smtp@localhost", "kinit USER@REALM"),
        ("unknown", unknown, 77, "no ticket for smtp@unknown.test", "smtp/NAME"),
        ("alone", alone, 75, "Cannot contact any KDC", "krb5.conf"),
    ] {
        let (run, came) = realm.send(&client, mark);
        refused(&run, exit, because, hint);
        assert!(!came && !run.stderr.contains("connecting to"), "{mark}: {run:?}");
    }
}

#[test]
fn a_server_refuses_a_ticket_that_it_can_not_read_and_a_user_that_is_not_the_principal_s() {
    let Some(realm) = realm() else { return };
    for (mark, tls, auth) in [("key", "server_name = \"strange.test\"\ntrust = \"any\"", ""), ("user", "", "user = \"other\"")] {
        let client = if mark == "key" { realm.client_of(realm.dovecot, tls, auth) } else { realm.client(tls, auth) };
        realm.kinit(&client, &TICKET);
        let (run, came) = realm.send(&client, mark);
        refused(&run, 77, "the login by GSSAPI", "klist");
        assert_eq!((run.last()["code"].as_i64(), came), (Some(535), false), "{mark}: {run:?}");
    }
}

#[test]
fn a_server_without_the_key_is_found_out_before_it_gets_any_mail() {
    let Some(realm) = realm() else { return };
    let garbage = STANDARD.encode("it is me, really");
    for (script, because) in [
        (format!("S: 334 \nC: *\nS: 334 {garbage}\ngone"), "did not prove who it is"),
        ("S: 334 \nC: *\nS: 334 \ngone".to_owned(), "did not prove who it is"),
        ("S: 334 \nC: *\nS: 235 2.7.0 welcome\ngone".to_owned(), "success before anything was proven"),
        ("S: 235 2.7.0 welcome\ngone".to_owned(), "success before anything was proven"),
        ("S: 334 \nC: *\nS: 334 !\ngone".to_owned(), "not base64"),
    ] {
        refused(&meet(realm, &script), 77, because, "");
    }
}

#[test]
fn a_server_that_takes_no_login_without_a_layer_of_its_own_is_left() {
    let Some(realm) = realm() else { return };
    for (mark, offer, exit, because) in [
        ("layer-none", "01000000", 0, ""),
        ("layer-all", "07ffffff", 0, ""),
        ("layer-integrity", "02001000", 77, "asks for a security layer"),
        ("layer-privacy", "04001000", 77, "asks for a security layer"),
        ("layer-short", "010000", 77, "not 4 octets"),
        ("layer-forged", "forged", 77, "did not prove who it is"),
    ] {
        let liar = Liar::start(realm, offer);
        let client = realm.client_of(liar.port, CLEAR, "user = \"cron\"");
        realm.kinit(&client, &TICKET);
        let (run, _) = realm.send(&client, mark);
        assert_eq!(run.code, exit, "{mark}: {run:?}");
        // What it is told in the end, under the keys of the context.
        assert_eq!(liar.heard(), if exit == 0 { "01000000cron" } else { "" }, "{mark}: {run:?}");
        if exit != 0 {
            refused(&run, exit, because, "");
        }
    }
}

#[test]
fn a_check_says_whether_there_is_a_ticket_and_whose() {
    let Some(realm) = realm() else { return };
    let client = realm.client("", "");
    let config = client.scratch.path().join("config.toml").display().to_string();
    // Lines are folded as the terminal has room.
    let ask = |words: &[&str]| {
        let run = client.command(&[words, &["-C", &config]].concat(), b"");
        let words: Vec<&str> = run.stdout.split_whitespace().collect();
        Run { stdout: words.join(" "), ..run }
    };
    let check = ask(&["check"]);
    assert_eq!(check.code, 75, "{check:?}");
    assert!(check.stdout.contains("the ticket can't be had: no ticket: No Kerberos credentials"), "{}", check.stdout);
    let warned = ask(&["config", "check"]);
    assert!(format!("{}{}", warned.stdout, warned.stderr).contains("run `kinit`"), "{warned:?}");

    realm.kinit(&client, &TICKET);
    let check = ask(&["check"]);
    assert_eq!(check.code, 0, "{check:?}");
    assert!(check.stdout.contains("there is a ticket of cron@SEALPOST.TEST, good for 0 h "), "{}", check.stdout);
    assert!(check.stdout.contains("GSSAPI (as the account says): accepted"), "{}", check.stdout);
    let json: serde_json::Value = serde_json::from_str(&ask(&["check", "--json"]).stdout).unwrap();
    let login = json.pointer("/login").or_else(|| json.pointer("/0/login")).or_else(|| json.pointer("/accounts/0/login")).unwrap();
    assert_eq!((&login["principal"], &login["secret"]), (&"cron@SEALPOST.TEST".into(), &true.into()), "{login}");
    let warned = ask(&["config", "check"]);
    assert!(!format!("{}{}", warned.stdout, warned.stderr).contains("kinit"), "{warned:?}");
}
