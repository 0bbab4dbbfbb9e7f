//! When is a new token had, how often, and what is said where there is none?

use std::{
    fs,
    net::TcpListener,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    fake::{Fake, json, tokens},
    kit::{ACCESS, REFRESH, account, as_written, give, kept, send, smarthost, token_file},
};

/// Long after any test.
pub(crate) const LATER: i64 = 4_000_000_000;

fn base(fake: &Fake) -> String {
    format!("http://{}", fake.address)
}

#[test]
fn a_token_that_lasts_is_used_and_nobody_is_asked() {
    let fake = Fake::start(|_, _| panic!("asked"));
    let server = smarthost(&[ACCESS]);
    let sealpost = account(server.port(), &base(&fake), "");
    give(&sealpost, LATER);
    let run = send(&sealpost);
    assert_eq!((run.code, run.field("/auth")), (0, "XOAUTH2"), "{run:?}");
    as_written(server, 1);
    assert!(fake.asked().is_empty());
}

#[test]
fn a_token_that_has_run_out_is_replaced_before_the_smarthost_is_met() {
    let fake = Fake::start(|_, _| tokens("token-1", "refresh-1"));
    let server = smarthost(&["token-1", "token-1"]);
    let sealpost = account(server.port(), &base(&fake), "client_secret = \"s3cret/+&client\"");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    give(&sealpost, i64::try_from(now).unwrap() + 30);
    assert_eq!((send(&sealpost).code, send(&sealpost).code), (0, 0));
    as_written(server, 2);
    let [asked] = &fake.asked()[..] else { panic!("asked {} times", fake.asked().len()) };
    assert_eq!(asked.path, "/token");
    for (name, value) in
        [("grant_type", "refresh_token"), ("refresh_token", REFRESH), ("client_id", "public"), ("client_secret", "s3cret/+&client")]
    {
        assert_eq!(asked.field(name), value, "{name}");
    }
    assert_eq!((kept(&sealpost, "refresh_token"), kept(&sealpost, "access_token")), ("refresh-1".to_owned(), "token-1".to_owned()));
}

