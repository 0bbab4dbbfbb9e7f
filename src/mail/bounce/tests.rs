//! Is a report owed, told whole, and with the original where it may?

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::mail::outcome::Enhanced;

mod shape;

const ORIGINAL: &str = "Date: Mon, 23 Nov 2026 22:53:01 +0000\r\nFrom: Cron <cron@example.com>\r\nMessage-ID: <report.1@example.com>\r\n\
                        To: ann@example.net\r\nSubject: Nightly report\r\n\r\nall is well\r\n";

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn recipient(text: &str) -> Recipient {
    Recipient { address: address(text), original: None, notify: None }
}

fn last(code: u16, enhanced: &str, text: &str) -> Last {
    let mut numbers = enhanced.split('.').map(|number| number.parse::<u16>().unwrap());
    let mut next = || numbers.next().unwrap();
    let enhanced = Enhanced { class: u8::try_from(next()).unwrap(), subject: next(), detail: next() };
    Last { code: (code > 0).then_some(code), enhanced: Some(enhanced), text: text.to_owned(), tls: None, ..Last::default() }
}

/// What tests vary in a report.
struct Case {
    kind: Kind,
    to: Address,
    ret: Option<Ret>,
    requiretls: bool,
    recipients: Vec<Recipient>,
    lasts: Vec<Option<Last>>,
    start: Vec<u8>,
    size: Option<u64>,
    words: String,
}

impl Case {
    fn new(recipients: &[&str], lasts: &[Last]) -> Self {
        Self {
            kind: Kind::Failure,
            to: address("cron@example.com"),
            ret: None,
            requiretls: false,
            recipients: recipients.iter().map(|text| recipient(text)).collect(),
            lasts: lasts.iter().cloned().map(Some).collect(),
            start: ORIGINAL.into(),
            size: None,
            words: "mx.example.net".to_owned(),
        }
    }

    fn written(&self) -> Report {
        let from = address("MAILER-DAEMON@example.com");
        let pairs = self.recipients.iter().zip(&self.lasts);
        let tried = Some("Sat, 28 Nov 2026 22:53:01 +0000");
        let told: Vec<Told<'_>> = pairs
            .map(|(recipient, last)| Told {
                whom: Whom::Recipient(recipient),
                last: last.as_ref(),
                server: Some(&self.words),
                tried,
            })
            .collect();
        let notice = Notice {
            kind: self.kind,
            id: "01KAY2ZQ4M8V6W3T5R7X9Y1B2C",
            message_id: "<01KB.report@example.com>",
            date: "Sat, 28 Nov 2026 22:53:02 +0000",
            host: "host.example.com",
            from: &from,
            to: &self.to,
            envid: Some("QQ314 159"),
            ret: self.ret,
            requiretls: self.requiretls,
            arrived: "Mon, 23 Nov 2026 22:53:01 +0000",
            until: Some("Sat, 28 Nov 2026 22:53:01 +0000"),
            recipients: &told,
            start: &self.start,
            size: self.size.unwrap_or(self.start.len() as u64),
        };
        Report::read(&write(&notice).unwrap())
    }
}

/// A report taken apart by its boundary; the tests in tests/bounce.rs have another parser do the same.
#[derive(Debug)]
struct Report {
    octets: Vec<u8>,
    header: String,
    parts: Vec<(String, Vec<u8>)>,
}

impl Report {
    fn read(octets: &[u8]) -> Self {
        let split = |text: &[u8]| {
            let at = memmem::find(text, b"\r\n\r\n").unwrap();
            (String::from_utf8(text[..at + 2].to_vec()).unwrap(), text[at + 4..].to_vec())
        };
        let (header, body) = split(octets);
        let boundary = header.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
        let delimiter = format!("--{boundary}");
        let starts: Vec<usize> = memmem::find_iter(&body, delimiter.as_bytes()).collect();
        assert_eq!((starts.len(), starts[0]), (4, 0), "three parts and nothing before them");
        assert_eq!(&body[starts[3]..], format!("{delimiter}--\r\n").as_bytes());
        let piece = |n: usize| &body[starts[n] + delimiter.len() + 2..starts[n + 1] - 2];
        let parts = (0..3).map(|n| split(piece(n))).collect();
        Self { octets: octets.to_vec(), header, parts }
    }

