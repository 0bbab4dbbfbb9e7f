//! Does the server machine answer as RFC 5321 wants, whatever a client says?

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use proptest::prelude::*;

use super::*;
use crate::{
    mail::{
        policy::{Demand, OnDowngrade, Policy, Reach, Request, SecretRule, Start, Tlsa, Trust, judge, may_authenticate},
        tls::Standing,
    },
    smtp::sasl::{Choice, Credentials, Exchange, Secret, Setting},
};

fn settings() -> Settings {
    Settings {
        name: "sink.example".to_owned(),
        lmtp: false,
        seal: Seal::Never,
        auth: None,
        requiretls: Promise::Never,
        lone_lf: false,
        consult: false,
        private: false,
        message_size: 100,
        recipients: 2,
        faults: Faults::default(),
    }
}

fn with(faults: &[&str]) -> Settings {
    Settings { seal: Seal::Offered, faults: Faults::named(faults.iter().copied()), ..settings() }
}

fn with_login(seal: Seal) -> Settings {
    let login = Login { user: "tim".to_owned(), password: Secret::new("pw".to_owned()) };
    let auth = Auth { login, entropy: Entropy { nonce: [1; 18], salt: [2; 16] }, in_clear: false };
    Settings { seal, auth: Some(auth), ..settings() }
}

/// Does the actions as a listener would, and writes down what it saw.
fn perform(server: &mut Server, actions: Vec<Action>, seen: &mut String) {
    for action in actions {
        match action {
            Action::Say(octets) => {
                for line in String::from_utf8(octets).unwrap().split_terminator("\r\n") {
                    writeln!(seen, "S: {line}").unwrap();
                }
            }
            Action::Begin(transaction) => {
                let to: Vec<&str> = transaction.recipients.iter().map(|recipient| recipient.address.as_str()).collect();
                writeln!(seen, "- begin <{}> to {}", transaction.sender, to.join(" ")).unwrap();
            }
            Action::Body(piece) => writeln!(seen, "- body {:?}", String::from_utf8_lossy(&piece)).unwrap(),
            Action::Deliver { bare_line_ends } => {
                writeln!(seen, "- deliver{}", if bare_line_ends { " (bare)" } else { "" }).unwrap();
                let next = server.stored(&Stored::Kept("1".to_owned()));
                perform(server, next, seen);
            }
            Action::Ask(query) => {
                let no = || Answer::Refused("553 5.7.1 not\nyou".to_owned());
                let answers = match query {
                    Query::Sender(mail) if mail.sender.starts_with("no") => vec![no()],
                    Query::Recipient(to) if to.address.starts_with("no") => vec![no()],
                    Query::Sender(_) | Query::Recipient(_) => vec![Answer::Fine],
                    Query::Queue(words) if words == "list" => {
                        vec![Answer::Lines(vec!["250-{}".into(), "250 {\"\u{7f}\"}".into()]), Answer::Fine]
                    }
                    Query::Queue(words) => vec![Answer::Refused(format!("550 5.7.1 {words}"))],
                };
                for answer in answers {
                    let next = server.answered(answer);
                    perform(server, next, seen);
                }
            }
            Action::Handshake => {
                writeln!(seen, "- handshake").unwrap();
                let next = server.sealed();
                perform(server, next, seen);
            }
            other => writeln!(seen, "- {}", format!("{other:?}").to_lowercase()).unwrap(),
        }
    }
}

