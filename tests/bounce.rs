//! Can the programs of others read our reports, whatever servers and senders wrote into them? (RFC 3464, 6522)
//!
//! Python's `email` module takes them apart. Without python3, which `tests/run` installs, the tests say that they were skipped; with
//! `CI=true` that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

mod common;

use std::{collections::BTreeMap, io::ErrorKind, process::Command};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{Scratch, needs::skip};
use sealpost::{
    host::store::{Input, Intake, Message, Options},
    mail::{
        address::Address,
        bounce::{Kind, Notice, Told, Whom, write},
        content::{Content as _, Form},
        envelope::{Recipient, Ret},
        outcome::Enhanced,
        queued::Last,
    },
};
use serde_json::Value;

/// What others could try, in replies, header fields and names.
const FOREIGN: [&str; 18] = [
    "550 plain words",
    "",
    "\r\nBcc: evil@example.com\r\n\r\nbody",
    "\n\nAction: delivered\nStatus: 2.0.0",
    "\r\n--report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-0--\r\n",
    "--report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-0\r\nContent-Type: text/html\r\n\r\n<b>",
    "report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-0 report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-1",
    "\0\u{1b}[2J\u{7f}",
    "\u{202e}gnidaelsim\u{200b}",
    "Grüße aus Köln, 日本語 🦀",
    "=?utf-8?q?already_encoded?= =?utf-8?b?",
    "(unbalanced \"quote <angle;",
    "From the start. .\r\n.\r\n",
    "\u{85}\u{2028}next line",
    "caf\u{e9}\tferm\u{e9}  two  spaces ",
    ";;; , : @ [ ] \\",
    "Content-Transfer-Encoding: base64",
    "trailing =\r\n",
];

/// A report to be written.
struct Case {
    kind: Kind,
    to: Address,
    ret: Option<Ret>,
    recipients: Vec<Recipient>,
    last: Last,
    start: Vec<u8>,
}

impl Case {
    fn new(text: &str, start: impl Into<Vec<u8>>) -> Self {
        let enhanced = Some(Enhanced { class: 5, subject: 7, detail: 1 });
        Self {
            kind: Kind::Failure,
            to: address("cron@example.com"),
            ret: None,
            recipients: vec![
                Recipient { address: address("ann@example.net"), original: Some(address("root@example.com")), notify: None },
                Recipient { address: address("jörg@müller.example"), original: None, notify: None },
            ],
            last: Last { code: Some(550), enhanced, text: text.to_owned(), tls: None, ..Last::default() },
            start: start.into(),
        }
    }

    fn written(&self) -> Vec<u8> {
        let from = address("MAILER-DAEMON@example.com");
        let tell = |recipient| Told {
            whom: Whom::Recipient(recipient),
            last: Some(&self.last),
            server: Some("mx.example.net"),
            tried: Some("Sat, 28 Nov 2026 22:53:01 +0000"),
        };
        let told: Vec<Told<'_>> = self.recipients.iter().map(tell).collect();
        let notice = Notice {
            kind: self.kind,
            id: "01KAY2ZQ4M8V6W3T5R7X9Y1B2C",
            message_id: "<01KB.report@example.com>",
            date: "Sat, 28 Nov 2026 22:53:02 +0000",
            host: "host.example.com",
            from: &from,
            to: &self.to,
            envid: Some("QQ314 159+x=y"),
            ret: self.ret,
            requiretls: false,
            arrived: "Mon, 23 Nov 2026 22:53:01 +0000",
            until: Some("Sat, 28 Nov 2026 22:53:01 +0000"),
            recipients: &told,
            start: &self.start,
            size: self.start.len() as u64,
        };
        write(&notice).unwrap()
    }
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

/// A message as sealpost keeps it, with `text` as its subject; whatever is in that, the header is one.
fn message(text: &str, body: &str) -> Vec<u8> {
    let subject: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!(
        "Received: by host.example.com\r\nDate: Mon, 23 Nov 2026 22:53:01 +0000\r\nFrom: Cron <cron@example.com>\r\n\
         Message-ID: <report.1@example.com>\r\nTo: ann@example.net\r\nSubject: {subject}\r\n\r\n{body}\r\n"
    )
    .into_bytes()
}

/// Text as a body that begins with it, in lines that end in CRLF.
fn lines(text: &str) -> String {
    text.split(['\r', '\n']).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\r\n")
}

/// What Python finds in each; `None`, after a word on it, where there is no Python.
fn read(reports: &[Vec<u8>]) -> Option<Vec<Value>> {
    let scratch = Scratch::new();
    for (number, report) in reports.iter().enumerate() {
        scratch.write(&format!("{number:04}.eml"), report);
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bounce/read.py");
    let output = match Command::new("python3").arg(script).arg(scratch.path()).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skip("python3 is not installed (tests/run installs it)");
            return None;
        }
        output => output.unwrap(),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found.len(), reports.len());
    Some(found)
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// Fields by their names, each of which is there once.
fn by_name(fields: &Value) -> BTreeMap<String, String> {
    let pairs: Vec<(String, String)> = serde_json::from_value(fields.clone()).unwrap();
    let map: BTreeMap<String, String> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "a field is there twice: {pairs:?}");
    map
}

