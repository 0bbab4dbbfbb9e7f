//! Is each kind of value read as it is written, and nothing else?

use proptest::prelude::*;

use super::*;

#[test]
fn durations_have_a_unit_and_stay_within_a_year() {
    for (text, wanted) in [
        ("30s", Some(30_000)),
        ("5m", Some(300_000)),
        ("2h", Some(7_200_000)),
        ("5d", Some(432_000_000)),
        ("500ms", Some(500)),
        ("30 s", Some(30_000)),
        ("365d", Some(31_536_000_000)),
        ("366d", None),
        ("0s", None),
        ("30", None),
        ("s", None),
        ("-5s", None),
        ("1.5h", None),
        ("5w", None),
        ("5M", None),
        ("99999999999999999999s", None),
        ("18446744073709551615d", None),
    ] {
        assert_eq!(duration(text).ok(), wanted.map(Duration::from_millis), "{text}");
    }
}

#[test]
fn sizes_are_octets_or_have_a_unit() {
    for (text, wanted) in [
        ("1024", Some(1024)),
        ("0", Some(0)),
        ("10MB", Some(10_000_000)),
        ("10 MiB", Some(10_485_760)),
        ("1kB", Some(1000)),
        ("2 KiB", Some(2048)),
        ("1 GiB", Some(1 << 30)),
        ("1TB", Some(1_000_000_000_000)),
        ("10M", None),
        ("MB", None),
        ("-1", None),
        ("18446744073709551615 TiB", None),
    ] {
        assert_eq!(size(text).ok(), wanted, "{text}");
    }
}

#[test]
fn a_pin_is_hex_with_or_without_colons_or_base64() {
    let plain = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
    let colons: Vec<&str> = (0..32).map(|at| &plain[2 * at..2 * at + 2]).collect();
    let colons = colons.join(":");
    let base64 = "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=";
    let digest = pin(plain).unwrap();
    assert_eq!(digest[..4], [0x00, 0x11, 0x22, 0x33]);
    for text in
        [colons.clone(), base64.to_owned(), format!("sha256:{plain}"), format!("SHA256:{colons}"), format!("sha256:{base64}")]
    {
        assert_eq!(pin(&text), Ok(digest), "{text}");
    }
    for text in ["", "sha256:", "sha1:00112233", "sha256:zz", &plain[1..], &format!("+{}", &plain[1..]), "ABEi"] {
        assert!(pin(text).is_err(), "{text}");
    }
}

#[test]
fn hosts_are_names_or_addresses_and_nothing_else() {
    let shape = |text| match host(text) {
        Ok(Host::Name(name)) => format!("name {name}"),
        Ok(Host::Address(address)) => format!("address {address}"),
        Err(fault) => format!("{} / {}", fault.because, fault.hint.unwrap_or_default()),
    };
    for (text, wanted) in [
        ("smtp.example.com", "name smtp.example.com"),
        ("smtp.example.com.", "name smtp.example.com"),
        ("smtp_relay", "name smtp_relay"),
        ("bücher.example", "name xn--bcher-kva.example"),
        ("192.0.2.1", "address 192.0.2.1"),
        ("2001:db8::1", "address 2001:db8::1"),
        ("[2001:db8::1]", "address 2001:db8::1"),
        (
            "smtp.example.com:587",
            "`smtp.example.com:587` holds a port / the port has a key of its own: host `smtp.example.com` and port 587",
        ),
        ("smtps://x", "`smtps://x` is a URL / leave `smtps://` out, and put the port in a key of its own"),
        ("a b", "`a b` is not a host name: it is made of letters, digits, `-` and `.` / "),
        ("a..b", "`a..b` is not a host name: between its dots are 1 to 63 characters / "),
        ("a\r\nQUIT", "`a\\r\\nQUIT` is not a host name: it is made of letters, digits, `-` and `.` / "),
        (".", "`.` is not a host name: it is empty / "),
    ] {
        assert_eq!(shape(text), wanted);
    }
}

#[test]
fn hello_is_a_name_or_an_address_literal() {
    for (text, wanted) in [
        ("host.example.com", Some("host.example.com")),
        ("[192.0.2.1]", Some("[192.0.2.1]")),
        ("[IPv6:2001:db8::1]", Some("[IPv6:2001:db8::1]")),
        ("[ipv6:2001:DB8::1]", Some("[IPv6:2001:db8::1]")),
        ("[2001:db8::1]", None),
        ("host example", None),
        ("host\nMAIL FROM:<>", None),
        ("[]", None),
        ("[é]", None),
    ] {
        assert_eq!(hello(text).ok().as_deref(), wanted, "{text}");
    }
}

#[test]
fn a_proxy_is_socks5_with_a_port() {
    for (text, wanted) in [
        ("socks5://127.0.0.1:9050", Some(("127.0.0.1", 9050))),
        ("socks5h://tor:9050/", Some(("tor", 9050))),
        ("socks5://[::1]:9050", Some(("::1", 9050))),
        ("socks4://127.0.0.1:9050", None),
        ("127.0.0.1:9050", None),
        ("socks5://127.0.0.1", None),
        ("socks5://user:secret@127.0.0.1:9050", None),
        ("socks5://127.0.0.1:0", None),
    ] {
        let found = proxy(text).ok().map(|proxy| (proxy.host, proxy.port));
        assert_eq!(found, wanted.map(|(host, port)| (host.to_owned(), port)), "{text}");
    }
}

#[test]
fn a_star_stands_for_anything_and_case_does_not_count() {
    for (pattern, text, wanted) in [
        ("*@example.com", "Cron@EXAMPLE.com", true),
        ("*@example.com", "cron@example.com.evil", false),
        ("cron@*", "cron@a", true),
        ("*", "", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "acb", false),
        ("ab*ba", "aba", false),
        ("cron@example.com", "cron@example.com", true),
        ("cron@example.com", "cron@example.comm", false),
        ("**", "x", true),
    ] {
        assert_eq!(fits(pattern, text), wanted, "{pattern} {text}");
    }
}

#[test]
fn a_long_wrong_value_is_cut_and_escaped() {
    let fault = duration(&"\u{1b}é".repeat(10_000)).unwrap_err();
    assert!(fault.because.chars().count() < 500, "{}", fault.because);
    assert!(!fault.because.contains('\u{1b}'));
}

proptest! {
    #[test]
    fn no_text_panics_a_parser_and_what_is_accepted_is_clean(text in "\\PC*|[0-9a-zA-Z:./@\\[\\] é\\r\\n-]{0,80}") {
        let _ = (duration(&text).is_ok(), size(&text).is_ok(), pin(&text).is_ok(), proxy(&text).is_ok(), pattern(&text).is_ok());
        for name in [domain(&text).ok(), hello(&text).ok()].into_iter().flatten() {
            prop_assert!(name.bytes().all(|b| b.is_ascii_graphic()), "{name:?}");
        }
    }

    #[test]
    fn a_pattern_fits_what_it_was_made_from(text in "[a-c@.é]{0,12}", cut in 0..12_usize, end in 0..12_usize) {
        let letters: Vec<char> = text.chars().collect();
        let (cut, end) = (cut.min(letters.len()), end.min(letters.len()));
        let head: String = letters[..cut.min(end)].iter().collect();
        let tail: String = letters[end.max(cut)..].iter().collect();
        let pattern = format!("{head}*{tail}");
        prop_assert!(fits(&pattern, &text));
    }
}
