//! Does an account pay for no place but the one that it names?

use std::fs;

use crate::{
    common::{MESSAGE, Sealpost},
    kit::{SOURCES, account, installed, is_token, smarthost},
};

/// What shows that a place was looked at, and whose place that is.
const MARKS: [(&str, &[&str]); 10] = [
    (".netrc", &["netrc"]),
    ("/credentials", &["credential"]),
    ("secret-tool", &["keyring"]),
    ("/run/user", &["keyring"]),
    ("/bin/sh", &["password_command", "token_command"]),
    ("/secret\"", &["password_file", "password_command"]),
    ("/sealpost/token-", &["token_command"]),
    ("oauth", &["oauth", "oauth, refreshed"]),
    ("sealpost/secrets", &[]),
    ("/dev/tty", &[]),
];

/// The paths that a send looks at, and the programs that it runs.
fn looked_at(mut sealpost: Sealpost) -> Vec<String> {
    let trace = sealpost.scratch.path().join("trace");
    let words = ["strace", "-f", "-qq", "-s", "300", "-e", "trace=%file,prctl", "-o", trace.to_str().unwrap()];
    sealpost.wrapper.extend(words.map(str::to_owned));
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
    fs::read_to_string(trace).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn only_the_place_that_is_named_is_looked_at() {
    if !installed(&["strace"]) {
        return;
    }
    for source in SOURCES {
        let server = smarthost(is_token(source), "S: 235 2.7.0 in\nsession");
        let Some(sealpost) = account(source, server.port()) else { continue };
        let calls = looked_at(sealpost);
        for (mark, owners) in MARKS {
            let found = calls.iter().find(|call| call.contains(mark));
            if owners.contains(&source) {
                assert!(found.is_some() || mark == "/run/user", "{source} never looked at {mark}: is the mark right?");
            } else {
                assert_eq!(found, None, "{source} looked at {mark}");
            }
        }
        assert!(calls.iter().any(|call| call.contains("PR_SET_DUMPABLE")), "{source}: the process can be looked into");
        server.finish();
    }
}

#[test]
fn an_account_without_a_login_looks_at_none() {
    if !installed(&["strace"]) {
        return;
    }
    let server = crate::common::script::Server::start("hello:\nsession", None);
    let port = server.port();
    let calls = looked_at(Sealpost::new(&format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {port}\ntls.policy = \"off\"\n")));
    for mark in MARKS.map(|(mark, _)| mark).into_iter().chain(["PR_SET_DUMPABLE"]) {
        assert_eq!(calls.iter().find(|call| call.contains(mark)), None, "{mark}");
    }
    server.finish();
}
