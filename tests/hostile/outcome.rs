//! Does the exit code tell the truth, whatever becomes of the transaction? (RFC 5321 4.2, 1047, 2033)

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    case::{CASE, Case, PLAIN, perform, play},
    common::{PASSWORD, USER, contains},
};

#[test]
fn a_link_lost_after_the_final_dot_is_unknown() {
    let unknown = |name, script| Case { name, script, status: "unknown", ..PLAIN };
    play(&[
        unknown("closed", "hello:\nmail\nrcpt\ndata\nclose"),
        unknown("reset", "hello:\nmail\nrcpt\ndata\nrst"),
        unknown("half a 250", "hello:\nmail\nrcpt\ndata\nS-raw: 25\nclose"),
        unknown("a 250 without its end", "hello:\nmail\nrcpt\ndata\nS-raw: 250 ok\nclose"),
        unknown("354 in its place", "hello:\nmail\nrcpt\ndata\nS: 354 go on\nwait"),
        unknown("nonsense in its place", "hello:\nmail\nrcpt\ndata\nS: whatever\nwait"),
    ]);
}

#[test]
fn a_link_lost_before_the_final_dot_is_deferred() {
    let deferred = |name, script| Case { name, script, ..PLAIN };
    play(&[
        Case { result: "none", ..deferred("at once", "close") },
        Case { result: "none", ..deferred("in the greeting", "S-raw: 220\nclose") },
        deferred("after MAIL", "hello:\nC: MAIL FROM:*\nclose"),
        deferred("after RCPT", "hello:\nmail\nC: RCPT TO:*\nrst"),
        deferred("instead of the 354", "hello:\nmail\nrcpt\nC: DATA\nclose"),
        Case { padding: 8 << 20, ..deferred("in the body", "hello:\nmail\nrcpt\nC: DATA\nS: 354 go on\nC-bytes: 4096\nrst") },
    ]);
}

#[test]
fn a_refusal_is_told_by_who_or_what_was_refused() {
    let case = |name, script, exit, status| Case { name, script, exit, status, ..PLAIN };
    let before = |name, script, exit, status| Case { result: "none", ..case(name, script, exit, status) };
    play(&[
        before("554 as a greeting", "S: 554 5.3.2 go away\nwait", &[69], "failed"),
        before("421 as a greeting", "S: 421 4.3.2 later\nwait", &[75], "deferred"),
        case("550 to MAIL", "hello:\nC: MAIL FROM:*\nS: 550 5.7.1 no\nwait", &[69], "failed"),
        case("451 to MAIL", "hello:\nC: MAIL FROM:*\nS: 451 4.3.0 later\nwait", &[75], "deferred"),
        case("421 to MAIL", "hello:\nC: MAIL FROM:*\nS: 421 4.3.2 later\nclose", &[75], "deferred"),
        case("550 to the recipient", "hello:\nmail\nC: RCPT TO:*\nS: 550 5.1.1 who?\nwait", &[67], "failed"),
        case("450 to the recipient", "hello:\nmail\nC: RCPT TO:*\nS: 450 4.2.1 later\nwait", &[75], "deferred"),
        case("452 too many recipients", "hello:\nmail\nC: RCPT TO:*\nS: 452 4.5.3 too many\nwait", &[75], "deferred"),
        case("552 too many recipients", "hello:\nmail\nC: RCPT TO:*\nS: 552 5.5.3 too many recipients\nwait", &[75], "deferred"),
        case("554 to DATA", "hello:\nmail\nrcpt\nC: DATA\nS: 554 5.7.1 no\nwait", &[65, 69], "failed"),
        case("554 to the message", "hello:\nmail\nrcpt\ndata\nS: 554 5.6.0 no\nwait", &[65], "failed"),
        case("452 to the message", "hello:\nmail\nrcpt\ndata\nS: 452 4.3.1 full\nwait", &[75], "deferred"),
    ]);
}

#[test]
fn a_refused_recipient_does_not_stop_the_others() {
    let two: &[&str] = &["bad@sink.test", "ok@sink.test"];
    let case = |script, exit, status| Case { script, recipients: two, exit, status, ..PLAIN };
    let rest = "C: RCPT TO:<ok@*\nS: 250 2.1.5 Ok\ndata\naccept\nquit";
    for (reply, exit, status, own) in [("550 5.1.1 who?", 67, "failed", "failed"), ("450 4.2.1 later", 75, "deferred", "deferred")]
    {
        for keywords in ["", " PIPELINING"] {
            let script = format!("hello:{keywords}\nmail\nC: RCPT TO:<bad@*\nS: {reply}\n{rest}");
            let exits: &'static [i32] = if exit == 67 { &[67] } else { &[75] };
            let (run, heard) = perform(&case(Box::leak(script.into_boxed_str()), exits, status));
            assert_eq!((run.code, run.field("/status")), (exit, status), "{reply}: {run:?}");
            assert_eq!(run.field("/recipients/0/status"), own, "{run:?}");
            assert_eq!(run.field("/recipients/1/status"), "sent", "{run:?}");
            assert_eq!(run.field("/recipients/0/address"), "bad@sink.test", "{run:?}");
            assert!(heard[0].deviation.is_none() && contains(&heard[0].clear, b"all is well"), "{heard:?}");
        }
    }
}

