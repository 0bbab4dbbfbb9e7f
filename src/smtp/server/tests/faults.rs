//! Does each fault of the pretended server strike where its name says?

use super::{super::*, perform, with};

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
