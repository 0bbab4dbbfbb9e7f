//! What does a server achieve by silence, slowness, endlessness and strange bytes? (RFC 5321 4.5.3)

use std::time::Duration;

use crate::case::{CASE, Case, PLAIN, perform, play};

#[test]
fn silence_at_any_stage_ends_by_the_deadline() {
    let case = |name, script| Case { name, script, ..PLAIN };
    play(&[
        Case { result: "none", ..case("before the greeting", "wait") },
        Case { result: "none", ..case("after EHLO", "S: 220 hi\nC: EHLO *\nwait") },
        Case { result: "none", ..case("in the middle of the greeting", "S-raw: 220 h\nwait") },
        Case { result: "none", ..case("between two lines of a reply", "S: 220 hi\nC: EHLO *\nS: 250-hi\nwait") },
        case("after MAIL", "hello:\nC: MAIL FROM:*\nwait"),
        case("after RCPT", "hello:\nmail\nC: RCPT TO:*\nwait"),
        case("after DATA", "hello:\nmail\nrcpt\nC: DATA\nwait"),
        Case { status: "unknown", ..case("after the final dot", "hello:\nmail\nrcpt\ndata\nwait") },
        Case {
            policy: "required",
            result: "none",
            failure: Some("validation-failure"),
            ..case("in the handshake", "hello: STARTTLS\nC: STARTTLS\nS: 220 go\nwait")
        },
    ]);
}

#[test]
fn a_deadline_covers_the_whole_reply_not_each_read() {
    for (name, script) in [
        ("a greeting by drops", "S-drip: 2"),
        ("a line by drops", "S: 220 hi\nC: EHLO *\nS-drip: 250-and so on\\r\\n"),
        ("a final reply by drops", "hello:\nmail\nrcpt\ndata\nS-drip: 250-\\r\\n"),
    ] {
        let (run, _) = perform(&Case { name, script, ..PLAIN });
        assert_eq!(run.code, 75, "{name}: {run:?}");
        assert!(run.took < Duration::from_secs(4), "{name}: took {:?}", run.took);
    }
}

#[test]
fn an_endless_reply_is_bounded() {
    for (name, script) in [
        ("a line without end", "S-flood: A"),
        ("a 250 without end", "S: 220 hi\nC: EHLO *\nS-flood: 2"),
        ("lines without end", "S: 220 hi\nC: EHLO *\nS-flood: 250-X\\r\\n"),
        ("line ends without end", "S: 220 hi\nC: EHLO *\nS-flood: \\r\\n"),
        ("NULs without end", "S: 220 hi\nC: EHLO *\nS-flood: \\0"),
    ] {
        let (run, _) = perform(&Case { name, script, ..PLAIN });
        assert!(matches!(run.code, 75 | 76), "{name}: {run:?}");
        assert!(run.took < Duration::from_secs(4), "{name}: took {:?}", run.took);
        assert!(run.stderr.len() < 4096, "{name}: {} octets on stderr", run.stderr.len());
    }
}

#[test]
fn legal_and_nearly_legal_spelling_is_accepted() {
    let sent = |name, script| Case { name, script, exit: &[0], status: "sent", ..PLAIN };
    play(&[
        sent("354 without text", "hello:\nmail\nrcpt\nC: DATA\nS: 354\nC-data\nS: 250\nquit"),
        sent("replies without text", "S: 220\nC: EHLO *\nS: 250\nsession"),
        sent("LF only", "S-raw: 220 hi\\n\nC: EHLO *\nS-raw: 250-hi\\n250 PIPELINING\\n\nsession"),
        sent("every byte in its own segment", "S-bytes: 220 hi\\r\\n\nC: EHLO *\nS-bytes: 250-hi\\r\\n250 8BITMIME\\r\\n\nsession"),
        sent("8-bit text", "S-raw: 220 gr\\xfc\\xdfe\\r\\n\nhello-less\nsession").replacing_hello(),
        sent("escape codes", "S-raw: 220 \\x1b[2J\\x07\\r\\n\nhello-less\nsession").replacing_hello(),
        sent("a NUL in a reply", "S-raw: 220 h\\0i\\r\\n\nhello-less\nsession").replacing_hello(),
        Case {
            policy: "required",
            result: "verified",
            ..sent(
                "lower-case keywords",
                "S: 220 hi\nC: EHLO *\nS: 250-hi\nS: 250-size 100000\nS: 250 starttls\nC: STARTTLS\nS: 220 go\ntls\nehlo: pipelining, size 100000\nsession",
            )
        },
    ]);
}

