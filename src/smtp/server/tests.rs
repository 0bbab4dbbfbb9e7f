//! Does the server machine answer as RFC 5321 wants, whatever a client says?

use std::fmt::Write as _;

use super::*;
use crate::smtp::{
    sasl::{
        Secret,
        verifier::{Entropy, Login},
    },
    server::fault::Faults,
};

mod abuse;
mod faults;
mod local;
mod login;

fn settings() -> Settings {
    Settings { message_size: 100, recipients: 2, ..Settings::new("sink.example") }
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

/// `hello:` is EHLO and its answer, with what is offered besides; `offers:` is the answer alone.
fn expand(line: &str) -> Vec<String> {
    let Some((word @ ("hello" | "offers"), more)) = line.split_once(':') else { return vec![line.to_owned()] };
    let usual = ["sink.example", "PIPELINING", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES", "CHUNKING"];
    let offered = usual.into_iter().chain(more.split(',').map(str::trim).filter(|word| !word.is_empty()));
    let said = (word == "hello").then(|| "C: EHLO x".to_owned());
    said.into_iter().chain(offered.map(|word| format!("S: 250-{word}"))).chain(["S: 250 SIZE 100".to_owned()]).collect()
}

/// Plays a script: `C:` lines get CRLF, `c:` lines are said raw with Rust's escapes; neighbours leave in one write. The greeting
/// is left out unless the script begins with it.
fn play(settings: Settings, script: &str) {
    let mut server = Server::new(settings);
    let mut seen = String::new();
    let greeting = server.greet();
    perform(&mut server, greeting, &mut seen);
    let script: Vec<String> = script.lines().map(str::trim).filter(|line| !line.is_empty()).flat_map(expand).collect();
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
        offers: STARTTLS
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
        hello:
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
fn lmtp_answers_for_each_recipient() {
    play(
        Settings { lmtp: true, ..settings() },
        r#"
        S: 220 sink.example LMTP sealpost
        C: EHLO x
        S: 500 5.5.1 say LHLO
        C: LHLO x
        offers:
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