#[test]
fn a_refused_token_is_replaced_once_and_the_mail_goes() {
    // The provider keeps the refresh token: the old one stays good.
    let fake = Fake::start(|_, _| json(200, r#"{"access_token":"token-1","expires_in":3600}"#));
    let server = smarthost(&[&format!("!{ACCESS}"), "token-1"]);
    let sealpost = account(server.port(), &base(&fake), "");
    give(&sealpost, LATER);
    let run = send(&sealpost);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(run.records.len(), 2, "each attempt has its record");
    // Nobody is to be called for a token that has run out and was replaced.
    let told = |index: usize| (run.records[index]["status"].as_str(), run.records[index]["exit"].as_i64());
    assert_eq!((told(0), told(1)), ((Some("deferred"), Some(75)), (Some("sent"), Some(0))));
    assert_eq!(run.records[0]["code"], 535);
    as_written(server, 2);
    assert_eq!(kept(&sealpost, "refresh_token"), REFRESH);
}

#[test]
fn check_renews_a_refused_token_as_a_send_does() {
    let fake = Fake::start(|_, _| tokens("token-1", "refresh-1"));
    let server = smarthost(&[&format!("!{ACCESS}"), "*"]);
    let sealpost = account(server.port(), &base(&fake), "");
    give(&sealpost, LATER);
    let config = sealpost.scratch.path().join("config.toml");
    let run = sealpost.command(&["check", "-C", config.to_str().unwrap()], b"");
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("would send now"), "{}", run.stdout);
    assert!(run.stdout.contains("with a new access token, as the server refused the other"), "{}", run.stdout);
    server.finish();
}

#[test]
fn a_new_token_that_is_refused_too_is_the_end() {
    let fake = Fake::start(|n, _| tokens(&format!("token-{n}"), &format!("refresh-{n}")));
    let server = smarthost(&[&format!("!{ACCESS}"), "!token-0"]);
    let sealpost = account(server.port(), &base(&fake), "");
    give(&sealpost, LATER);
    let run = send(&sealpost);
    assert_eq!((run.code, run.records.len()), (77, 2), "{run:?}");
    assert_eq!((run.records[0]["status"].as_str(), run.records[1]["status"].as_str()), (Some("deferred"), Some("failed")));
    as_written(server, 2);
    assert_eq!(fake.asked().len(), 1);
}

#[test]
fn the_same_token_again_is_not_tried_again() {
    let fake = Fake::start(|_, _| tokens(ACCESS, REFRESH));
    let server = smarthost(&[&format!("!{ACCESS}")]);
    let sealpost = account(server.port(), &base(&fake), "");
    give(&sealpost, LATER);
    let run = send(&sealpost);
    assert_eq!((run.code, run.records.len(), run.field("/status")), (77, 1, "failed"), "{run:?}");
    as_written(server, 1);
}

#[test]
fn whatever_a_provider_answers_has_its_word_and_its_code() {
    let again = "run `sealpost setup relay` again";
    let echo = format!(r#"{{"error":"invalid_grant","error_description":"{REFRESH} has been\r\nrevoked"}}"#);
    let (form, cut) = (REFRESH.replace('/', "%2F"), REFRESH[..REFRESH.len() - 4].to_uppercase());
    let quoted = format!(r#"{{"error":"invalid_grant","error_description":"what is refresh_token={form}? What is {cut}"}}"#);
    let huge = format!("HTTP/1.1 200 X\r\n\r\n{}", "x".repeat(200_000));
    for (answer, code, words) in [
        (json(400, &echo), 77, ["access was withdrawn, or has run out", "invalid_grant: *** has been  revoked", again]),
        (json(400, &quoted), 77, ["invalid_grant: what is refresh_token=***? What is ***", again, ""]),
        (json(401, r#"{"error":"invalid_client"}"#), 78, ["says invalid_client", "client_id", ""]),
        (json(400, r#"{"error":"invalid_scope"}"#), 78, ["says invalid_scope", "sealpost.toml(5)", ""]),
        (json(429, r#"{"error":"slow"}"#), 75, ["it answers with status 429", "", ""]),
        (json(503, "<html>later</html>"), 75, ["it answers with status 503", "", ""]),
        (json(200, "<html>welcome to the hotel</html>"), 75, ["the answer is no JSON object", "", ""]),
        (json(200, r#"{"token_type":"Bearer"}"#), 75, ["the answer is an object without access_token", "", ""]),
        (json(200, r#"{"access_token":"a b"}"#), 75, ["the answer is something that is no access token", "", ""]),
        (
            "HTTP/1.1 302 X\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n".to_owned(),
            78,
            ["redirect", "not carried", ""],
        ),
        (huge, 75, ["the answer is longer than 128 KiB", "", ""]),
        ("220 smarthost.test ESMTP\r\n".to_owned(), 75, ["the answer is not HTTP", "", ""]),
        (String::new(), 75, ["connection lost", "the answer breaks off", ""]),
    ] {
        let shown = answer.chars().take(120).collect::<String>();
        let fake = Fake::start(move |_, _| answer.clone());
        let sealpost = account(9, &base(&fake), "");
        give(&sealpost, 0);
        let run = send(&sealpost);
        assert_eq!(run.code, code, "{shown}: {run:?}");
        assert!(words.iter().all(|word| run.stderr.contains(word)), "{shown}: {}", run.stderr);
        assert_eq!(kept(&sealpost, "refresh_token"), REFRESH, "{shown}");
        assert_eq!(fake.asked().len(), 1, "{shown}");
    }
}

#[test]
fn a_provider_that_is_down_holds_nobody_up() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sealpost = account(9, &format!("http://{gone}"), "");
    give(&sealpost, 0);
    let run = send(&sealpost);
    assert_eq!(run.code, 75, "{run:?}");
    assert!(run.stderr.contains("connection refused") && run.took.as_secs() < 5, "{run:?}");
}

#[test]
fn without_consent_the_way_to_it_is_shown() {
    let sealpost = account(9, "http://127.0.0.1:9", "");
    let run = send(&sealpost);
    assert_eq!(run.code, 78);
    assert!(run.stderr.contains("nobody has agreed yet") && run.stderr.contains("run `sealpost setup relay` once"), "{run:?}");
    let config = sealpost.scratch.path().join("config.toml");
    let checked = sealpost.command(&["config", "check", "-C", config.to_str().unwrap()], b"");
    assert!(checked.stdout.contains("run `sealpost setup relay` once"), "{checked:?}");
    fs::write(token_file(&sealpost), "{\"refresh_token\":").unwrap();
    std::os::unix::fs::chown(token_file(&sealpost), None, None).unwrap();
    let readable = send(&sealpost);
    assert!(readable.stderr.contains("chmod 600 "), "{readable:?}");
    sealpost.scratch.write("token.json", "{\"refresh_token\":");
    let damaged = send(&sealpost);
    assert!(damaged.stderr.contains("is damaged") && damaged.stderr.contains("run `sealpost setup relay` again"), "{damaged:?}");
}

#[test]
fn config_show_masks_the_secret_of_the_client() {
    let sealpost = account(9, "http://127.0.0.1:9", "client_secret = \"s3cret/+&client\"");
    give(&sealpost, LATER);
    let config = sealpost.scratch.path().join("config.toml");
    for args in [&["config", "show", "-C"][..], &["config", "show", "--json", "-C"]] {
        let args: Vec<&str> = args.iter().copied().chain([config.to_str().unwrap()]).collect();
        let run = sealpost.command(&args, b"");
        assert!(run.stdout.contains("client_secret") && run.stdout.contains("***") && !run.stdout.contains("s3cret"), "{run:?}");
    }
}