#[test]
fn a_354_after_every_recipient_was_refused_gets_no_body() {
    let script = "hello: PIPELINING\nmail\nC: RCPT TO:*\nS: 550 5.1.1 who?\nC: DATA\nS: 354 go on\nwait";
    let (run, heard) = perform(&Case { script, exit: &[67], status: "failed", ..PLAIN });
    assert_eq!((run.code, run.field("/status")), (67, "failed"), "{run:?}");
    assert!(!contains(&heard[0].clear, b"all is well"), "the body went out: {heard:?}");
}

#[test]
fn lmtp_answers_for_each_recipient() {
    let lmtp = Case { account: "protocol = \"lmtp\"", recipients: &["a@sink.test", "b@sink.test"], ..PLAIN };
    let opening = "S: 220 hi LMTP\nC: LHLO *\nS: 250-hi\nS: 250 PIPELINING\nmail\nrcpt\nrcpt\ndata";
    for (name, ending, exit, status, each) in [
        ("both", "S: 250 ok\nS: 250 ok\nquit", 0, "sent", ["sent", "sent"]),
        ("one refused", "S: 250 ok\nS: 550 5.1.1 gone\nquit", 67, "failed", ["sent", "failed"]),
        ("one full", "S: 452 4.2.2 full\nS: 250 ok\nquit", 75, "deferred", ["deferred", "sent"]),
        ("cut between", "S: 250 ok\nclose", 75, "unknown", ["sent", "unknown"]),
    ] {
        let script = Box::leak(format!("{opening}\n{ending}").into_boxed_str());
        let (run, mut heard) = perform(&Case { name, script, ..lmtp.clone() });
        let server = heard.remove(0);
        assert_eq!((run.code, run.field("/status")), (exit, status), "{name}: {run:?}");
        let told = [run.field("/recipients/0/status"), run.field("/recipients/1/status")];
        assert_eq!(told, each, "{name}: {run:?}");
        assert_eq!(server.deviation, None, "{name}");
    }
}

#[test]
fn a_refused_login_sends_nothing() {
    let auth = |name, script, exit, status| Case { name, auth: true, script, exit, status, ..CASE };
    let leak = |tail: &str| -> &'static str {
        let head = "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo: AUTH PLAIN LOGIN";
        Box::leak(format!("{head}\nC: AUTH *\n{tail}").into_boxed_str())
    };
    play(&[
        auth("535", leak("S: 535 5.7.8 no\nwait"), &[77], "failed"),
        auth("454", leak("S: 454 4.7.0 later\nwait"), &[75], "deferred"),
        auth("421", leak("S: 421 4.7.0 later\nclose"), &[75], "deferred"),
        auth("250 is not 235", leak("S: 250 fine\nwait"), &[75, 76, 77], "*"),
        auth("334 without end", leak("S-flood: 334 \\r\\n"), &[75, 76, 77], "*"),
    ]);
}

#[test]
fn a_server_that_repeats_the_secret_gets_it_into_no_log() {
    let case = |name, tail: String, exit, status| {
        let head = "hello: STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nehlo: AUTH PLAIN";
        let script: &'static str = Box::leak(format!("{head}\nC: AUTH *\n{tail}").into_boxed_str());
        Case { name, auth: true, script, exit, status, ..CASE }
    };
    let encode = |text: &str| STANDARD.encode(text);
    play(&[
        case("as it is", format!("S: 535-5.7.8 wrong:\nS: 535 5.7.8 {PASSWORD}\nwait"), &[77], "failed"),
        case("as PLAIN says it", format!("S: 535 {}\nwait", encode(&format!("\0{USER}\0{PASSWORD}"))), &[77], "failed"),
        case("as LOGIN says it", format!("S: 454 {}\nwait", encode(PASSWORD)), &[75], "deferred"),
        case("in nonsense", format!("S: {} {PASSWORD}\nwait", "x".repeat(40)), &[76], "failed"),
        Case {
            result: "verified",
            ..case("at MAIL", format!("S: 235 in\nC: MAIL FROM:*\nS: 550 {PASSWORD}\nwait"), &[69], "failed")
        },
    ]);
}

#[test]
fn a_server_that_is_not_there_is_temporary() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map(|a| a.port());
    let account =
        format!("[accounts.relay]\nhost = \"127.0.0.1\"\nport = {}\n[accounts.relay.tls]\npolicy = \"off\"\n", closed.unwrap_or(1));
    let run = crate::common::Sealpost::new(&account).send(&["-i", "ok@sink.test"], crate::common::MESSAGE.as_bytes());
    assert_eq!((run.code, run.field("/status"), run.field("/tls/result")), (75, "deferred", "none"), "{run:?}");
    assert_eq!(run.oddities(), Vec::<String>::new());
}
