//! Does a report keep its shape, whatever others say?

use super::*;

#[test]
fn the_boundary_is_one_that_the_message_does_not_have() {
    let lines: Vec<String> = (0..20).map(|n| format!("--report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-{n}\r\n")).collect();
    let start = format!("{ORIGINAL}{}", lines.concat()).into_bytes();
    let report =
        Case { ret: Some(Ret::Full), start: start.clone(), ..Case::new(&["a@b.test"], &[last(550, "5.0.0", "no")]) }.written();
    assert!(report.header.contains("boundary=\"report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-20\""), "{}", report.header);
    assert_eq!(report.parts[2].1, start);
}

#[test]
fn a_header_that_is_cut_ends_with_a_whole_line() {
    let long = format!("Subject: x\r\nX-Long: {}\r\n\r\n", "y ".repeat(100));
    let case =
        Case { start: long.as_bytes()[..60].to_vec(), size: Some(9_000_000), ..Case::new(&["a@b.test"], &[Last::default()]) };
    assert_eq!(case.written().part(2), "Subject: x\r\n");
    let nothing = Case { start: Vec::new(), size: Some(9_000_000), ..Case::new(&["a@b.test"], &[Last::default()]) }.written();
    assert_eq!(nothing.part(2), "");
    assert!(nothing.header.contains("Subject: Undelivered: your message\r\n") && !nothing.header.contains("References"));
}

#[test]
fn a_long_subject_is_cut_between_words() {
    let subject = |text: &str| {
        let start = format!("Subject: {text}\r\nTo: a@b\r\n\r\n").into_bytes();
        let header = Case { start, ..Case::new(&["a@b.test"], &[Last::default()]) }.written().header;
        let at = header.find("Subject: ").unwrap();
        header[at..header.find("\r\nMessage-ID").unwrap()].replace("\r\n ", " ")
    };
    assert_eq!(subject("=?utf-8?q?Gr=C3=BC=C3=9Fe?="), "Subject: Undelivered: =?utf-8?q?Gr=C3=BC=C3=9Fe?=");
    let words = subject(&"=?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n ".repeat(9));
    assert_eq!(words.matches("=?utf-8?q?Gr=C3=BC=C3=9Fe?=").count(), words.matches("=?").count(), "{words}");
    assert!(words.ends_with(" ..."));
    assert_eq!(subject(&"x".repeat(600)), "Subject: Undelivered: ...");
}

#[test]
fn an_address_that_is_not_ascii_is_escaped_and_the_report_stays_ascii() {
    let mut case = Case::new(&["jörg@müller.example"], &[last(550, "5.1.1", "Benutzer unbekannt: jörg")]);
    case.recipients[0].original = Some(address("\"a b\"@example.com"));
    let report = case.written();
    assert!(report.octets.is_ascii());
    assert_eq!(report.of_recipient(0, "Final-Recipient").as_deref(), Some("utf-8; j\\x{F6}rg@m\\x{FC}ller.example"));
    assert_eq!(report.of_recipient(0, "Original-Recipient").as_deref(), Some("rfc822; \"a b\"@example.com"));
    let diagnostic = report.of_recipient(0, "Diagnostic-Code").unwrap();
    assert!(diagnostic.starts_with("smtp; 550 5.1.1 Benutzer unbekannt: =?UTF-8?"), "{diagnostic}");

    let abroad = Case { to: address("jörg@müller.example"), ..case }.written();
    assert!(abroad.header.contains("\r\nTo: jörg@müller.example\r\n"), "the sender's own address is never another one");
    assert!(abroad.parts[1].1.is_ascii());
}

#[test]
fn a_server_that_is_no_host_is_not_named_to_programs() {
    for (words, named) in [
        ("192.0.2.1", true),
        ("[2001:db8::1]", true),
        ("/run/lmtp.sock", false),
        ("a b", false),
        ("x\r\nAction: failed", false),
        ("", false),
    ] {
        let report = Case { words: words.into(), ..Case::new(&["a@b.test"], &[last(550, "5.0.0", "no")]) }.written();
        assert_eq!(report.of_recipient(0, "Remote-MTA"), named.then(|| format!("dns; {words}")));
    }
}