/// Plays a script: `C:` lines get CRLF, `c:` lines are said raw with Rust's escapes; neighbours leave in one write. The greeting
/// is left out unless the script begins with it.
fn play(settings: Settings, script: &str) {
    let mut server = Server::new(settings);
    let mut seen = String::new();
    let greeting = server.greet();
    perform(&mut server, greeting, &mut seen);
    let script: Vec<&str> = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if !script.first().is_some_and(|line| line.starts_with("S: 220") || line.starts_with("S: 4") || line.starts_with("S: 55")) {
        seen.clear();
    }
    let mut write = Vec::new();
    for (index, line) in script.iter().enumerate() {
        if let Some(said) = line.strip_prefix("C:") {
            write.extend_from_slice(said.trim_start().as_bytes());
            write.extend_from_slice(b"\r\n");
        } else if let Some(said) = line.strip_prefix("c: ") {
            write.extend_from_slice(said.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").as_bytes());
        } else {
            continue;
        }
        writeln!(seen, "{line}").unwrap();
        if script.get(index + 1).is_none_or(|next| !next.starts_with(['C', 'c'])) {
            let actions = server.receive(&std::mem::take(&mut write));
            perform(&mut server, actions, &mut seen);
        }
    }
    let seen: Vec<&str> = seen.lines().collect();
    assert_eq!(seen, script);
}

#[test]
fn a_message_goes_through_step_by_step() {
    play(
        settings(),
        r#"
        S: 220 sink.example ESMTP sealpost
        C: EHLO client.example
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250 SIZE 100
        C: MAIL FROM:<a@b> SIZE=20
        S: 250 2.1.0 ok
        C: RCPT TO:<c@d> NOTIFY=NEVER
        S: 250 2.1.5 ok
        C: DATA
        S: 354 end with a dot on a line of its own
        - begin <a@b> to c@d
        C: Subject: x
        - body "Subject: x\r\n"
        C:
        C: ..dot
        C: .
        - body "\r\n.dot\r\n"
        - deliver
        S: 250 2.0.0 kept as 1
        C: QUIT
        S: 221 2.0.0 bye
        - close
        C: NOOP
        "#,
    );
}

#[test]
fn a_pipelined_group_is_answered_in_one_go_and_messages_follow_each_other() {
    play(
        settings(),
        r#"
        C: HELO x
        C: MAIL FROM:<>
        C: RCPT TO:<root>
        C: DATA
        C: a
        C: .
        C: MAIL FROM:<q@r>
        C: RCPT TO:<c@d>
        C: RCPT TO:<e@f>
        C: RCPT TO:<g@h>
        C: DATA
        C: b
        C: .
        C: QUIT
        S: 250 sink.example
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        S: 354 end with a dot on a line of its own
        - begin <> to root
        - body "a\r\n"
        - deliver
        S: 250 2.0.0 kept as 1
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        S: 250 2.1.5 ok
        S: 452 4.5.3 too many recipients
        S: 354 end with a dot on a line of its own
        - begin <q@r> to c@d e@f
        - body "b\r\n"
        - deliver
        S: 250 2.0.0 kept as 1
        S: 221 2.0.0 bye
        - close
        "#,
    );
}

#[test]
fn commands_out_of_order_are_refused_and_leave_the_session_usable() {
    play(
        settings(),
        r"
        C: MAIL FROM:<a@b>
        S: 503 5.5.1 say EHLO first
        C: HELO x
        S: 250 sink.example
        C: RCPT TO:<c@d>
        S: 503 5.5.1 say MAIL first
        C: DATA
        S: 503 5.5.1 say MAIL first
        C: MAIL FROM:<a@b> BODY=8BITMIME
        S: 555 5.5.4 a parameter that is not offered
        C: MAIL FROM:<a@b>
        S: 250 2.1.0 ok
        C: MAIL FROM:<a@b>
        S: 503 5.5.1 one sender is enough
        C: DATA
        S: 554 5.5.1 no valid recipients
        C: RCPT TO:<é@d>
        S: 553 5.6.7 that address needs SMTPUTF8
        C: STARTTLS
        S: 502 5.5.1 STARTTLS is not offered
        C: AUTH PLAIN
        S: 503 5.5.1 not now
        C: LHLO x
        S: 500 5.5.1 say EHLO
        C: RSET
        S: 250 2.0.0 forgotten
        C: RCPT TO:<c@d>
        S: 503 5.5.1 say MAIL first
        C: AUTH PLAIN
        S: 502 5.5.1 AUTH is not offered
        C: VRFY root
        S: 252 2.5.2 send it and see
        C: POST / HTTP/1.1
        S: 554 5.5.1 this is SMTP, not HTTP
        - close
        ",
    );
}

#[test]
fn nothing_but_crlf_dot_crlf_ends_the_data_so_nothing_can_be_smuggled() {
    for end in
        ["\\n.\\n", "\\n.\\r\\n", "\\r\\n.\\n", "\\r.\\r", "\\r\\n.\\r", "\\r\\n.\\r\\r\\n", "\\r\\n\\0.\\r\\n", "\\n\\r.\\r\\n"]
    {
        let mut server = Server::new(settings());
        let _ = server.receive(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
        let end = end.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0");
        let actions = server.receive(format!("x{end}MAIL FROM:<evil@b>\r\n").as_bytes());
        assert!(matches!(actions[..], [Action::Body(_)]), "{end:?} ended the data: {actions:?}");
    }
}

#[test]
fn a_local_program_may_speak_with_lf_alone_but_only_if_it_does_so_from_the_start() {
    play(
        Settings { lone_lf: true, ..settings() },
        r#"
        c: HELO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\n
        c: x\n.\nQUIT\n
        S: 250 sink.example
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        S: 354 end with a dot on a line of its own
        - begin <a@b> to c@d
        - body "x\n"
        - deliver
        S: 250 2.0.0 kept as 1
        S: 221 2.0.0 bye
        - close
        "#,
    );
    play(
        Settings { lone_lf: true, ..settings() },
        r#"
        c: HELO x\nMAIL FROM:<a@b>\nRCPT TO:<c@d>\nDATA\r\n
        S: 250 sink.example
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        S: 354 end with a dot on a line of its own
        - begin <a@b> to c@d
        c: x\n.\nQUIT\n
        - body "x\n.\nQUIT\n"
        "#,
    );
}

#[test]
fn what_was_written_behind_starttls_is_thrown_away_and_everything_before_it_forgotten() {
    play(
        with(&[]),
        r"
        C: HELO x
        S: 250 sink.example
        C: STARTTLS
        S: 502 5.5.1 STARTTLS is not offered
        C: EHLO x
        C: MAIL FROM:<a@b>
        C: STARTTLS
        C: RCPT TO:<injected@b>
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-STARTTLS
        S: 250 SIZE 100
        S: 250 2.1.0 ok
        S: 220 2.0.0 go ahead
        - handshake
        C: RCPT TO:<c@d>
        S: 503 5.5.1 say MAIL first
        C: MAIL FROM:<a@b>
        S: 503 5.5.1 say EHLO first
        C: STARTTLS
        S: 502 5.5.1 STARTTLS is not offered
        ",
    );
}

#[test]
fn a_chunked_message_needs_no_dots_and_a_refused_chunk_is_not_taken_for_commands() {
    play(
        settings(),
        r#"
        C: EHLO x
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250 SIZE 100
        c: BDAT 6\r\nQUIT\r\n
        S: 503 5.5.1 say MAIL first
        c: MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 5\r\na\r\n.\r
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        - begin <a@b> to c@d
        - body "a\r\n.\r"
        S: 250 2.0.0 and then?
        C: DATA
        S: 503 5.5.1 BDAT has begun
        C: RCPT TO:<e@f>
        S: 503 5.5.1 the message has begun
        c: BDAT 1 LAST\r\n\nRSET\r\n
        - body "\n"
        - deliver
        S: 250 2.0.0 kept as 1
        S: 250 2.0.0 forgotten
        c: MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 0\r\nRSET\r\n
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        - begin <a@b> to c@d
        S: 250 2.0.0 and then?
        - discard
        S: 250 2.0.0 forgotten
        "#,
    );
}

#[test]
fn a_message_that_grows_too_big_is_dropped_and_refused_at_its_end() {
    let mut server = Server::new(settings());
    let _ = server.receive(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n");
    assert_eq!(server.receive(&[b'x'; 90]), [Action::Body(vec![b'x'; 90])]);
    assert_eq!(server.receive(&[b'x'; 90]), [Action::Discard]);
    assert_eq!(server.receive(&[b'x'; 90]), []);
    assert_eq!(server.receive(b"\r\n.\r\n"), [Action::Say(b"552 5.3.4 too big\r\n".to_vec())]);
    let mut server = Server::new(settings());
    let _ = server.receive(b"EHLO x\r\n");
    assert_eq!(server.receive(b"MAIL FROM:<a@b> SIZE=101\r\n"), [Action::Say(b"552 5.3.4 too big\r\n".to_vec())]);
    let _ = server.receive(b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 101 LAST\r\n");
    assert_eq!(server.receive(&[b'x'; 101]), [Action::Discard, Action::Say(b"552 5.3.4 too big\r\n".to_vec())]);
}

#[test]
fn lmtp_answers_for_each_recipient() {
    play(
        Settings { lmtp: true, ..settings() },
        r#"
        S: 220 sink.example LMTP sealpost
        C: EHLO x
        S: 500 5.5.1 say LHLO
        C: LHLO x
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250 SIZE 100
        C: MAIL FROM:<a@b>
        C: RCPT TO:<c@d>
        C: RCPT TO:<e@f>
        C: DATA
        S: 250 2.1.0 ok
        S: 250 2.1.5 ok
        S: 250 2.1.5 ok
        S: 354 end with a dot on a line of its own
        - begin <a@b> to c@d e@f
        C: x
        C: .
        - body "x\r\n"
        - deliver
        S: 250 2.0.0 kept as 1
        S: 250 2.0.0 kept as 1
        "#,
    );
}

#[test]
fn a_login_is_offered_under_tls_only_and_needed_before_mail() {
    play(
        with_login(Seal::Up),
        r"
        C: EHLO x
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-SIZE 100
        S: 250 AUTH SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN CRAM-MD5
        C: MAIL FROM:<a@b>
        S: 530 5.7.0 log in first
        C: AUTH KERBEROS
        S: 504 5.5.4 unknown mechanism
        C: AUTH PLAIN AHRpbQBwdw
        S: 501 5.5.2 that is not base64
        C: AUTH PLAIN AHRpbQB4
        S: 535 5.7.8 authentication failed
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: *
        S: 501 5.7.0 given up
        C: AUTH LOGIN dGlt
        S: 334 UGFzc3dvcmQ6
        C: cHc=
        S: 235 2.7.0 welcome
        C: AUTH LOGIN
        S: 503 5.5.1 not now
        C: MAIL FROM:<a@b>
        S: 250 2.1.0 ok
        ",
    );
    play(
        with_login(Seal::Offered),
        r"
        C: EHLO x
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-STARTTLS
        S: 250 SIZE 100
        C: AUTH PLAIN AHRpbQBwdw==
        S: 502 5.5.1 AUTH is not offered
        C: MAIL FROM:<a@b>
        S: 530 5.7.0 STARTTLS first
        ",
    );
}

/// One transaction against each fault of the dialogue: the last lines of what happens.
#[test]
fn each_fault_strikes_where_its_name_says() {
    let cases = [
        ("greeting-554", "", "S: 554 5.3.2 no service here|- close"),
        ("greeting-421", "", "S: 421 4.3.2 come back later|- close"),
        ("greeting-twice", "", "S: 220 sink.example ESMTP sealpost|S: 220 and welcome again"),
        ("silent-greeting", "", ""),
        ("no-ehlo", "EHLO x|HELO x", "S: 502 5.5.1 EHLO? never heard of it|S: 250 sink.example"),
        ("endless-reply", "EHLO x|NOOP", "- flood("),
        ("starttls-454", "EHLO x|STARTTLS", "S: 454 4.7.0 TLS not available"),
        ("starttls-garbage", "EHLO x|STARTTLS", "S: 220 2.0.0 go ahead|S: 250 2.0.0 injected|- handshake"),
        ("starttls-close", "EHLO x|STARTTLS", "S: 220 2.0.0 go ahead|- close"),
        ("no-starttls", "EHLO x|STARTTLS", "S: 502 5.5.1 STARTTLS is not offered"),
        ("no-chunking", "EHLO x|BDAT 0", "S: 502 5.5.1 CHUNKING is not offered"),
        ("no-8bitmime", "EHLO x|MAIL FROM:<> BODY=8BITMIME", "S: 555 5.5.4 a parameter that is not offered"),
        ("no-smtputf8", "EHLO x|MAIL FROM:<> SMTPUTF8", "S: 555 5.5.4 a parameter that is not offered"),
        ("no-dsn", "EHLO x|MAIL FROM:<> RET=FULL", "S: 555 5.5.4 a parameter that is not offered"),
        ("no-pipelining", "NOOP|NOOP", "S: 503 5.5.0 you did not wait for a reply, and PIPELINING is not offered|S: 250 2.0.0 ok"),
        ("tiny-size", "EHLO x|MAIL FROM:<> SIZE=1001", "S: 552 5.3.4 too big"),
        ("mail-451", "HELO x|MAIL FROM:<>|RCPT TO:<a>", "S: 451 4.3.0 not now|S: 503 5.5.1 say MAIL first"),
        ("mail-550", "HELO x|MAIL FROM:<>", "S: 550 5.7.1 sender refused"),
        ("unsolicited", "HELO x|MAIL FROM:<>", "S: 250 2.1.0 ok|S: 250 2.1.5 ok"),
        ("rcpt-451", "HELO x|MAIL FROM:<>|RCPT TO:<a>|RCPT TO:<b>", "S: 451 4.2.1 mailbox busy|S: 250 2.1.5 ok"),
        ("rcpt-550", "HELO x|MAIL FROM:<>|RCPT TO:<a>|RCPT TO:<b>", "S: 550 5.1.1 no such user|S: 250 2.1.5 ok"),
        ("rcpt-550-all", "HELO x|MAIL FROM:<>|RCPT TO:<a>|RCPT TO:<b>", "S: 550 5.1.1 no such user|S: 550 5.1.1 no such user"),
        ("data-421", "HELO x|MAIL FROM:<>|RCPT TO:<a>|DATA", "S: 421 4.3.2 shutting down|- close"),
        ("stop-reading", "HELO x|MAIL FROM:<>|RCPT TO:<a>|DATA|x", "- begin <> to a|- discard|- stall"),
        ("stop-reading", "EHLO x|MAIL FROM:<>|RCPT TO:<a>|BDAT 3 LAST|x", "- begin <> to a|- discard|- stall"),
        ("data-421", "EHLO x|MAIL FROM:<>|RCPT TO:<a>|BDAT 3 LAST|x", "S: 421 4.3.2 shutting down|- close"),
        ("data-452", "HELO x|MAIL FROM:<>|RCPT TO:<a>|DATA|.|NOOP", "S: 452 4.3.1 disk full|- discard|S: 250 2.0.0 ok"),
        ("data-554", "HELO x|MAIL FROM:<>|RCPT TO:<a>|DATA|.", "S: 554 5.6.0 not this content|- discard"),
        ("drop-after-dot", "HELO x|MAIL FROM:<>|RCPT TO:<a>|DATA|.", "- deliver|- close"),
        ("half-reply", "HELO x|MAIL FROM:<>|RCPT TO:<a>|DATA|.", "- deliver|S: 25|- close"),
        ("reply-354-after-dot", "HELO x|MAIL FROM:<>|RCPT TO:<a>|DATA|.", "- deliver|S: 354 go on"),
    ];
    for (fault, said, end) in cases {
        let mut server = Server::new(with(&[fault]));
        let mut seen = String::new();
        let actions = server.greet();
        perform(&mut server, actions, &mut seen);
        let octets: String = said.split('|').filter(|line| !line.is_empty()).flat_map(|line| [line, "\r\n"]).collect();
        let actions = server.receive(octets.as_bytes());
        perform(&mut server, actions, &mut seen);
        let seen = seen.trim_end().replace('\n', "|");
        let fits = if end.is_empty() { seen.is_empty() } else { seen.ends_with(end) || end.ends_with('(') && seen.contains(end) };
        assert!(fits, "{fault}: {seen}");
    }
}

#[test]
fn a_stripped_starttls_tempts_with_a_login_in_the_clear_and_login_faults_refuse_it() {
    for (fault, reply) in [
        ("no-starttls", "235 2.7.0 welcome\r\n"),
        ("auth-535", "535 5.7.8 authentication failed\r\n"),
        ("auth-454", "454 4.7.0 temporary authentication failure\r\n"),
        ("no-auth", "502 5.5.1 AUTH is not offered\r\n"),
    ] {
        let seal = if fault == "no-starttls" { Seal::Offered } else { Seal::Up };
        let mut server = Server::new(Settings { faults: Faults::named([fault]), ..with_login(seal) });
        let _ = server.receive(b"EHLO x\r\n");
        assert_eq!(server.receive(b"AUTH PLAIN AHRpbQBwdw==\r\n"), [Action::Say(reply.into())], "{fault}");
    }
}

#[test]
fn scram_runs_through_the_dialogue_and_a_forged_signature_is_noticed_by_its_client() {
    for (faults, honest) in [(&[][..], true), (&["bad-scram"], false)] {
        let mut server = Server::new(Settings { faults: Faults::named(faults.iter().copied()), ..with_login(Seal::Up) });
        let mut client = scram_client();
        let _ = server.receive(b"EHLO x\r\n");
        let mut say = |line: String| match &server.receive(format!("{line}\r\n").as_bytes())[..] {
            [Action::Say(reply)] => String::from_utf8(reply.clone()).unwrap(),
            other => panic!("{other:?}"),
        };
        let mut reply = say(format!("AUTH SCRAM-SHA-256 {}", BASE64.encode(client.initial(500).unwrap())));
        let outcome = loop {
            let Some(challenge) = reply.strip_prefix("334 ") else { break client.finished(None) };
            match client.answer(&BASE64.decode(challenge.trim_end()).unwrap()) {
                Ok(answer) => reply = say(BASE64.encode(answer)),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(outcome.is_ok(), honest, "{outcome:?}");
        assert_eq!(reply.starts_with("235"), honest, "{reply}");
    }
}

fn scram_client() -> Exchange {
    let demand = Demand {
        policy: Policy::Required,
        trust: Trust::System,
        start: Start::Starttls,
        on_downgrade: OnDowngrade::Warn,
        tlsa: Tlsa::Unasked,
        request: Request::Nothing,
    };
    let rule = SecretRule { allow_unverified: false, explicit_mechanism: false };
    let permit = may_authenticate(&judge(demand, Ok(Standing::Proven)).unwrap(), Reach::Network, rule).unwrap();
    let secret = Secret::new("pw".to_owned());
    let credentials = Credentials { user: "tim".to_owned(), secret, choice: Choice::Auto, allow_unverified: false, server: None };
    let setting = Setting { offered: &["SCRAM-SHA-256"], permit: &permit, binding: None, nonce: &[3; 18] };
    Exchange::begin(&credentials, &setting).unwrap().1
}

#[test]
fn a_line_without_end_neither_fills_the_memory_nor_ends_the_session() {
    let mut server = Server::new(settings());
    for _ in 0..1000 {
        assert_eq!(server.receive(&[b'x'; 1000]), []);
        assert!(server.input.len() <= LONGEST_LINE + 1000);
    }
    let reply = b"500 5.5.2 line too long\r\n250 2.0.0 ok\r\n".to_vec();
    assert_eq!(server.receive(b"\r\nNOOP\r\n"), [Action::Say(reply)]);
}

#[test]
fn a_client_that_errs_all_the_time_is_sent_away() {
    let mut server = Server::new(settings());
    let actions: Vec<Action> = (0..=MOST_ERRORS).flat_map(|_| server.receive(b"XYZZY\r\n")).collect();
    assert_eq!(actions.last(), Some(&Action::Close));
    assert_eq!(server.receive(b"NOOP\r\n"), []);
}

#[test]
fn a_reason_from_elsewhere_can_not_forge_a_reply_line() {
    let mut server = Server::new(settings());
    let _ = server.receive(b"HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n.\r\n");
    let actions = server.stored(&Stored::Never("bad\r\n250 fine".to_owned()));
    assert_eq!(actions, [Action::Say(b"554 5.6.0 bad\\r\\n250 fine\r\n".to_vec())]);
}

proptest! {
    #[test]
    fn no_octets_make_the_server_panic(pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..6)) {
        let mut server = Server::new(with_login(Seal::Up));
        let mut seen = String::new();
        for piece in pieces {
            let actions = server.receive(&piece);
            perform(&mut server, actions, &mut seen);
        }
    }

    #[test]
    fn every_message_that_begins_is_delivered_or_discarded_once_and_the_cut_into_pieces_changes_nothing(
        lines in proptest::collection::vec(prop::sample::select(vec![
            "EHLO x\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n", "BDAT 3\r\nabc", "BDAT 3 LAST\r\nabc", "BDAT 200 LAST\r\n",
            ".\r\n", "x\r\n", "RSET\r\n", "NOOP\n", "QUIT\r\n", "AUTH PLAIN\r\n", "STARTTLS\r\n",
        ]), 0..25),
        size in 1usize..40,
    ) {
        let said = lines.concat();
        let hear = |size: usize| {
            let mut server = Server::new(settings());
            let mut seen = String::new();
            for piece in said.as_bytes().chunks(size) {
                let actions = server.receive(piece);
                perform(&mut server, actions, &mut seen);
            }
            (seen, server.begun)
        };
        let (seen, open) = hear(size);
        let count = |what: &str| seen.lines().filter(|line| line.starts_with(what)).count();
        prop_assert_eq!(count("- begin"), count("- deliver") + count("- discard") + usize::from(open));
        let without_pieces = |seen: &str| seen.lines().filter(|line| !line.starts_with("- body")).map(str::to_owned).collect::<Vec<_>>();
        prop_assert_eq!(without_pieces(&hear(usize::MAX).0), without_pieces(&seen));
    }
}

#[test]
fn whoever_holds_the_connection_may_refuse_a_sender_or_a_recipient_and_pipelining_waits_for_it() {
    play(
        Settings { consult: true, ..settings() },
        r"
        C: HELO x
        S: 250 sink.example
        C: MAIL FROM:<no@b>
        C: RCPT TO:<c@d>
        C: MAIL FROM:<a@b>
        C: RCPT TO:<no>
        C: RCPT TO:<yes>
        C: XQUEUE LIST
        C: DATA
        S: 553 5.7.1 not\nyou
        S: 503 5.5.1 say MAIL first
        S: 250 2.1.0 ok
        S: 553 5.7.1 not\nyou
        S: 250 2.1.5 ok
        S: 500 5.5.2 unknown command
        S: 354 end with a dot on a line of its own
        - begin <a@b> to yes
        ",
    );
}

#[test]
fn what_sealpost_asks_of_its_service_is_offered_where_it_is_wanted_only() {
    play(
        Settings { private: true, consult: true, ..settings() },
        r#"
        C: EHLO x
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-XSEALPOST
        S: 250 SIZE 100
        C: XQUEUE list
        S: 250-{}
        S: 250 {"\u007f"}
        C: XQUEUE hold x
        S: 550 5.7.1 hold x
        C: MAIL FROM:<> XDEFAULT XACCOUNT=a+20b
        C: XQUEUE FLUSH
        S: 250 2.1.0 ok
        S: 503 5.5.1 not within a message
        "#,
    );
    play(
        settings(),
        r"
        C: EHLO x
        S: 250-sink.example
        S: 250-PIPELINING
        S: 250-8BITMIME
        S: 250-SMTPUTF8
        S: 250-DSN
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250 SIZE 100
        C: MAIL FROM:<> XDEFAULT
        S: 555 5.5.4 a parameter that is not offered
        C: XQUEUE FLUSH
        S: 500 5.5.2 unknown command
        ",
    );
}

#[test]
fn a_client_that_is_sent_away_loses_what_it_had_begun_and_hears_why() {
    let mut server = Server::new(settings());
    let _ = server.receive(b"HELO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nhalf");
    assert!(server.is_busy());
    let said = Action::Say(b"421 4.3.2 bye\r\n".to_vec());
    assert_eq!(server.dismiss("421 4.3.2 bye"), [said, Action::Discard, Action::Close]);
    assert_eq!(server.dismiss("421 4.3.2 bye"), []);
}
