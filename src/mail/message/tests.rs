//! Is added what is missing, removed what must not leave, and the rest left alone?

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::mail::header::Opening;

/// What the caller gives, and which of it was asked for.
struct Caller {
    asked: RefCell<Vec<&'static str>>,
    gateway: bool,
    replace_from: Option<&'static str>,
}

impl Caller {
    fn new() -> Self {
        Self { asked: RefCell::default(), gateway: false, replace_from: None }
    }

    fn complete(&self, input: &[u8]) -> Result<Completed, Error> {
        self.complete_with(input, &|text| format!("[{}]", text.replace('ü', "ue")))
    }

    fn complete_with(&self, input: &[u8], unstructured: &dyn Fn(&str) -> String) -> Result<Completed, Error> {
        let mut opening = Opening::default();
        let start = opening.push(input).unwrap().unwrap_or_else(|| opening.finish());
        let give = |what: &'static str, value: &str| {
            self.asked.borrow_mut().push(what);
            value.to_owned()
        };
        complete(
            &start.header,
            &Completion {
                trace: None,
                date: &|| give("date", "DATE"),
                message_id: &|| give("id", "<ID>"),
                from: &|| give("from", "Me <me@x>"),
                replace_from: self.replace_from,
                qualify: &|list| list.contains("root").then(|| list.replace("root", "root@x")),
                unstructured,
                phrase: &|text| format!("[{}]", text.replace('ü', "ue")),
                gateway: self.gateway,
            },
        )
    }
}

fn completed(input: &str) -> String {
    latin(&Caller::new().complete(input.as_bytes()).unwrap().text)
}

fn latin(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().copied().map(char::from).collect()).replace("\r\n", "\n")
}

const FULL: &str = "Date: d\nFrom: a@x\nMessage-ID: <m>\n";

#[test]
fn what_is_missing_is_added_at_the_top_and_nothing_twice() {
    let table = [
        ("", "Date: DATE\nFrom: Me <me@x>\nMessage-ID: <ID>\n"),
        ("Subject: s\n\n", "Date: DATE\nFrom: Me <me@x>\nMessage-ID: <ID>\nSubject: s\n"),
        ("date: d\nFROM: a@x\nmessage-id: <m>\n\n", "date: d\nFROM: a@x\nmessage-id: <m>\n"),
        ("Subject: s\nfrom:\nTo: b@x\n\n", "Date: DATE\nFrom: Me <me@x>\nMessage-ID: <ID>\nSubject: s\nTo: b@x\n"),
        ("From: \n \nDate: d\n\n", "From: Me <me@x>\nMessage-ID: <ID>\nDate: d\n"),
        (
            "From: a@x\nFrom: b@x\nDate: bad\nDate: worse\nMessage-ID: no\n\n",
            "From: a@x\nFrom: b@x\nDate: bad\nDate: worse\nMessage-ID: no\n",
        ),
        // sent again: the originals stay as they are
        (
            "Resent-To: b@x\nSubject: s\n\n",
            "Resent-Date: DATE\nResent-From: Me <me@x>\nResent-Message-ID: <ID>\nResent-To: b@x\nSubject: s\n",
        ),
        ("resent-from: c@x\nFrom: a@x\n\n", "Resent-Date: DATE\nResent-Message-ID: <ID>\nresent-from: c@x\nFrom: a@x\n"),
        (
            "Resent-From: c@x\nResent-Date: d\nResent-Message-ID: <m>\nTo: b@x\n\n",
            "Resent-From: c@x\nResent-Date: d\nResent-Message-ID: <m>\nTo: b@x\n",
        ),
    ];
    for (input, want) in table {
        assert_eq!(completed(input), want, "{input:?}");
    }
}

#[test]
fn nothing_is_computed_for_a_complete_header() {
    let caller = Caller::new();
    caller.complete(format!("{FULL}\n").as_bytes()).unwrap();
    assert!(caller.asked.borrow().is_empty());
    caller.complete(b"From: a@x\nMessage-ID: <m>\n\n").unwrap();
    assert_eq!(*caller.asked.borrow(), ["date"]);
}

#[test]
fn blind_recipients_and_stale_fields_leave_however_they_are_written() {
    let input = format!(
        "{FULL}Bcc: a@x\nBCC :\n b@x,\n\tc@x\nbcc:\nSubject: s\nResent-bcc: d@x\nReturn-Path: <r@p>\ncontent-length : 5\nLines: 3\n\n"
    );
    let out = completed(&input);
    assert!(out.ends_with(&format!("{FULL}Subject: s\nLines: 3\n")), "{out}");
    for gone in ["b@x", "c@x", "d@x", "r@p", "cc"] {
        assert!(!out.contains(gone), "{gone} in {out}");
    }
    let caller = Caller { gateway: true, ..Caller::new() };
    assert_eq!(
        caller.complete(input.as_bytes()).unwrap().text,
        format!("{FULL}Subject: s\nLines: 3\n").replace('\n', "\r\n").as_bytes()
    );
}

