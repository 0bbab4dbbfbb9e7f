//! Does a submission do what its caller asked, wherever the caller stands? (sendmail(8))

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

use std::{os::unix::process::CommandExt, process::Command};

use common::{MESSAGE, PASSWORD, Sealpost, USER, contains, reveals_secret, run, script::Server};

/// What a server says that takes one message.
const TAKES: &str = "hello: PIPELINING\nmail\nrcpt\ndata\naccept\nquit";

/// Two accounts at one server: `relay`, the default, and `other` for what is from other.test.
fn two_accounts(server: &Server) -> Sealpost {
    let account = |name, more| {
        format!(
            "[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {}\nfrom = \"{name}@{name}.test\"\n{more}[accounts.{name}.tls]\npolicy = \"off\"\n",
            server.port()
        )
    };
    Sealpost::new(&(account("relay", "") + &account("other", "match = [\"*@other.test\"]\n")))
}

#[test]
fn the_account_fits_the_sender_however_the_sender_is_written() {
    let header = |from: &str| format!("From: {from}\nSubject: report\n\nall is well\n");
    for (args, message, account, from) in [
        (&["-f", "me@other.test"][..], MESSAGE.to_owned(), "other", "me@other.test"),
        (&["-f", "Me <me@other.test>"], MESSAGE.to_owned(), "other", "me@other.test"),
        (&["-f", "<me@other.test>"], MESSAGE.to_owned(), "other", "me@other.test"),
        (&["-f", "me@other.test", "-a", "relay"], MESSAGE.to_owned(), "relay", "me@other.test"),
        (&["-f", ""], MESSAGE.to_owned(), "relay", ""),
        (&["--read-envelope-from"], header("\"Me, too\" <me@other.test>, you@x.test"), "other", "me@other.test"),
        (&["--read-envelope-from", "-f", "me@x.test"], header("me@other.test"), "relay", "me@x.test"),
        (&["--read-envelope-from"], header(""), "relay", "relay@relay.test"),
        (&["--read-envelope-from"], "no header\n".to_owned(), "relay", "relay@relay.test"),
    ] {
        let server = Server::start(TAKES, None);
        let run = two_accounts(&server).send(&[args, &["ok@sink.test"]].concat(), message.as_bytes());
        assert_eq!((run.code, run.field("/account"), run.field("/from")), (0, account, from), "{args:?}: {run:?}");
        let said = server.finish().remove(0).clear;
        assert!(contains(&said, format!("MAIL FROM:<{from}>").as_bytes()), "{args:?}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn a_from_field_is_rewritten_unless_the_account_covers_all_of_it() {
    for (from, kept) in [
        ("relay@relay.test", true),
        ("Me <me@mine.test>, relay@relay.test", true),
        ("me@foreign.test", false),
        ("me@mine.test, you@foreign.test", false),
    ] {
        let server = Server::start(TAKES, None);
        let account = format!(
            "[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\nfrom = \"relay@relay.test\"\nmatch = [\"*@mine.test\"]\n\
             rewrite_from = true\n[accounts.relay.tls]\npolicy = \"off\"\n",
            server.port()
        );
        let message = format!("From: {from}\nSubject: report\n\nall is well\n");
        let run = Sealpost::new(&account).send(&["-F", "Relay", "ok@sink.test"], message.as_bytes());
        assert_eq!(run.code, 0, "{from}: {run:?}");
        let wanted = if kept { format!("\r\nFrom: {from}\r\n") } else { "\r\nFrom: Relay <relay@relay.test>\r\n".to_owned() };
        let said = server.finish().remove(0).clear;
        assert!(contains(&said, wanted.as_bytes()), "{from}: {}", String::from_utf8_lossy(&said));
    }
}

#[test]
fn a_from_field_that_is_no_address_is_the_fault_of_the_message() {
    let run = Sealpost::new("[accounts.relay]\nhost = \"127.0.0.1\"\n")
        .send(&["--read-envelope-from", "ok@sink.test"], b"From: me@@x.test\n\nhi\n");
    assert_eq!((run.code, run.field("/status")), (65, "rejected"), "{run:?}");
    assert!(run.stderr.contains("From"), "{run:?}");
}

#[test]
fn a_fallback_in_trouble_does_not_turn_later_into_never() {
    let refuses_login = "hello: AUTH PLAIN\nC: AUTH *\nS: 535 5.7.8 no\nwait";
    let auth = format!("[accounts.spare.auth]\nuser = {USER:?}\nmechanism = \"PLAIN\"\n");
    for (spare, more) in [
        ("", format!("{auth}password_file = \"/nonexistent\"\n")),
        (refuses_login, format!("{auth}password = {PASSWORD:?}\n")),
        ("S: 554 5.3.2 go away\nwait", String::new()),
    ] {
        let first = Server::start("hello:\nmail\nC: RCPT TO:*\nS: 451 4.3.0 later\nwait", None);
        let second = Server::start(spare, None);
        let account = |name, port, more| {
            format!("[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {port}\n{more}[accounts.{name}.tls]\npolicy = \"off\"\n")
        };
        let accounts = account("relay", first.port(), "fallback = [\"spare\"]\n") + &account("spare", second.port(), "") + &more;
        let run = Sealpost::new(&accounts).send(&["ok@sink.test"], MESSAGE.as_bytes());
        assert_eq!((run.code, run.records.len()), (75, 2), "{spare}: {run:?}");
        assert!(run.stderr.contains("451 4.3.0 later") && run.stderr.contains("hint: the fallback was of no help: "), "{run:?}");
        first.finish();
    }
}

/// A queue in a place where a file stands.
const NO_ROOM: &str = "mode = \"fallback\" # nothing can be made there";

#[test]
fn what_is_deferred_may_be_tried_again_and_what_nobody_tries_again_has_failed() {
    let (breaks, later) = ("S: 250 hi\nwait", "hello:\nmail\nC: RCPT TO:*\nS: 451 4.3.0 later\nwait");
    let refuses = "hello: AUTH SCRAM-SHA-256\nC: AUTH *\nS: 334 nonsense!\nwait";
    let auth = format!("[accounts.relay.auth]\nuser = {USER:?}\npassword = {PASSWORD:?}\nmechanism = \"SCRAM-SHA-256\"\n");
    for (first, second, queue, records, code) in [
        (breaks, None, "mode = \"off\"", &[("failed", 76)][..], 76),
        (refuses, None, "mode = \"off\"", &[("failed", 77)], 77),
        (later, None, "mode = \"off\"", &[("deferred", 75)], 75),
        (breaks, Some(breaks), "mode = \"off\"", &[("deferred", 75), ("failed", 76)], 76),
        (breaks, Some(TAKES), "mode = \"off\"", &[("deferred", 75), ("sent", 0)], 0),
        (later, Some(breaks), "mode = \"off\"", &[("deferred", 75), ("deferred", 75)], 75),
        // A queue tries again.
        (breaks, None, "mode = \"fallback\"", &[("deferred", 0)], 0),
        (refuses, None, "mode = \"fallback\"", &[("deferred", 0)], 0),
        (breaks, None, NO_ROOM, &[("failed", 76)], 76),
    ] {
        let servers = [Some(first), second].map(|script| script.map(|script| Server::start(script, None)));
        let account = |name, server: &Server, more| {
            format!(
                "[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {}\n{more}[accounts.{name}.tls]\npolicy = \"off\"\n",
                server.port()
            )
        };
        let fallback = if second.is_some() { "fallback = [\"spare\"]\n" } else { "" };
        let mut accounts = account("relay", servers[0].as_ref().unwrap(), fallback);
        accounts.extend(servers[1].as_ref().map(|server| account("spare", server, "")));
        accounts.extend((first == refuses).then_some(auth.as_str()));
        let sealpost = Sealpost::new(&accounts);
        let path = sealpost.scratch.path().join("config.toml");
        let spool = sealpost.scratch.path().join("spool");
        if queue == NO_ROOM {
            std::fs::write(&spool, "no directory").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap().replace("mode = \"off\"", queue);
        sealpost.scratch.write("config.toml", text);
        // No run in the background tries it again before the log is read.
        let _alone = queue.contains("fallback").then(|| sealpost::host::spool::Spool::make(&spool).ok()?.lead().ok()?);
        let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
        let seen: Vec<_> = run.records.iter().map(|r| (r["status"].as_str().unwrap(), r["exit"].as_u64().unwrap())).collect();
        assert_eq!((seen.as_slice(), run.code), (records, code), "{first}, {second:?}, {queue}: {run:?}");
        assert!(run.records.iter().all(|r| r["recipients"][0]["status"] == r["status"]), "{run:?}");
    }
}

#[test]
fn recipients_with_the_same_fate_are_told_of_together() {
    let server = Server::start(
        "hello: PIPELINING\nmail\nC: RCPT TO:*\nS: 250 ok\nC: RCPT TO:*\nS: 250 ok\ndata\nS: 554 5.6.0 no\nwait",
        None,
    );
    let run = two_accounts(&server).send(&["a@sink.test", "b@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 65, "{run:?}");
    assert!(run.stderr.contains(": <a@sink.test>, <b@sink.test> failed: 554 5.6.0 no\n"), "{run:?}");
}

#[test]
fn a_mistake_on_the_command_line_is_in_the_log_of_the_named_configuration() {
    let sealpost = Sealpost::new("[accounts.relay]\nhost = \"127.0.0.1\"\n");
    for args in [&["-Z", "ok@sink.test"][..], &[], &["a@b\nRCPT TO:<c@d>"]] {
        let run = sealpost.send(args, MESSAGE.as_bytes());
        assert_eq!((run.code, run.field("/status"), run.records.len()), (64, "rejected", 1), "{args:?}: {run:?}");
        assert_eq!(run.oddities(), Vec::<String>::new());
    }
}

#[test]
fn an_envelope_identifier_that_is_too_long_on_the_wire_stops_no_mail() {
    let server = Server::start("hello: PIPELINING DSN\nmail\nrcpt\ndata\naccept\nquit", None);
    let run = two_accounts(&server).send(&["-V", &" ".repeat(100), "ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!contains(&server.finish().remove(0).clear, b"ENVID"));
}

#[test]
fn a_log_beyond_the_file_size_limit_makes_no_failure_of_a_sent_mail() {
    let server = Server::start(TAKES, None);
    let mut sealpost = two_accounts(&server);
    sealpost.wrapper = ["prlimit", "--fsize=0"].map(str::to_owned).to_vec();
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stderr.contains("log.jsonl") && run.stderr.contains("ulimit -f"), "{run:?}");
    assert!(contains(&server.finish().remove(0).clear, b"all is well"));
}

#[test]
fn a_caller_that_may_start_no_thread_gets_its_mail_out() {
    let server = Server::start(TAKES, None);
    let scratch = common::Scratch::new();
    // Root is under no such limit: a copy that somebody else can reach.
    let copy = scratch.path().join("sendmail");
    common::install(&copy);
    let mut command = Command::new("prlimit");
    command.arg("--nproc=0").arg(&copy).args(["-f", "me@x.test", "ok@sink.test"]).env_clear();
    command.env("SEALPOST_HOST", "localhost").env("SEALPOST_PORT", server.port().to_string()).env("SEALPOST_TLS_POLICY", "off");
    if nix::unistd::Uid::effective().is_root() {
        command.uid(65534).gid(65534);
    }
    let run = run(command, MESSAGE.as_bytes());
    assert_eq!(run.code, 0, "{run:?}");
    assert!(contains(&server.finish().remove(0).clear, b"all is well"));
}

#[test]
fn the_dialogue_on_the_terminal_shows_no_secret_though_the_server_repeats_it() {
    let server = Server::start(&format!("hello: AUTH PLAIN\nC: AUTH *\nS: 535 5.7.8 {PASSWORD}\nwait"), None);
    let account = format!(
        "[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\n[accounts.relay.tls]\npolicy = \"off\"\n[accounts.relay.auth]\nuser = {USER:?}\n\
         password = {PASSWORD:?}\nmechanism = \"PLAIN\"\n",
        server.port()
    );
    let run = Sealpost::new(&account).send(&["--debug", "ok@sink.test"], MESSAGE.as_bytes());
    assert_eq!(run.code, 77, "{run:?}");
    assert!(run.stderr.contains("< 535 5.7.8 ***") && !reveals_secret(run.stderr.as_bytes()), "{run:?}");
    server.finish();
}
