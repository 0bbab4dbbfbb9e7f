//! The keys of the root against those that the library knows, and files as they are found.

use hickory_proto::dnssec::TrustAnchors;
use proptest::prelude::*;

use super::*;

fn tags(anchors: &[Anchor]) -> Vec<(String, u16)> {
    let tag = |anchor: &Anchor| match &anchor.key {
        Trusted::Digest(ds) => ds.key_tag(),
        Trusted::Key(key) => key.calculate_key_tag().unwrap(),
    };
    anchors.iter().map(|anchor| (anchor.zone.to_ascii(), tag(anchor))).collect()
}

#[test]
fn the_keys_of_the_root_are_those_that_the_library_has_in_full() {
    let theirs = TrustAnchors::default();
    let keys: Vec<DNSKEY> = (0..theirs.len()).map(|index| DNSKEY::with_flags(257, theirs.get(index).unwrap().clone())).collect();
    let ours = root();
    assert_eq!((ours.len(), keys.len()), (2, 2));
    for anchor in ours {
        let Trusted::Digest(ds) = anchor.key else { panic!("the root is known by digests") };
        assert!(keys.iter().any(|key| ds.covers(&anchor.zone, key).unwrap()), "{ds}");
    }
}

#[test]
fn files_are_read_as_unbound_and_debian_write_them() {
    const KEY: &str = "AwEAAag=";
    let table = [
        (format!(". 172800 IN DNSKEY 257 3 8 {KEY}\n"), vec![(".", true)]),
        (
            format!(
                "; autotrust trust anchor file\n;;id: . 1\n.\t86400\tIN\tDNSKEY\t257 3 8 {KEY} ;{{id = 1 (ksk), size = 2048b}} ;;state=2 [  VALID  ] ;;count=0\n"
            ),
            vec![(".", true)],
        ),
        (format!(". DNSKEY 257 3 8 {KEY} ;;state=1 [ ADDPEND ]\n. DS 1 8 2 AB cd\n"), vec![(".", false)]),
        (
            "Test. DNSKEY 257 3 13 (\n AwEA ; half\n Aag= )\n\nother.test IN 60 DS 7 13 2 abcd\n".to_owned(),
            vec![("Test.", true), ("other.test.", false)],
        ),
    ];
    for (text, expected) in table {
        let anchors = parse(&text).unwrap();
        let seen: Vec<_> = anchors.iter().map(|a| (a.zone.to_ascii(), matches!(a.key, Trusted::Key(_)))).collect();
        let expected: Vec<_> = expected.into_iter().map(|(zone, key)| (zone.to_owned(), key)).collect();
        assert_eq!(seen, expected, "{text}");
    }
    assert_eq!(tags(&root()), [(".".to_owned(), 20326), (".".to_owned(), 38696)]);
}

#[test]
fn what_is_no_anchor_is_told_with_its_line() {
    for (text, why) in [
        ("", "it holds no DS and no DNSKEY record that is trusted"),
        ("; nothing\n", "it holds no DS and no DNSKEY record that is trusted"),
        (". DNSKEY 257 3 8 AwEA ;;state=4 [ REVOKED ]\n", "it holds no DS and no DNSKEY record that is trusted"),
        ("$ORIGIN test.\n", "line 1: directives are not read here"),
        ("\n\n. NS a.root.\n", "line 3: it is neither DS nor DNSKEY"),
        (". IN\n", "line 1: it has no type"),
        (". DS 1 8 AB\n", "line 1: its numbers can't be read"),
        (". DS 1 800 2 AB\n", "line 1: its numbers can't be read"),
        (". DS 1 8 2 ABC\n", "line 1: its digest is not hexadecimal"),
        (". DNSKEY 257 3 8 A*\n", "line 1: its key is not base64"),
        (". DNSKEY 257 4 8 AwEA\n", "line 1: its protocol is not 3"),
        ("a..b DS 1 8 2 AB\n", "line 1: its owner is no name"),
    ] {
        assert_eq!(parse(text).map(|anchors| tags(&anchors)), Err(why.to_owned()), "{text:?}");
    }
}

proptest! {
    #[test]
    fn hostile_files_never_panic(text in "(\\. |IN |DS |DNSKEY |[0-9]{1,6} |[A-Za-z0-9+/=]{0,12}|[;()\n $]|;;state=[0-9]){0,24}") {
        let _ = parse(&text);
    }
}