#[test]
fn other_fields_keep_their_bytes_and_their_order() {
    let input = format!(
        "Received: by x;\n\td\nX-odd:no space\nSENDER:  s@x  \nErrors-To: e@x\nFull-Name: n\nStatus: R\n{FULL}To: a@x,\n\tb@x\n"
    );
    assert_eq!(completed(&format!("{input}\n")), input);
}

#[test]
fn bare_names_are_qualified_in_address_fields_only() {
    let fields = ["To", "cc", "From", "Sender", "Reply-To", "Resent-To", "Resent-Cc", "Resent-From", "Resent-Sender"];
    for name in fields {
        assert!(
            completed(&format!("Resent-Date: d\n{name}: root,\n b@x\n\n")).contains(&format!("{name}: root@x, b@x\n")),
            "{name}"
        );
    }
    assert!(completed("Subject: root\n\n").contains("Subject: root\n"));
    assert!(completed("DKIM-Signature: v=1\nTo: root\n\n").contains("To: root\n"));
    let caller = Caller { gateway: true, ..Caller::new() };
    assert_eq!(caller.complete(b"To: root\n\n").unwrap().text, b"To: root\r\n");
}

#[test]
fn from_is_replaced_in_its_place_or_added() {
    let caller = Caller { replace_from: Some("New <n@x>"), ..Caller::new() };
    let out = |input: &str| latin(&caller.complete(input.as_bytes()).unwrap().text);
    assert_eq!(
        out("Date: d\nFrom: a@x,\n b@x\nFrom: c@x\nMessage-ID: <m>\n\n"),
        "Date: d\nFrom: New <n@x>\nReply-To: a@x, b@x\nMessage-ID: <m>\n"
    );
    assert_eq!(out("Date: d\nFrom:\nMessage-ID: <m>\n\n"), "Date: d\nFrom: New <n@x>\nMessage-ID: <m>\n");
    assert_eq!(out("Date: d\nMessage-ID: <m>\n\n"), "From: New <n@x>\nDate: d\nMessage-ID: <m>\n");
    assert!(caller.asked.borrow().is_empty());
}

#[test]
fn answers_still_go_to_the_author_who_was_replaced_and_no_third_one_is_named() {
    let caller = Caller { replace_from: Some("n@x"), ..Caller::new() };
    let out = |input: &str| {
        let text = latin(&caller.complete(format!("Date: d\nMessage-ID: <m>\n{input}\n").as_bytes()).unwrap().text);
        text.strip_prefix("Date: d\nMessage-ID: <m>\n").unwrap().to_owned()
    };
    assert_eq!(out("From: A <a@y>\nSender: s@y\n"), "From: n@x\nReply-To: A <a@y>\n");
    assert_eq!(out("From: A <a@y>\nReply-To: list@y\n"), "From: n@x\nReply-To: list@y\n");
    assert_eq!(out("From: J\u{fc}rgen <j@y>\n"), "From: n@x\nReply-To: [Juergen] <j@y>\n");
    for nobody in ["root (Cron Daemon)", "root@localhost", "a@y, root", "<>", "a@y b", ""] {
        assert_eq!(out(&format!("From: {nobody}\n")), "From: n@x\n", "{nobody}");
    }
    assert_eq!(
        completed("From: a@x\nSender: s@y\nDate: d\nMessage-ID: <m>\n\n"),
        "From: a@x\nSender: s@y\nDate: d\nMessage-ID: <m>\n"
    );
}

#[test]
fn text_that_is_not_ascii_is_encoded_where_the_field_allows_it() {
    let table: &[(&[u8], &str, bool)] = &[
        (b"Subject: f\xc3\xbcr\n dich\n\n", "Subject: [fuer dich]\n", false),
        (b"Subject: f\xfcr\n\n", "Subject: [fuer]\n", false),
        (b"X-Note: \xfc\n\n", "X-Note: [ue]\n", false),
        (b"To: J\xc3\xbcrgen <j@x>, b@x\n\n", "To: [Juergen] <j@x>, b@x\n", false),
        (b"Cc: j@x (J\xfcrgen), root\n\n", "Cc: j@x ([Juergen]), root@x\n", false),
        (b"To: \xc3\xbc@x\n\n", "To: ü@x\n", true),
        (b"Content-Type: text/plain; name=\"\xc3\xbc\"\n\n", "Content-Type: text/plain; name=\"ü\"\n", true),
        (b"DKIM-Signature: v=1\nSubject: \xc3\xbc\n\n", "DKIM-Signature: v=1\nSubject: ü\n", true),
    ];
    for (input, want, eight_bit) in table {
        let out = Caller::new().complete(input).unwrap();
        assert!(latin(&out.text).ends_with(want), "{}", latin(&out.text));
        assert_eq!(out.eight_bit, *eight_bit, "{want}");
    }
    let caller = Caller { gateway: true, ..Caller::new() };
    let out = caller.complete(b"Subject: \xfc\n\n").unwrap();
    assert_eq!((&out.text[..], out.eight_bit), (&b"Subject: \xfc\r\n"[..], true));
}