/// What is true of every report.
fn examine(case: &Case, found: &Value) {
    let none = Value::Array(Vec::new());
    assert_eq!((&found["type"], &found["report_type"]), (&"multipart/report".into(), &"delivery-status".into()));
    assert_eq!((&found["defects"], &found["header_defects"]), (&none, &none), "{found}");
    // Nothing stands outside the parts.
    assert!(found["preamble"].is_null() && found["epilogue"].as_str().unwrap_or_default().is_empty(), "{found}");
    let header = by_name(&found["fields"]);
    assert_eq!(header["To"], case.to.to_string());
    assert_eq!(header["From"], "Mail Delivery System <MAILER-DAEMON@example.com>");
    assert_eq!((header["Auto-Submitted"].as_str(), header["In-Reply-To"].as_str()), ("auto-replied", "<report.1@example.com>"));
    assert!(!header.contains_key("Bcc"));
    let parts = found["parts"].as_array().unwrap();
    assert_eq!(parts.len(), 3, "{found}");
    assert!(parts.iter().all(|part| part["defects"] == none), "{found}");
    let words = String::from_utf8(decoded(&parts[0]["octets"])).unwrap();
    assert_eq!(parts[0]["type"], "text/plain");
    assert!(case.recipients.iter().all(|recipient| words.contains(&recipient.address.to_string())), "{words}");
    assert!(!words.contains(['\0', '\u{1b}', '\u{202e}', '\u{2028}']), "{words:?}");
    examine_status(case, &parts[1]);
}

fn examine_status(case: &Case, part: &Value) {
    assert_eq!((&part["type"], &part["encoding"]), (&"message/delivery-status".into(), &"7bit".into()));
    let groups = part["groups"].as_array().unwrap();
    assert_eq!(groups.len(), case.recipients.len() + 1, "{part}");
    let about = by_name(&groups[0]);
    assert_eq!(about.keys().collect::<Vec<_>>(), ["Arrival-Date", "Original-Envelope-Id", "Reporting-MTA", "X-Sealpost-Id"]);
    assert_eq!(
        (about["Original-Envelope-Id"].as_str(), about["Reporting-MTA"].as_str()),
        ("QQ314 159+x=y", "dns; host.example.com")
    );
    let action = match case.kind {
        Kind::Failure | Kind::Stray => "failed",
        Kind::Delay => "delayed",
        Kind::Relayed => "relayed",
    };
    for (group, final_recipient) in groups[1..].iter().zip(["rfc822; ann@example.net", "utf-8; j\\x{F6}rg@m\\x{FC}ller.example"]) {
        let group = by_name(group);
        assert_eq!((group["Action"].as_str(), group["Final-Recipient"].as_str()), (action, final_recipient));
        assert!(group["Diagnostic-Code"].starts_with("smtp; 550 5.7.1"), "{group:?}");
        let known =
            ["Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code", "Last-Attempt-Date"];
        assert!(group.keys().all(|name| known.contains(&name.as_str()) || name == "Will-Retry-Until"), "{group:?}");
    }
    assert_eq!(by_name(&groups[1]).get("Original-Recipient").map(String::as_str), Some("rfc822; root@example.com"));
    assert!(!by_name(&groups[2]).contains_key("Original-Recipient"));
}