/// Text that others could try.
fn foreign() -> impl Strategy<Value = String> {
    let pieces = select(vec![
        "\r\n",
        "\n",
        "\r",
        "\0",
        " ",
        "\t",
        "--report-01KAY2ZQ4M8V6W3T5R7X9Y1B2C-0",
        "--",
        "\r\n\r\n",
        "Bcc: evil@example.com",
        "Action: delivered",
        "=?utf-8?q?x?=",
        "=?",
        "\u{1b}[2J",
        "\u{202e}",
        "ü",
        "日本",
        ".",
        "From ",
        "(",
        "\"",
        "<a@b>",
        ";",
        "word",
        "Content-Type: text/html",
    ]);
    prop_oneof![vec(pieces, 0..12).prop_map(|pieces| pieces.concat()), any::<String>(), (1usize..1500).prop_map(|n| "x".repeat(n)),]
}

fn said() -> impl Strategy<Value = Last> {
    let code = option::of(select(vec![421u16, 450, 550, 554]));
    let enhanced =
        option::of((4u8..=5, 0u16..1000, 0u16..1000).prop_map(|(class, subject, detail)| Enhanced { class, subject, detail }));
    (code, enhanced, foreign(), option::of(foreign())).prop_map(|(code, enhanced, text, tls)| Last {
        code,
        enhanced,
        text,
        tls,
        ..Last::default()
    })
}

fn whom() -> impl Strategy<Value = Address> {
    let odd = any::<String>().prop_map(|local| format!("\"{}\"@example.net", local.replace(['"', '\\'], "")));
    let text = prop_oneof!["[a-z]{1,200}@[a-z]{1,60}\\.test", odd, "[ü+=\\-]{1,120}@ü\\.test"];
    text.prop_filter_map("an address", |text| Address::parse(&text).ok())
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let field =
        (select(vec!["Subject", "Message-ID", "X", "To"]), foreign()).prop_map(|(name, value)| format!("{name}: {value}\r\n"));
    (vec(field, 0..5), foreign()).prop_map(|(fields, body)| format!("{}\r\n{body}\r\n", fields.concat()).into_bytes())
}

proptest! {
    #[test]
    fn nothing_that_others_say_changes_the_shape_of_a_report(
        to in whom(),
        told in vec((whom(), option::of(whom()), option::of(said())), 1..5),
        words in foreign(),
        start in prop_oneof![message(), vec(any::<u8>(), 0..300)],
        kind in select(vec![Kind::Failure, Kind::Delay, Kind::Relayed]),
        ret in option::of(select(vec![Ret::Full, Ret::Headers])),
        more in 0u64..2,
    ) {
        let recipients: Vec<Recipient> = told.iter().map(|(address, original, _)| Recipient { address: address.clone(), original: original.clone(), notify: None }).collect();
        let lasts = told.into_iter().map(|(_, _, last)| last).collect();
        let size = Some(start.len() as u64 + more);
        let case = Case { kind, to, ret, requiretls: false, recipients, lasts, start, size, words };
        let report = case.written();

        let names: Vec<&str> = report.header.split("\r\n").filter(|line| !line.starts_with(' ')).map(|line| line.split(':').next().unwrap()).filter(|name| !name.is_empty()).collect();
        let known = ["Date", "From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"];
        prop_assert!(names.iter().all(|name| known.contains(name)), "{:?}", names);
        prop_assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), names.len(), "{:?}", names);

        let groups = report.groups();
        prop_assert_eq!(groups.len(), case.recipients.len() + 1);
        prop_assert!(report.parts[1].1.is_ascii());
        for (n, group) in groups[1..].iter().enumerate() {
            prop_assert_eq!(group.iter().filter(|(name, _)| name == "Action").count(), 1);
            let last = case.lasts[n].is_some();
            let expected = 3 + usize::from(case.recipients[n].original.is_some()) + usize::from(last) + 1;
            let optional = ["Remote-MTA", "X-Sealpost-TLS", "Will-Retry-Until"];
            prop_assert_eq!(group.iter().filter(|(name, _)| !optional.contains(&name.as_str())).count(), expected, "{:?}", group);
        }

        let crs = memchr::memchr_iter(b'\r', &report.octets).count();
        prop_assert_eq!(memmem::find_iter(&report.octets, b"\r\n").count(), crs);
        prop_assert_eq!(memchr::memchr_iter(b'\n', &report.octets).count(), crs);
        let is_whole = report.parts[2].0.contains("message/rfc822");
        prop_assert!(is_whole || !report.octets.iter().any(|octet| matches!(octet, 0..=8 | 11 | 12 | 14..=31 | 127)));
        for line in report.octets.split(|octet| *octet == b'\n') {
            prop_assert!(line.len() <= 999, "{} octets", line.len());
        }
        let allowed = case.to.needs_smtputf8() || is_whole;
        prop_assert!(allowed || report.octets.is_ascii());
        if is_whole {
            prop_assert_eq!(&report.parts[2].1, &case.start);
        }
    }
}
