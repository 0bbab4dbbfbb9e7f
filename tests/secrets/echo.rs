//! Is a server that repeats the secret quoted without it, wherever its words are cut?

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    common::{MESSAGE, PASSWORD, Run, USER, contains, script::Server},
    kit::account,
};

/// So many octets of it in a row tell something.
const TELLING: usize = 8;

/// What a send says, shows and logs to whom `tail` answers its login.
fn answered(source: &str, mechanism: &str, tail: &str) -> Run {
    sent(source, mechanism, tail, &["--debug", "ok@sink.test"])
}

fn sent(source: &str, mechanism: &str, tail: &str, args: &[&str]) -> Run {
    let server = Server::start(&format!("hello: AUTH {mechanism}\nC: AUTH *\n{tail}"), None);
    let run = account(source, server.port()).unwrap().send(args, MESSAGE.as_bytes());
    server.finish();
    run
}

/// The first piece of the secret that can be read in what a run said.
fn piece(run: &Run) -> Option<String> {
    let told = format!("{} {:?}", run.stderr, run.records).to_ascii_lowercase();
    let forms = [PASSWORD.to_owned(), STANDARD.encode(format!("\0{USER}\0{PASSWORD}"))].map(|form| form.to_ascii_lowercase());
    let pieces = forms.iter().flat_map(|form| form.as_bytes().windows(TELLING));
    pieces.map(|piece| String::from_utf8_lossy(piece).into_owned()).find(|piece| contains(told.as_bytes(), piece.as_bytes()))
}

#[test]
fn nothing_of_it_is_left_where_a_long_reply_is_cut() {
    for source in ["password", "token_command"] {
        let mechanism = if source == "password" { "PLAIN" } else { "XOAUTH2" };
        for octets in 980..1000 {
            let filler = "x".repeat(octets);
            let run = answered(source, mechanism, &format!("S: 535 {filler}{PASSWORD}\nwait"));
            assert_eq!(run.code, 77, "{run:?}");
            assert_eq!(piece(&run), None, "{source}, {octets} octets before it: {run:?}");
        }
        let filler = "x".repeat(990);
        let challenge = STANDARD.encode(format!("{filler}{PASSWORD}"));
        let run = answered("token_command", "XOAUTH2", &format!("S: 334 {challenge}\nC: *\nS: 535 no\nwait"));
        assert!(run.stderr.contains("it gave as reason: xxxx") && run.code == 77, "{run:?}");
        assert_eq!(piece(&run), None, "{run:?}");
    }
}

#[test]
fn nothing_of_it_is_left_where_a_reply_goes_on_in_another_line() {
    let (head, tail) = PASSWORD.split_at(10);
    for args in [&["ok@sink.test"][..], &["--debug", "ok@sink.test"]] {
        let run = sent("password", "PLAIN", &format!("S: 535-5.7.8 no {head}\nS: 535 5.7.8 {tail}, no\nwait"), args);
        assert!(run.stderr.contains("535 5.7.8 no *** ***, no\n"), "{run:?}");
        assert_eq!(run.stderr.contains("< 535-5.7.8 no ***\n< 535 5.7.8 ***, no\n"), args.len() > 1, "{run:?}");
        assert_eq!(piece(&run), None, "{run:?}");
    }
}

#[test]
fn nothing_of_it_is_left_where_a_server_quotes_it_in_capitals_or_not_to_its_end() {
    let said = STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    let half = PASSWORD.len().div_ceil(2);
    for (source, mechanism, quoted) in [
        ("password", "PLAIN", PASSWORD.to_ascii_uppercase()),
        ("password", "PLAIN", said.to_ascii_uppercase()),
        ("password", "PLAIN", said[..said.len() - 9].to_owned()),
        ("token_command", "XOAUTH2", PASSWORD[..half].to_owned()),
        ("token_command", "XOAUTH2", PASSWORD[half - 1..].to_owned()),
    ] {
        let run = answered(source, mechanism, &format!("S: 500 what is {quoted}?\nwait"));
        assert!(run.stderr.contains("< 500 what is ***?\n") && run.code == 77, "{run:?}");
        assert_eq!(piece(&run), None, "{run:?}");
    }
}

#[test]
fn a_server_that_offers_it_as_a_mechanism_is_not_quoted() {
    let said = STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    for (password, offer) in [(PASSWORD, PASSWORD), (PASSWORD, &said), ("correct horse battery.9", "correct horse battery.9")] {
        let server = Server::start(&format!("hello: AUTH {offer}\nwait\n---\nhello: AUTH {offer}\nwait"), None);
        let sealpost = account("password_file", server.port()).unwrap();
        sealpost.scratch.write("secret", password);
        let run = sealpost.send(&["--debug", "ok@sink.test"], MESSAGE.as_bytes());
        assert!(run.stderr.contains("only ***\n") && run.code == 77 && !contains_any_case(&run.stderr, offer), "{run:?}");
        assert_eq!(piece(&run), None, "{run:?}");
        let config = sealpost.scratch.path().join("config.toml").display().to_string();
        let run = sealpost.command(&["check", "--json", "-C", &config], b"");
        assert!(run.stdout.contains("\"auth\":[\"***\"") && !contains_any_case(&run.stdout, offer), "{run:?}");
        server.finish();
    }
}

fn contains_any_case(text: &str, wanted: &str) -> bool {
    text.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase())
}

#[test]
fn nothing_of_it_is_left_where_the_network_cuts_a_reply() {
    let said = STANDARD.encode(format!("\0{USER}\0{PASSWORD}"));
    for secret in [PASSWORD, &said] {
        let run = answered("password", "PLAIN", &format!("S-bytes: 535-no: {secret}\\r\\n535 {secret}, no\\r\\n\nwait"));
        assert!(run.stderr.contains("< 535-no: ***") && run.stderr.contains(", no\n"), "{run:?}");
        assert_eq!(piece(&run), None, "{run:?}");
    }
}

#[test]
fn nothing_of_it_is_left_where_a_server_says_it_in_latin_1() {
    for said in [r"c\xe5ge-b\xf6rse", r"c\xc3\xa5ge-b\xc3\xb6rse \xff"] {
        let server = Server::start(&format!("hello: AUTH PLAIN\nC: AUTH *\nS-raw: 535 no {said}\\r\\n\nwait"), None);
        let sealpost = account("password_file", server.port()).unwrap();
        sealpost.scratch.write("secret", "c\u{e5}ge-b\u{f6}rse");
        let run = sealpost.send(&["--debug", "ok@sink.test"], MESSAGE.as_bytes());
        server.finish();
        let told = format!("{} {:?}", run.stderr, run.records);
        assert!(run.code == 77 && run.stderr.contains("< 535 no ***") && !told.contains("ge-b"), "{run:?}");
    }
}

#[test]
fn half_of_it_is_not_shown_where_the_other_half_never_comes() {
    for octets in TELLING..PASSWORD.len() {
        let half = &PASSWORD[..octets];
        let run = answered("password", "PLAIN", &format!("S-raw: 535 no {half}\nclose"));
        assert!(run.stderr.contains("< 535 no ***\n") && run.code == 75, "{run:?}");
        assert_eq!(piece(&run), None, "{run:?}");
    }
    let run = answered("password", "PLAIN", "S-raw: 535 no, correctly\nclose");
    assert!(run.stderr.contains("< 535 no, correctly\n"), "{run:?}");
}