#[test]
fn another_parser_finds_three_parts_and_the_right_fields_whatever_the_text() {
    let mut cases = Vec::new();
    for (n, said) in FOREIGN.iter().enumerate() {
        for (m, subject) in FOREIGN.iter().enumerate() {
            let kind = [Kind::Failure, Kind::Delay, Kind::Relayed][(n + m) % 3];
            let ret = [None, Some(Ret::Full)][(n + m) % 2];
            cases.push(Case { kind, ret, ..Case::new(said, message(subject, &lines(said))) });
        }
    }
    let reports: Vec<Vec<u8>> = cases.iter().map(Case::written).collect();
    let Some(found) = read(&reports) else { return };
    for (case, found) in cases.iter().zip(&found) {
        examine(case, found);
        let last = &found["parts"][2];
        let header_end = memchr::memmem::find(&case.start, b"\r\n\r\n").unwrap() + 2;
        let (header, body) = case.start.split_at(header_end);
        let wants_whole = case.kind == Kind::Failure && case.ret == Some(Ret::Full);
        if wants_whole && header.is_ascii() && !body.contains(&0) {
            assert_eq!((&last["type"], decoded(&last["inner"]["body"])), (&"message/rfc822".into(), body[2..].to_vec()));
        } else {
            assert_eq!((&last["type"], decoded(&last["octets"])), (&"text/rfc822-headers".into(), header.to_vec()));
        }
    }
}

#[test]
fn what_a_server_said_and_the_subject_can_be_read_again() {
    let said = "Grüße aus Köln, 日本語 🦀 (see https://example.com/?a=b)";
    let case = Case::new(said, message("Bericht über Köln", "x"));
    let Some(found) = read(&[case.written()]) else { return };
    examine(&case, &found[0]);
    assert_eq!(by_name(&found[0]["fields"])["Subject"], "Undelivered: Bericht über Köln");
    let words = String::from_utf8(decoded(&found[0]["parts"][0]["octets"])).unwrap();
    assert!(words.split_whitespace().collect::<Vec<_>>().join(" ").contains(said), "{words}");
    let diagnostic = &by_name(&found[0]["parts"][1]["groups"][1])["Diagnostic-Code"];
    assert_eq!(diagnostic, &format!("smtp; 550 5.7.1 {said}"));
}

fn octets(message: &mut Message, form: Form) -> Vec<u8> {
    let size = message.rewind(form).unwrap();
    let mut out = Vec::new();
    while !message.fill(&mut out, 4096).unwrap() {}
    assert_eq!(out.len() as u64, size);
    out
}

#[test]
fn a_report_goes_the_way_of_any_mail_as_it_is() {
    let plain = Case::new("550 no", message("report", "all is well"));
    let long = Case { ret: Some(Ret::Full), ..Case::new(&"x".repeat(900), message("report", "all is well")) };
    let eight_bit = Case { ret: Some(Ret::Full), ..Case::new("nö", message("report", "Grüße")) };
    let mut seven = Vec::new();
    for (case, is_eight_bit) in [(&plain, false), (&long, false), (&eight_bit, true)] {
        let report = case.written();
        let options = Options { limit: 1 << 20, ignore_dots: true, temp_dir: None };
        let draft = Intake::read(Input::Stream(&mut report.as_slice()), &options).unwrap();
        let mut message = draft.as_it_is().unwrap();
        assert_eq!(message.facts().eight_bit, is_eight_bit);
        assert!(octets(&mut message, Form::EightBit) == report, "it was changed");
        seven.push(octets(&mut message, Form::SevenBit));
    }
    assert!(seven.iter().all(|report| report.is_ascii()));
    let Some(found) = read(&seven) else { return };
    for (case, found) in [plain, long, eight_bit].iter().zip(&found) {
        examine(case, found);
    }
    assert_eq!(decoded(&found[2]["parts"][2]["inner"]["body"]), "Grüße\r\n".as_bytes(), "re-encoded for a server without 8BITMIME");
}