    fn part(&self, n: usize) -> &str {
        std::str::from_utf8(&self.parts[n].1).unwrap()
    }

    /// The groups of the fields for programs, unfolded.
    fn groups(&self) -> Vec<Vec<(String, String)>> {
        let unfolded = self.part(1).replace("\r\n ", " ");
        let field = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
        unfolded.split("\r\n\r\n").map(|group| group.split_terminator("\r\n").map(field).collect()).collect()
    }

    fn of_recipient(&self, n: usize, name: &str) -> Option<String> {
        self.groups()[n + 1].iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// The words for people, where they are not encoded.
    fn words(&self) -> String {
        self.part(0).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn a_report_is_owed_where_notify_wants_it_and_never_to_nobody() {
    let sender = ReversePath::Address(address("a@b.test"));
    let kinds = [Kind::Failure, Kind::Delay, Kind::Relayed];
    let when = |success, failure, delay| Some(Notify::When { success, failure, delay });
    for (notify, expected) in [
        (None, [true, true, false]),
        (Some(Notify::Never), [false, false, false]),
        (when(true, false, false), [false, false, true]),
        (when(false, true, false), [true, false, false]),
        (when(false, false, true), [false, true, false]),
        (when(true, true, true), [true, true, true]),
    ] {
        assert_eq!(kinds.map(|kind| is_owed(&sender, notify, kind)), expected, "{notify:?}");
        assert_eq!(kinds.map(|kind| is_owed(&ReversePath::Null, notify, kind)), [false; 3], "{notify:?}");
    }
}

#[test]
fn a_failure_is_told_whole() {
    let report = Case::new(&["ann@example.net"], &[last(550, "5.1.1", "<ann@example.net>: no such user")]).written();
    let expected = "Date: Sat, 28 Nov 2026 22:53:02 +0000\r\n\
        From: Mail Delivery System <MAILER-DAEMON@example.com>\r\n\
        To: cron@example.com\r\n\
        Subject: Undelivered: Nightly report\r\n\
        Message-ID: <01KB.report@example.com>\r\n\
        In-Reply-To: <report.1@example.com>\r\n\
        References: <report.1@example.com>\r\n\
        Auto-Submitted: auto-replied\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: multipart/report; report-type=delivery-status;\r\n \
        boundary=\"report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-0\"\r\n\
        \r\n\
        --report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-0\r\n\
        Content-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: 7bit\r\n\
        \r\n\
        This is the mail system of host.example.com.\r\n\
        \r\n\
        Your message of Mon, 23 Nov 2026 22:53:01 +0000 could not be delivered to\r\n\
        these recipients, and is not tried again:\r\n\
        \r\n  ann@example.net\r\n\
        \r\n    mx.example.net said:\r\n    550 5.1.1 <ann@example.net>: no such user\r\n\
        \r\n  Check the address, and send the message again.\r\n\
        \r\n\
        Below are the same facts for programs, and the header of the message. The\r\n\
        log of host.example.com has more:\r\n\
        \r\n  sealpost log --id 01KAY2ZQ4M8V6W3T5R7X9Y1B2C\r\n\
        \r\n\
        --report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-0\r\n\
        Content-Type: message/delivery-status\r\n\
        Content-Transfer-Encoding: 7bit\r\n\
        \r\n\
        Original-Envelope-Id: QQ314 159\r\n\
        Reporting-MTA: dns; host.example.com\r\n\
        Arrival-Date: Mon, 23 Nov 2026 22:53:01 +0000\r\n\
        X-Sealpost-Id: 01KAY2ZQ4M8V6W3T5R7X9Y1B2C\r\n\
        \r\n\
        Final-Recipient: rfc822; ann@example.net\r\n\
        Action: failed\r\n\
        Status: 5.1.1\r\n\
        Remote-MTA: dns; mx.example.net\r\n\
        Diagnostic-Code: smtp; 550 5.1.1 <ann@example.net>: no such user\r\n\
        Last-Attempt-Date: Sat, 28 Nov 2026 22:53:01 +0000\r\n\
        \r\n\
        --report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-0\r\n\
        Content-Type: text/rfc822-headers\r\n\
        Content-Transfer-Encoding: 7bit\r\n\
        \r\n\
        Date: Mon, 23 Nov 2026 22:53:01 +0000\r\n\
        From: Cron <cron@example.com>\r\n\
        Message-ID: <report.1@example.com>\r\n\
        To: ann@example.net\r\n\
        Subject: Nightly report\r\n\
        \r\n\
        --report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-0--\r\n";
    assert_eq!(String::from_utf8(report.octets).unwrap(), expected);
}

#[test]
fn the_status_says_whether_it_was_refused_given_up_late_or_passed_on() {
    let tls = |words: &str| Last { text: "TLS policy not met".into(), tls: Some(words.into()), ..Last::default() };
    let bare = |code| Last { code: Some(code), text: "x".into(), ..Last::default() };
    for (kind, last, action, expected) in [
        (Kind::Failure, last(550, "5.7.1", "x"), "failed", "5.7.1"),
        (Kind::Failure, bare(550), "failed", "5.0.0"),
        (Kind::Failure, last(0, "5.7.30", "REQUIRETLS"), "failed", "5.7.30"),
        (Kind::Failure, last(451, "4.7.1", "greylisted"), "failed", "4.4.7"),
        (Kind::Failure, Last::default(), "failed", "4.4.7"),
        (Kind::Failure, tls("starttls-not-supported (no STARTTLS)"), "failed", "4.7.4"),
        (Kind::Failure, tls("certificate-expired"), "failed", "4.7.5"),
        (Kind::Failure, tls("who knows"), "failed", "4.7.5"),
        (Kind::Delay, last(451, "4.7.1", "greylisted"), "delayed", "4.7.1"),
        (Kind::Delay, last(535, "5.7.8", "login"), "delayed", "4.0.0"),
        (Kind::Delay, tls("tlsa-invalid"), "delayed", "4.7.5"),
        (Kind::Relayed, last(250, "2.1.5", "ok"), "relayed", "2.1.5"),
        (Kind::Relayed, bare(250), "relayed", "2.0.0"),
    ] {
        let report = Case { kind, ..Case::new(&["ann@example.net"], std::slice::from_ref(&last)) }.written();
        let field = |name| report.of_recipient(0, name);
        assert_eq!((field("Action"), field("Status")), (Some(action.into()), Some(expected.into())), "{kind:?} {last:?}");
        assert_eq!(field("Will-Retry-Until").is_some(), kind == Kind::Delay);
        let diagnostic = field("Diagnostic-Code").unwrap();
        assert!(diagnostic.starts_with(if last.code.is_some() { "smtp;" } else { "X-Sealpost;" }), "{diagnostic}");
    }
    let untried = Case { lasts: vec![None], kind: Kind::Delay, ..Case::new(&["ann@example.net"], &[]) }.written();
    assert_eq!((untried.of_recipient(0, "Diagnostic-Code"), untried.of_recipient(0, "Status")), (None, Some("4.0.0".into())));
}

#[test]
fn people_read_why_and_what_to_do_once_for_all_whom_it_is_about() {
    let full = last(552, "5.2.2", "over quota");
    let tls = Last {
        text: "TLS policy \"required\" not met".into(),
        tls: Some("certificate-expired (2026-11-01)".into()),
        ..Last::default()
    };
    let mut case = Case::new(
        &["ann@b.test", "bob@b.test", "eve@b.test", "zoe@b.test"],
        &[full.clone(), tls, full, last(451, "4.3.0", "later")],
    );
    case.recipients[2].original = Some(address("root@example.com"));
    let words = case.written().words();
    for expected in [
        "ann@b.test eve@b.test (you wrote to root@example.com) mx.example.net said: 552 5.2.2 over quota The mailbox is full",
        "bob@b.test TLS policy \"required\" not met TLS: certificate-expired (2026-11-01) Nothing was sent",
        "What can be done: the server's operator must renew the certificate",
        "zoe@b.test mx.example.net said: 451 4.3.0 later This was to be a passing fault, but lasted too long.",
    ] {
        assert!(words.contains(expected), "{expected}: {words}");
    }
    let late = Case { kind: Kind::Delay, ..Case::new(&["ann@b.test"], &[last(451, "4.7.1", "greylisted")]) }.written();
    assert!(
        late.words().contains(
            "is late: it still waits for these recipients. You need not do anything: it is tried again until Sat, 28 Nov"
        )
    );
    assert!(!late.words().contains("passing fault"), "advice is for who failed: {}", late.words());
    assert!(late.header.contains("Subject: Delayed: Nightly report\r\n"));
    let passed = Case { kind: Kind::Relayed, ..Case::new(&["ann@b.test"], &[last(250, "2.0.0", "queued")]) }.written();
    assert!(passed.words().contains("to a server that sends no reports of success"));
    assert!(passed.header.contains("Subject: Passed on: Nightly report\r\n"));
}

#[test]
fn a_report_on_thousands_is_written_at_once() {
    let names: Vec<String> = (0..10_000).map(|n| format!("r{n}@example.net")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let lasts: Vec<Last> = names.iter().map(|name| last(550, "5.1.1", &format!("<{name}>: no such user"))).collect();
    let report = Case::new(&names, &lasts).written();
    assert_eq!(report.groups().len(), 10_001);
    assert!(report.words().contains("550 5.1.1 <r9999@example.net>: no such user"));
}

#[test]
fn the_whole_comes_back_only_where_it_is_asked_for_small_and_sound() {
    let kind = |case: &Case| {
        let report = case.written();
        (report.parts[2].0.split("\r\n").next().unwrap().to_owned(), report.parts[2].1.clone())
    };
    let full = || Case { ret: Some(Ret::Full), ..Case::new(&["ann@b.test"], &[last(550, "5.0.0", "no")]) };
    let whole = "Content-Type: message/rfc822";
    let header = "Content-Type: text/rfc822-headers";
    assert_eq!(kind(&full()), (whole.to_owned(), ORIGINAL.into()));
    let large =
        |octets: u64| [ORIGINAL.as_bytes(), &b"0123456789abcdef\r\n".repeat(usize::try_from(octets).unwrap() / 18)].concat();
    assert_eq!(kind(&Case { start: large(50_000), ..full() }).0, whole);
    let too_large = large(60_000);
    let start = too_large[..usize::try_from(RETURNED).unwrap()].to_vec();
    let binary = ORIGINAL.replace("well", "w\0ll").into_bytes();
    let header_only = ORIGINAL.split_inclusive("\r\n\r\n").next().unwrap().trim_end().to_owned() + "\r\n";
    for (case, why) in [
        (Case { ret: None, ..full() }, "not asked for"),
        (Case { ret: Some(Ret::Headers), ..full() }, "not wanted"),
        (Case { kind: Kind::Delay, ..full() }, "RET is about failures"),
        (Case { requiretls: true, ..full() }, "RFC 8689 5"),
        (Case { start, size: Some(too_large.len() as u64), ..full() }, "too large"),
        (Case { start: binary, ..full() }, "a NUL"),
        (Case { start: format!("{ORIGINAL}{}\r\n", "x".repeat(999)).into(), ..full() }, "a long line"),
        (Case { start: ORIGINAL.trim_end().into(), ..full() }, "the last line has no end"),
    ] {
        assert_eq!(kind(&case), (header.to_owned(), header_only.clone().into_bytes()), "{why}");
    }
    let utf8 = Case { start: ORIGINAL.replace("Nightly", "Nächtlicher").into(), ..full() };
    assert_eq!(kind(&utf8).0, header, "a header that is not ASCII");
    assert!(utf8.written().octets.is_ascii());

    let eight_bit = Case { start: ORIGINAL.replace("well", "übel").into(), ..full() };
    let report = eight_bit.written();
    assert!(report.header.contains("Content-Transfer-Encoding: 8bit\r\n") && report.parts[2].0.contains("8bit"), "{report:?}");
    assert_eq!(report.parts[2].1, eight_bit.start);
}
