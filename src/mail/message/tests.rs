//! Is added what is missing, removed what must not leave, and the rest left alone?

use std::cell::RefCell;

use proptest::prelude::*;

use super::*;
use crate::mail::{address::Address, header::Opening};

/// What the caller gives, and which of it was asked for.
struct Caller {
    asked: RefCell<Vec<&'static str>>,
    gateway: bool,
    /// Only addresses at x, and bare names, may stand in From.
    strict: bool,
}

impl Caller {
    fn new() -> Self {
        Self { asked: RefCell::default(), gateway: false, strict: false }
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
        let address = Address::parse("shop@x").unwrap();
        let covers = |spec: &Spec| spec.domain().is_none_or(|domain| domain == "x");
        let authority = Authority { covers: &covers, address: &address, author: &|address| format!("Me <{address}>") };
        complete(
            &start.header,
            &Completion {
                trace: None,
                date: &|| give("date", "DATE"),
                message_id: &|| give("id", "<ID>"),
                from: &|| give("from", "Me <me@x>"),
                authority: self.strict.then_some(authority),
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
        ("Date:\nmessage-id: \nFrom:\nReply-To:\n\n", "Date: DATE\nFrom: Me <me@x>\nMessage-ID: <ID>\nReply-To:\n"),
        (
            "DKIM-Signature: v=1\nFrom: a@x\nDate:\nMessage-ID: <m>\n\n",
            "Date: DATE\nDKIM-Signature: v=1\nFrom: a@x\nMessage-ID: <m>\n",
        ),
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
        (
            "Resent-To: b@x\nResent-From:\nFrom: \nDate: d\n\n",
            "Resent-Date: DATE\nResent-From: Me <me@x>\nResent-Message-ID: <ID>\nResent-To: b@x\nFrom: \nDate: d\n",
        ),
        // what an older resending said is not ours
        (
            "Resent-To: b@x\nReceived: y\nResent-Date:\nResent-From: old@x\nResent-Message-ID: <old>\n\n",
            "Resent-Date: DATE\nResent-From: Me <me@x>\nResent-Message-ID: <ID>\nResent-To: b@x\nReceived: y\nResent-Date:\n\
             Resent-From: old@x\nResent-Message-ID: <old>\n",
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

/// What a strict provider's account makes of a header that has a date and a name.
fn strict(input: &str) -> String {
    let caller = Caller { strict: true, ..Caller::new() };
    let text = latin(&caller.complete(format!("Date: d\nMessage-ID: <m>\n{input}\n").as_bytes()).unwrap().text);
    text.replacen("Date: d\nMessage-ID: <m>\n", "", 1)
}

#[test]
fn an_author_who_may_not_stand_in_from_is_replaced_in_its_place_and_once() {
    for (input, expected) in [
        ("From: root (Cron Daemon)\n", "From: root@x (Cron Daemon)\n"),
        ("From: A <a@x>,\n b@x\n", "From: A <a@x>,\n b@x\n"),
        ("From: A <a@y>\nTo: b@y\n", "From: A <shop@x>\nReply-To: A <a@y>\nTo: b@y\n"),
        ("From: J\u{fc} <j@y>\n", "From: [Jue] <shop@x>\nReply-To: [Jue] <j@y>\n"),
        ("From: a@x,\n b@y\n", "From: Me <shop@x>\nReply-To: a@x, b@y\n"),
        ("From: a@x\nTo: b@y\nFrom: b@y\n", "From: Me <shop@x>\nReply-To: a@x\nTo: b@y\n"),
        ("From:\nTo: b@y\n", "From: Me <shop@x>\nTo: b@y\n"),
        ("From: who knows\n", "From: Me <shop@x>\n"),
        ("To: b@y\n", "From: Me <me@x>\nTo: b@y\n"),
        ("DKIM-Signature: v=1\nFrom: a@y\nTo: b\n", "DKIM-Signature: v=1\nFrom: Me <shop@x>\nReply-To: a@y\nTo: b\n"),
    ] {
        assert_eq!(strict(input), expected, "{input}");
    }
    let gateway = Caller { strict: true, gateway: true, ..Caller::new() };
    assert_eq!(latin(&gateway.complete(b"From: a@y\nSender: s@y\n\n").unwrap().text), "From: Me <shop@x>\n");
}

#[test]
fn answers_still_go_to_the_author_who_was_replaced() {
    for (input, expected) in [
        ("From: a@y\nReply-To: list@y\n", "From: Me <shop@x>\nReply-To: list@y\n"),
        ("Reply-To:\nFrom: a@y\n", "From: Me <shop@x>\nReply-To: a@y\n"),
        ("From: a@x\nReply-To:\n", "From: a@x\nReply-To:\n"),
    ] {
        assert_eq!(strict(input), expected, "{input}");
    }
    for nobody in ["root@localhost", "a@y, root", "<>", "a@y b", ""] {
        assert!(!strict(&format!("From: {nobody}\n")).contains("Reply-To"), "{nobody}");
    }
}

#[test]
fn a_sender_of_whom_the_provider_knows_nothing_leaves() {
    for (input, expected) in [
        ("From: a@y\nSender: b@x\n", "From: Me <shop@x>\nReply-To: a@y\n"),
        ("From: a@x\nSender: s@y\n", "From: a@x\n"),
        ("From: a@x\nSender: b@x\n", "From: a@x\nSender: b@x\n"),
    ] {
        assert_eq!(strict(input), expected, "{input}");
    }
    assert_eq!(completed(&format!("{FULL}Sender: s@y\n\n")), format!("{FULL}Sender: s@y\n"));
}

#[test]
fn who_sends_a_message_again_is_held_to_the_same_and_older_journeys_stay_as_they_are() {
    let made = "Resent-Date: DATE\nResent-Message-ID: <ID>\n";
    for (input, expected) in [
        ("Resent-From: R <r@y>\nResent-Sender: s@y\nFrom: a@x\n", "Resent-From: R <shop@x>\nFrom: a@x\n"),
        ("Resent-From: r@x\nResent-Sender: s@y\nFrom: a@x\n", "Resent-From: r@x\nFrom: a@x\n"),
        ("Resent-From: r@x\nFrom: A <a@y>\n", "Resent-From: r@x\nFrom: A <shop@x>\nReply-To: A <a@y>\n"),
        (
            "Resent-From: r@y\nReceived: x\nResent-From: o@y\nResent-Sender: p@y\nFrom: a@x\n",
            "Resent-From: Me <shop@x>\nReceived: x\nResent-From: o@y\nResent-Sender: p@y\nFrom: a@x\n",
        ),
    ] {
        assert_eq!(strict(input), format!("{made}{expected}"), "{input}");
    }
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
        authority: None,
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
