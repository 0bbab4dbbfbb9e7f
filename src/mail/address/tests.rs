//! Is every address read, and nothing that is none?

use proptest::prelude::*;

use super::*;

#[test]
fn what_is_an_address_is_read_and_what_is_not_says_why() {
    use AddressError as E;
    let long = "x".repeat(256);
    let table: &[(&str, Result<&str, E>)] = &[
        ("bob@example.com", Ok("bob@example.com")),
        ("<bob@example.com>", Ok("bob@example.com")),
        ("Bob@Example.COM", Ok("Bob@Example.COM")),
        ("bob@x.", Ok("bob@x")),
        ("bob@[127.0.0.1]", Ok("bob@[127.0.0.1]")),
        ("bob@[IPv6:2001:db8::1]", Ok("bob@[IPv6:2001:db8::1]")),
        ("bob@[ipv6:::1]", Ok("bob@[ipv6:::1]")),
        ("a%b@c", Ok("a%b@c")),
        ("host!bob@c", Ok("host!bob@c")),
        ("a/b@c", Ok("a/b@c")),
        ("bob@_dmarc.x-y.example", Ok("bob@_dmarc.x-y.example")),
        (r#""a b"@x"#, Ok(r#""a b"@x"#)),
        (r#""a..b"@x"#, Ok(r#""a..b"@x"#)),
        ("a..b@x", Ok(r#""a..b"@x"#)),
        (r#""bob"@x"#, Ok("bob@x")),
        (r#""a".b@x"#, Ok("a.b@x")),
        (r#""a\"b\c<>"@x"#, Ok(r#""a\"bc<>"@x"#)),
        ("<@a,@b:c@d>", Ok("c@d")),
        ("<@[IPv6:::1],@b:c@d>", Ok("c@d")),
        ("bob@bücher.example", Ok("bob@xn--bcher-kva.example")),
        ("jörg@bücher.example", Ok("jörg@bücher.example")),
        ("jörg@BÜCHER.example", Ok("jörg@bücher.example")),
        ("jörg@example.com", Ok("jörg@example.com")),
        ("bob@ｅｘａｍｐｌｅ．com", Ok("bob@example.com")),
        ("", Err(E::Empty)),
        ("<>", Err(E::Empty)),
        ("root", Err(E::NoDomain)),
        ("root@", Err(E::NoDomain)),
        ("root@.", Err(E::BadDomain)),
        ("@x", Err(E::EmptyLocal)),
        (r#"""@x"#, Err(E::EmptyLocal)),
        ("<@x>", Err(E::EmptyLocal)),
        ("<bob@x", Err(E::Unclosed('<'))),
        ("bob@x>", Err(E::BadDomain)),
        ("<<bob@x>>", Err(E::Special('<'))),
        ("bob@@x", Err(E::BadDomain)),
        ("a@b@c", Err(E::BadDomain)),
        ("bob@x y", Err(E::Space)),
        ("a b@x", Err(E::Space)),
        ("a\u{a0}b@x", Err(E::Space)),
        ("bob@x\r\nRCPT TO:<evil@y>", Err(E::Control)),
        ("bob\n@x", Err(E::Control)),
        ("\"a\tb\"@x", Err(E::Control)),
        ("bob\0@x", Err(E::Control)),
        ("bob\u{202e}@x", Err(E::Control)),
        ("b\u{fffd}b@x", Err(E::NotUtf8)),
        ("bob@\u{fffd}x", Err(E::NotUtf8)),
        (r#""bob@x"#, Err(E::Unclosed('"'))),
        (r#"a"b"@x"#, Err(E::Special('"'))),
        (r#""a"b@x"#, Err(E::Special('"'))),
        (r"\root@x", Err(E::Special('\\'))),
        ("a,b@x", Err(E::Special(','))),
        ("a(c)@x", Err(E::Special('('))),
        ("bob@-x", Err(E::BadDomain)),
        ("bob@x..y", Err(E::BadDomain)),
        ("bob@[127.0.0.1", Err(E::BadDomain)),
        ("bob@[127.0.0.1]x", Err(E::BadDomain)),
        ("bob@[host]", Err(E::BadDomain)),
        ("bob@a\u{2100}", Err(E::BadDomain)),
        ("bob@b@ücher", Err(E::BadDomain)),
        ("|cmd@x", Err(E::Program)),
        (r#""|cmd arg"@x"#, Err(E::Program)),
        ("/etc/passwd", Err(E::File)),
        (r#""/etc/my file""#, Err(E::File)),
        (":Include:/etc/passwd", Err(E::Include)),
        (r#"":include:/etc/passwd""#, Err(E::Include)),
        (&format!("{long}@x"), Err(E::LocalTooLong)),
        (&format!("bob@{long}"), Err(E::DomainTooLong)),
        (&format!("bob@{}", "ü".repeat(1 << 20)), Err(E::DomainTooLong)),
        (&format!("bob@{}x", "xy.".repeat(85)), Err(E::DomainTooLong)),
    ];
    for (text, expected) in table {
        assert_eq!(Address::parse(text).map(|a| a.to_string()), expected.map(str::to_owned), "{text:?}");
    }
}

#[test]
fn a_local_part_over_64_octets_is_let_pass() {
    let text = format!("{}@x", "v".repeat(200));
    assert_eq!(Address::parse(&text).unwrap().to_string(), text);
}

#[test]
fn the_same_mailbox_differs_in_the_case_of_the_domain_only() {
    let address = |text| Address::parse(text).unwrap();
    for (a, b, same) in [("a@X.y", "a@x.Y", true), ("A@x", "a@x", false), (r#""a"@x"#, "a@x", true), ("a@x", "a@x.y", false)] {
        assert_eq!(address(a).same_mailbox(&address(b)), same, "{a} {b}");
        assert_eq!(address(a).key() == address(b).key(), same, "{a} {b}");
    }
}

#[test]
fn a_bare_name_is_qualified_and_a_complete_address_is_left_alone() {
    let qualified = |text, domain| Spec::parse(text).unwrap().qualify(domain).map(|a| a.to_string());
    assert_eq!(qualified("root", "example.com"), Ok("root@example.com".to_owned()));
    assert_eq!(qualified("root", "bücher.example."), Ok("root@xn--bcher-kva.example".to_owned()));
    assert_eq!(qualified("jörg", "bücher.example"), Ok("jörg@bücher.example".to_owned()));
    assert_eq!(qualified("a@b", "example.com"), Ok("a@b".to_owned()));
    assert_eq!(qualified("root", "a b"), Err(AddressError::Space));
}

#[test]
fn only_what_is_not_ascii_needs_smtputf8() {
    assert!(!Address::parse("bob@bücher.example").unwrap().needs_smtputf8());
    assert!(Address::parse("jörg@example.com").unwrap().needs_smtputf8());
}

/// Text out of the pieces that addresses, and attacks on them, are made of.
fn address_like() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z0-9]{1,4}", 3 => Just("@".to_owned()), 2 => Just(".".to_owned()), 2 => Just("\"".to_owned()),
        1 => r"[ <>\\,:;()\[\]|/\r\n\t-]", 1 => any::<char>().prop_map(String::from), 1 => Just("xn--".to_owned()),
        2 => "[äÖüß日本ａ．。\u{200d}\u{0301}]{1,2}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn every_address_reads_back_as_itself_and_is_safe_between_angle_brackets(text in address_like()) {
        if let Ok(address) = Address::parse(&text) {
            let said = address.to_string();
            let again = Address::parse(&said);
            prop_assert_eq!(again.as_ref(), Ok(&address));
            let bracketed = Address::parse(&format!("<{said}>"));
            prop_assert_eq!(bracketed, Ok(address));
            prop_assert!(!said.chars().any(char::is_control));
            let mut in_quotes = false;
            let mut escaped = false;
            for c in said.chars() {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => in_quotes = !in_quotes,
                    ' ' | '<' | '>' => prop_assert!(in_quotes, "{}", said),
                    _ => {}
                }
            }
            prop_assert!(!in_quotes);
        }
    }

    #[test]
    fn nothing_makes_the_parser_panic(text in any::<String>()) {
        let _ = Address::parse(&text);
        let _ = Spec::parse(&text);
        let _ = Local::parse(&text);
    }
}
