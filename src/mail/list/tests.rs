//! Does the address-list parser take what people write, and nothing else?

use proptest::prelude::*;

use super::*;
use crate::mail::address::Address;

/// `spec, spec | fault text: error`, the shape the tables below expect.
fn shown(list: &List) -> String {
    let spec = |m: &Mailbox| format!("{}{}", if m.verbatim { "\\" } else { "" }, m.spec);
    let mut text = list.mailboxes.iter().map(spec).collect::<Vec<_>>().join(", ");
    for fault in &list.faults {
        text.push_str(&format!(" | {}: {:?}", fault.text, fault.error));
    }
    text
}

#[test]
fn a_list_names_its_addressees_and_never_more() {
    for (text, expected) in [
        ("", ""),
        ("a@x", "a@x"),
        ("a@x,b@y", "a@x, b@y"),
        ("a@x, b@y", "a@x, b@y"),
        (" , a@x,, ,b@y, ", "a@x, b@y"),
        ("root", "root"),
        (r"\root", r"\root"),
        (r"<\root>", r"\root"),
        ("<root>", "root"),
        ("Bob B <bob@x>", "bob@x"),
        ("bob@x (Bob)", "bob@x"),
        ("(a (nested \\) (comment))) b@x (c)", "b@x"),
        (r#""B, Bob" <bob@x>"#, "bob@x"),
        ("=?utf-8?q?J=C3=B6rg?= <bob@x>", "bob@x"),
        ("John Q. Public <j@x>", "j@x"),
        ("bob@x <bob@y>", "bob@y"),
        ("[list] Bob <bob@x>", "bob@x"),
        (r#""a b"@x"#, r#""a b"@x"#),
        ("a@[127.0.0.1], b@[IPv6:::1]", "a@[127.0.0.1], b@[IPv6:::1]"),
        ("undisclosed-recipients:;", ""),
        ("undisclosed-recipients: ;, a@x", "a@x"),
        ("undisclosed-recipients:", ""),
        (r#"Team: a@x, "B, x" <b@x>;, c@x"#, "a@x, b@x, c@x"),
        ("A: a@x;B: b@x; c@x", "a@x, b@x, c@x"),
        ("a@x; b@x;", "a@x, b@x"),
        ("a@x,\r\n b@x,\n\tc@x\r\n", "a@x, b@x, c@x"),
        ("a@x b@y", "a@x, b@y"),
        ("a . b @ c (no) . (really) d", "a.b@c.d"),
        ("<@a,@b:c@d>", "c@d"),
        ("Bob <@[IPv6:::1]:c@d>", "c@d"),
        ("host!bob, a%b@c, bob@x.", "host!bob, a%b@c, bob@x"),
        // What is not an address stays none.
        ("a@x, bad@@addr, <unclosed", "a@x | bad@@addr: BadDomain | <unclosed: Unclosed('<')"),
        ("<>", " | <>: Nobody"),
        ("Bob <>", " | Bob <>: Nobody"),
        ("a b c", " | a b c: Space"),
        ("root b@x", " | root b@x: Space"),
        ("reply to b@x", " | reply to b@x: Space"),
        ("<a b>", " | <a b>: Space"),
        ("<a@x> <b@x>", " | <a@x> <b@x>: Several"),
        ("<a@x> b@x, c@x", "c@x | <a@x> b@x: Several"),
        ("<<a@x>>", " | <<a@x>>: Several"),
        ("<a <b@x>", " | <a <b@x>: Space"),
        ("a>b@x", " | a>b@x: Special('>')"),
        (r#""open <a@x>, b@x"#, r#" | "open <a@x>, b@x: Unclosed('"')"#),
        ("a@x (open, b@x", " | a@x (open, b@x: Unclosed('(')"),
        ("a@[1.2, b@x", " | a@[1.2, b@x: Unclosed('[')"),
        ("a:b@x", " | a:b@x: Unclosed(':')"),
        ("mailto:a@x, b@x", " | mailto:a@x, b@x: Unclosed(':')"),
        ("a: b: c@x;", " | b: c@x: Space"),
        ("|cmd", " | |cmd: Program"),
        ("|/bin/sh -c x, a@x", "a@x | |/bin/sh -c x: Program"),
        ("|cmd:x;", " | |cmd:x: Program"),
        (r#""|cmd x""#, r#" | "|cmd x": Program"#),
        ("<|cmd@x>", " | <|cmd@x>: Program"),
        ("/etc/passwd, a@x", "a@x | /etc/passwd: File"),
        ("file:/etc/passwd;", " | /etc/passwd: File"),
        (":include:/etc/passwd", " | :include:/etc/passwd: Include"),
        (":include: /etc/a b, c@x", "c@x | :include: /etc/a b: Include"),
        (r"a\,b@x", r" | a\,b@x: Special('\\')"),
        ("a@x\nb@x", " | a@x\nb@x: Control"),
        ("a\0@x", " | a\0@x: Control"),
        ("b\u{fffd}b@x, J\u{fffd}rg <a@x>", "a@x | b\u{fffd}b@x: NotUtf8"),
    ] {
        assert_eq!(shown(&parse(text)), expected, "{text:?}");
    }
}

#[test]
fn a_display_name_is_read_without_quotes_and_folds() {
    for (text, expected) in [
        ("Bob  B <b@x>", Some("Bob B")),
        ("\"B, \\\"Bob\\\"\"\r\n <b@x>", Some("B, \"Bob\"")),
        ("John Q. Public <b@x>", Some("John Q. Public")),
        ("\"a\u{1}\r\n b\" <b@x>", Some("a b")),
        ("b@x (Bob)", None),
        ("\"\" <b@x>", None),
    ] {
        assert_eq!(parse(text).mailboxes.first().and_then(|m| m.display.as_deref()), expected, "{text:?}");
    }
}

#[test]
fn a_control_character_spoils_the_whole_word_of_the_command_line() {
    for word in ["a@x\nb@x", "a@x\n b@x", "a@x,\r\nb@x", "a@x\0", "A\tB <a@x>", "a@x\u{85}"] {
        let list = parse_word(word);
        assert!(list.mailboxes.is_empty(), "{word:?}");
        assert_eq!(list.faults.first().map(|f| f.error), Some(AddressError::Control), "{word:?}");
    }
    assert_eq!(shown(&parse_word("a@x, B <b@x>")), "a@x, b@x");
}

#[test]
fn latin_1_in_a_name_is_harmless_and_in_an_address_a_fault() {
    assert_eq!(shown(&parse_bytes(b"J\xf6rg <a@x>, (\xff) b@x")), "a@x, b@x");
    assert_eq!(shown(&parse_bytes(b"j\xf6rg@x")), " | j\u{fffd}rg@x: NotUtf8");
}

#[test]
fn a_fault_says_where_it_is_and_is_cut_where_it_is_long() {
    let fault = parse("a@x, bad addr").faults.remove(0);
    assert_eq!((fault.at, fault.to_string().as_str()), (5, "\"bad addr\" has a space outside quotes"));
    let long = parse(&format!("{} b", "ä".repeat(500))).faults.remove(0);
    assert!(long.text.len() <= EXCERPT_MAX + 3 && long.text.ends_with('…'));
}

#[test]
fn a_megabyte_of_one_character_neither_overflows_nor_grows_a_list_without_bound() {
    for piece in [
        "(", ")", ",", "<", ">", "\"", "\\", "[", "]", "@", ":", ";", ".", "a", " ", "\r\n ", "()", "a,", "a@b ", "@,", "<a>",
        "x:;", "<@:",
    ] {
        let list = parse(&piece.repeat((1 << 20) / piece.len()));
        // The last element may still hold a run of addresses.
        assert!(list.mailboxes.len() + list.faults.len() <= 2 * ELEMENTS_MAX, "{piece:?}");
        let kept: usize = list.faults.iter().map(|f| f.text.len()).sum();
        assert!(kept <= (EXCERPT_MAX + 3) * (ELEMENTS_MAX + 2), "{piece:?}");
    }
    assert_eq!(parse(&"a,".repeat(ELEMENTS_MAX + 5)).faults.last().map(|f| f.error), Some(AddressError::TooMany));
}

#[test]
fn colons_behind_many_words_take_no_quadratic_time() {
    let text = format!("{} @ {}", "a ".repeat(40_000), "b: ".repeat(20_000));
    assert_eq!(parse(&text).faults.len(), 1);
}

#[test]
fn lists_together_hold_no_more_than_one_may() {
    let mut list = parse(&"a,".repeat(ELEMENTS_MAX - 1));
    list.extend(parse("b@x, c@x"));
    assert_eq!(list.mailboxes.len(), ELEMENTS_MAX);
    assert_eq!(shown(&List { mailboxes: Vec::new(), faults: list.faults }), " | c@x: TooMany");
}

#[test]
fn bare_names_in_a_header_are_qualified_and_every_other_octet_stays() {
    for (value, expected) in [
        ("root (Cron Daemon)", Some("root@x.y (Cron Daemon)")),
        (r#""(Cron Daemon)" <root>"#, Some(r#""(Cron Daemon)" <root@x.y>"#)),
        ("\"(Cron Daemon)\"\r\n\t< root >\r\n", Some("\"(Cron Daemon)\"\r\n\t< root@x.y >\r\n")),
        (" a@b,\n root,  c  (d)", Some(" a@b,\n root@x.y,  c@x.y  (d)")),
        ("Team: a, b@c;", Some("Team: a@x.y, b@c;")),
        ("jörg, root", Some("jörg@x.y, root@x.y")),
        ("a@b, root@localhost", None),
        ("", None),
        (r"\root", None),
        ("root, bad addr", None),
        ("Cron Daemon", None),
        ("undisclosed-recipients:;", None),
    ] {
        assert_eq!(qualify_header(value, "x.y", false).as_deref(), expected, "{value:?}");
    }
    assert_eq!(qualify_header("root", "no domain", true), None);
}

#[test]
fn who_is_at_localhost_is_qualified_where_that_is_wished() {
    for (value, expected) in [
        ("root@localhost", Some("root@x.y")),
        ("Web <www-data @ LocalHost.localdomain> (c), root, a@b", Some("Web <www-data@x.y> (c), root@x.y, a@b")),
        ("<@r:\"a b\"@localhost>", Some("<\"a b\"@x.y>")),
        ("root@localhost.example, \\root@localhost", None),
        ("root@localhost, bad addr", None),
    ] {
        assert_eq!(qualify_header(value, "x.y", true).as_deref(), expected, "{value:?}");
    }
    assert_eq!(qualify_header("root@localhost", "localhost", true), None);
}

/// Text out of the pieces that address lists, and attacks on them, are made of.
fn list_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z]{1,3}", 3 => Just("@".to_owned()), 2 => Just(", ".to_owned()), 2 => Just("\"".to_owned()),
        3 => r"[ .<>\\,:;()\[\]|/-]", 1 => Just("\r\n ".to_owned()), 1 => any::<char>().prop_map(String::from),
        2 => Just("bob@x.y".to_owned()), 1 => Just("<root>".to_owned()), 1 => Just("\n".to_owned()),
    ];
    prop::collection::vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_addressee_of_any_list_reads_back_as_itself(text in list_like()) {
        for mailbox in parse(&text).mailboxes {
            let said = mailbox.spec.to_string();
            prop_assert_eq!(Spec::parse(&said), Ok(mailbox.spec.clone()));
            if let Ok(address) = mailbox.spec.qualify("x.y") {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address.clone()));
                let alone = parse(&address.to_string());
                prop_assert_eq!(alone.mailboxes.len(), 1, "{}", address);
            }
        }
    }

    #[test]
    fn a_header_qualified_once_is_qualified(value in list_like(), localhost in any::<bool>()) {
        if let Some(once) = qualify_header(&value, "x.y", localhost) {
            if !localhost {
                prop_assert_eq!(once.replace("@x.y", ""), value.replace("@x.y", ""));
            }
            prop_assert_eq!(qualify_header(&once, "x.y", localhost), None);
            prop_assert!(parse(&once).faults.is_empty());
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let list = parse_bytes(&bytes);
        for fault in list.faults {
            prop_assert!(fault.at <= bytes.len() * 3);
        }
    }
}

#[test]
fn space_is_put_between_addresses_and_nowhere_else() {
    for (list, expected) in [
        ("a@x,b@x;c@x", "a@x, b@x; c@x"),
        ("a@x, b@x,\tc@x,", "a@x, b@x,\tc@x,"),
        ("\"a,b\" <c@x>,(d,e) f@x,g: h@x,i@x;", "\"a,b\" <c@x>, (d,e) f@x, g: h@x, i@x;"),
        ("\"a,b", "\"a,b"),
        (",,a@x", ", , a@x"),
        ("", ""),
    ] {
        assert_eq!(spaced(list), expected);
    }
}