#[test]
fn a_long_line_is_folded_or_said_in_a_way_that_can_be_and_refused_only_where_its_grammar_knows_none() {
    let out = completed(&format!("{FULL}X-Long: {}\n\n", "word ".repeat(600)));
    assert!(out.lines().all(|l| l.len() <= 998) && out.lines().count() > 5);
    let lists = ["a@x,".repeat(500), format!("\"{}\" <a@x>,b@x", "q,".repeat(200)).repeat(4)];
    for gateway in [false, true] {
        let caller = Caller { gateway, ..Caller::new() };
        for list in &lists {
            let out = latin(&caller.complete(format!("{FULL}To: {list}\n\n").as_bytes()).unwrap().text);
            assert!(out.lines().all(|l| l.len() <= 998));
            let value: String = out.split_once("To: ").unwrap().1.lines().map(str::trim).collect();
            assert_eq!(value.replace(' ', ""), list.replace(' ', ""));
        }
    }
    let field = |name: &str| {
        let message = format!("{FULL}{name}: {}\n\n", "a".repeat(1000));
        Caller::new().complete_with(message.as_bytes(), &crate::mail::words::unstructured)
    };
    for name in ["Subject", "X-Cron-Env"] {
        let out = latin(&field(name).unwrap().text);
        assert!(out.contains(&format!("{name}: =?UTF-8?Q?aaa")) && out.lines().all(|l| l.len() <= 78), "{out}");
    }
    for name in ["References", "DKIM-Signature"] {
        let error = field(name).unwrap_err();
        assert_eq!(error.exit(), Exit::DataErr);
        assert!(error.summary().contains(&format!("{name} has a line over 998")), "{error}");
    }
}

#[test]
fn fifty_hops_pass_and_fifty_one_are_a_loop() {
    let hops = |n: usize| Caller::new().complete(format!("{}\n", "received: by x\n".repeat(n)).as_bytes());
    assert!(hops(50).is_ok());
    let error = hops(51).unwrap_err();
    assert_eq!(error.exit(), Exit::DataErr);
    assert!(error.summary().contains("mail loop"), "{error}");
}

#[test]
fn a_value_with_line_breaks_stays_one_field() {
    let mut opening = Opening::default();
    let start = opening.finish();
    let evil = || "x\r\nBcc: evil@x\n\nbody".to_owned();
    let none = |_: &str| None;
    let same = str::to_owned;
    let with = Completion {
        trace: None,
        date: &evil,
        message_id: &evil,
        from: &evil,
        replace_from: None,
        qualify: &none,
        unstructured: &same,
        phrase: &same,
        gateway: false,
    };
    let out = latin(&complete(&start.header, &with).unwrap().text);
    assert_eq!(out.lines().filter(|l| !l.starts_with(' ')).count(), 3, "{out}");
}

proptest! {
    #[test]
    fn whatever_comes_in_the_outcome_is_a_header(input in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "((Bcc|To|From|Subject|Resent-To|X) ?:[ aü\"<(,\r]{0,8}\n?[ \t]?){0,6}\n\n".prop_map(String::into_bytes),
    ]) {
        let out = Caller::new().complete(&input).unwrap().text;
        let mut opening = Opening::default();
        let mut whole = out.clone();
        whole.extend_from_slice(b"\r\n");
        let start = opening.push(&whole).unwrap().unwrap();
        prop_assert_eq!(start.body, whole.len());
        let names: Vec<String> = start.header.fields().map(|f| f.name.to_ascii_lowercase()).collect();
        prop_assert!(!names.iter().any(|n| n.ends_with("bcc") || n == "return-path" || n == "content-length"));
        prop_assert!(names.iter().any(|n| n == "message-id" || n == "resent-message-id"));
    }
}

#[test]
fn tls_is_waived_by_one_field_that_says_no_and_by_nothing_else() {
    let waives = |field: &str| Caller::new().complete(format!("{field}From: a@b\n\nTLS-Required: No\n").as_bytes()).unwrap();
    for field in
        ["TLS-Required: No\n", "tls-required:NO\n", "TLS-REQUIRED:  no \n", "TLS-Required:\n No\n", "TLS-Required : No\r\n"]
    {
        let completed = waives(field);
        assert!(completed.tls_waived, "{field:?}");
        assert!(latin(&completed.text).to_ascii_lowercase().contains("tls-required:"), "it stays in the message: {field:?}");
    }
    for field in [
        "",
        "TLS-Required: Yes\n",
        "TLS-Required:\n",
        "TLS-Required: No (really)\n",
        "TLS-Required: \"No\"\n",
        "TLS-Required: No, No\n",
        "TLS-Required: N\n o\n",
        "TLS-Required: None\n",
        "TLS-Required: No\nTLS-Required: No\n",
        "TLS-Required: Yes\nTLS-Required: No\n",
        "X-TLS-Required: No\n",
        "Subject: x\n TLS-Required: No\n",
    ] {
        assert!(!waives(field).tls_waived, "{field:?}");
    }
}