#[test]
fn foreign_bytes_neither_drive_the_terminal_nor_forge_a_line() {
    let script = "hello:\nmail\nC: RCPT TO:*\nS-raw: 550 5.1.1 \\x1b[31mno\\x07 \\xff {\"status\":\"sent\"}\\r\\n\nwait";
    play(&[Case { name: "escape codes in a refusal", script, exit: &[67], status: "failed", ..PLAIN }]);
}

#[test]
fn a_reply_never_answers_a_later_command() {
    // Which of 75 and 76 is right depends on whether a broken server may mend; the mail must not be called sent.
    let case = |name, script| Case { name, script, exit: &[75, 76], status: "*", ..PLAIN };
    let before = |name, script| Case { result: "none", ..case(name, script) };
    play(&[
        before("greeting and 250 in one", "S-raw: 220 hi\\r\\n250 hi\\r\\n\nwait"),
        before("421 and a greeting", "S-raw: 421 no\\r\\n220 hi\\r\\n\nwait"),
        before("250 as a greeting", "S: 250 hi\nwait"),
        before("a greeting that is no reply", "S: hello there\nwait"),
        before("354 to EHLO", "S: 220 hi\nC: EHLO *\nS: 354 go on\nwait"),
        before("two replies to EHLO", "S: 220 hi\nC: EHLO *\nS-raw: 250 hi\\r\\n250 ok\\r\\n\nwait"),
        case("two replies to MAIL", "hello:\nC: MAIL FROM:*\nS-raw: 250 ok\\r\\n250 ok\\r\\n\nwait"),
        case("235 to MAIL", "hello:\nC: MAIL FROM:*\nS: 235 welcome\nwait"),
        case("354 to RCPT", "hello:\nmail\nC: RCPT TO:*\nS: 354 go on\nwait"),
        case("250 to DATA", "hello:\nmail\nrcpt\nC: DATA\nS: 250 ok\nwait"),
        case("354 and the 250 in one", "hello:\nmail\nrcpt\nC: DATA\nS-raw: 354 go\\r\\n250 queued\\r\\n\nwait"),
        case("codes that change within a reply", "hello:\nC: MAIL FROM:*\nS-raw: 250-ok\\r\\n550 no\\r\\n\nwait"),
    ]);
}

#[test]
fn a_server_that_stops_reading_ends_by_the_deadline() {
    play(&[Case { name: "in the body", padding: 24 << 20, script: "hello:\nmail\nrcpt\nC: DATA\nS: 354 go on\nstall", ..PLAIN }]);
}

#[test]
fn an_unanswered_quit_is_not_waited_for() {
    let script = "hello:\nmail\nrcpt\ndata\naccept\nwait";
    let (run, _) = perform(&Case { script, ..PLAIN });
    assert_eq!(run.code, 0, "{run:?}");
    // The deadline for a reply is a second.
    assert!(run.took < Duration::from_millis(900), "waited for the answer to QUIT: {:?}", run.took);
}

#[test]
fn a_size_that_is_too_small_stops_the_mail_before_its_body() {
    let failed = Case { exit: &[65], status: "failed", ..CASE };
    let large = Case { padding: 100_000, ..failed };
    play(&[
        Case { name: "by EHLO", policy: "off", result: "plaintext", script: "hello: SIZE 1000\ngone", ..large.clone() }.or_unsent(),
        Case {
            name: "by 552 to MAIL",
            policy: "off",
            result: "plaintext",
            script: "hello: SIZE 999999\nC: MAIL FROM:* SIZE=*\nS: 552 5.3.4 too big\nwait",
            ..large.clone()
        },
        Case {
            name: "in mid-body",
            policy: "off",
            result: "plaintext",
            padding: 8 << 20,
            script: "hello:\nmail\nrcpt\nC: DATA\nS: 354 go on\nC-bytes: 100000\nS: 552 5.3.4 too big\nwait",
            ..large
        },
    ]);
}

impl Case {
    /// EHLO after a greeting that the row gave itself.
    fn replacing_hello(self) -> Self {
        let script = self.script.replace("hello-less", "ehlo: PIPELINING");
        Self { script: Box::leak(script.into_boxed_str()), ..self }
    }

    /// Nothing was said of the mail: `result` may then be called "none" with as much right.
    fn or_unsent(self) -> Self {
        Self { result: "*", ..self }
    }
}
