//! Is a handshake overheard right, however it lies in records?

use proptest::prelude::*;

use super::*;

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3], &length[..], payload].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &u32::try_from(body.len()).unwrap().to_be_bytes()[1..], body].concat()
}

fn hello(version: u16, random: [u8; 32], suite: u16, extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let word = |word: usize| u16::try_from(word).unwrap().to_be_bytes();
    let mut list = Vec::new();
    for (kind, content) in extensions {
        list.extend([&kind.to_be_bytes()[..], &word(content.len()), content].concat());
    }
    let list = if extensions.is_empty() { Vec::new() } else { [&word(list.len())[..], &list].concat() };
    let session = [4, 1, 2, 3, 4];
    message(2, &[&version.to_be_bytes()[..], &random, &session, &suite.to_be_bytes(), &[0], &list].concat())
}

fn hello13(suite: u16, more: &[(u16, &[u8])]) -> Vec<u8> {
    hello(0x0303, [7; 32], suite, &[&[(43, &[3, 4][..])], more].concat())
}

fn certificates(chain: &[&[u8]]) -> Vec<u8> {
    let with_length = |part: &[u8]| [&u32::try_from(part.len()).unwrap().to_be_bytes()[1..], part].concat();
    message(11, &with_length(&chain.iter().flat_map(|der| with_length(der)).collect::<Vec<_>>()))
}

/// Fed at once and octet by octet, which makes no difference.
fn heard(octets: &[u8]) -> Agreed {
    let (mut whole, mut drops) = (Listener::default(), Listener::default());
    whole.feed(octets);
    octets.chunks(1).for_each(|octet| drops.feed(octet));
    assert_eq!(whole.agreed(), drops.agreed());
    whole.agreed
}

fn agreed(version: u16, suite: u16, group: Option<u16>, resumed: Option<bool>) -> Agreed {
    Agreed { version: Some(version), suite: Some(suite), group, resumed, chain: Vec::new() }
}

const X25519: (u16, &[u8]) = (51, &[0, 29, 0, 1, 9]);

#[test]
fn tls13_tells_all_but_the_certificates_in_its_hello() {
    let sealed = record(23, &[0xaa; 600]);
    let plain = [record(22, &hello13(0x1302, &[X25519])), record(20, &[1]), sealed.clone()].concat();
    assert_eq!(heard(&plain), agreed(TLS13, 0x1302, Some(29), Some(false)));
    let resumed = record(22, &hello13(0x1301, &[X25519, (41, &[0, 0])]));
    assert_eq!(heard(&resumed), agreed(TLS13, 0x1301, Some(29), Some(true)));
    // A session taken up without a new key exchange.
    assert_eq!(heard(&record(22, &hello13(0x1303, &[(41, &[0, 0])]))), agreed(TLS13, 0x1303, None, Some(true)));
}

#[test]
fn a_request_for_another_hello_is_not_taken_for_the_hello() {
    let retry = hello(0x0303, RETRY, 0x1302, &[(43, &[3, 4]), (51, &[0, 24])]);
    let alone = record(22, &retry);
    assert_eq!(heard(&alone), Agreed::default());
    let both = [alone, record(20, &[1]), record(22, &hello13(0x1301, &[(51, &[0, 24, 0, 1, 9])]))].concat();
    assert_eq!(heard(&both), agreed(TLS13, 0x1301, Some(24), Some(false)));
}

#[test]
fn tls12_shows_curve_and_chain_however_its_messages_lie_in_records() {
    let flight = [
        hello(0x0303, [7; 32], 0xc02f, &[(0xff01, &[0])]),
        certificates(&[b"leaf", b"issuer"]),
        message(22, b"a stapled answer"),
        message(12, &[3, 0, 23, 1, 9, 4, 1, 0, 1, 9]),
        message(14, b""),
    ]
    .concat();
    let expected = Agreed { chain: vec![b"leaf".to_vec(), b"issuer".to_vec()], ..agreed(0x0303, 0xc02f, Some(23), Some(false)) };
    for size in [1, 2, 3, 7, 40, 500] {
        let warned = [record(21, &[1, 112]), flight.chunks(size).flat_map(|part| record(22, part)).collect()].concat();
        assert_eq!(heard(&warned), expected, "in records of {size}");
    }
}

#[test]
fn a_key_exchange_without_a_curve_has_none() {
    let key = message(12, &[0, 1, 23, 0, 1, 2, 0, 1, 4, 4, 1, 0, 1, 9]);
    for suite in [0x009f, 0x0033] {
        let flight = [hello(0x0302, [7; 32], suite, &[]), certificates(&[b"leaf"]), key.clone()].concat();
        let expected = Agreed { chain: vec![b"leaf".to_vec()], ..agreed(0x0302, suite, None, Some(false)) };
        assert_eq!(heard(&record(22, &flight)), expected);
    }
    let rsa = [hello(0x0301, [7; 32], 0x002f, &[]), certificates(&[b"leaf"]), message(14, b"")].concat();
    assert_eq!(heard(&record(22, &rsa)).group, None);
}

#[test]
fn a_session_that_is_taken_up_shows_no_certificate() {
    let flight = [record(22, &hello(0x0303, [7; 32], 0xc02f, &[])), record(20, &[1]), record(22, &[0xaa; 40])].concat();
    assert_eq!(heard(&flight), agreed(0x0303, 0xc02f, None, Some(true)));
}

#[test]
fn a_handshake_within_the_seal_is_told_before_tls13() {
    let finished = record(22, &[0xaa; 40]);
    for (hello, renegotiates) in [(hello(0x0303, [7; 32], 0xc02f, &[]), true), (hello13(0x1301, &[X25519]), false)] {
        let mut listener = Listener::default();
        let flight = [hello, message(14, b"")].concat();
        listener.feed(&[record(22, &flight), record(20, &[1]), finished.clone(), record(23, &[1; 9])].concat());
        assert!(!listener.renegotiates());
        listener.feed(&finished[..5]);
        assert_eq!(listener.renegotiates(), renegotiates);
    }
}

#[test]
fn what_is_no_handshake_says_nothing() {
    let late = [hello(0x0303, [7; 32], 0xc02f, &[]), message(14, b""), certificates(&[b"late"])].concat();
    assert_eq!(heard(&record(22, &late)), agreed(0x0303, 0xc02f, None, None));
    for octets in [
        &b"220 mx.test ESMTP ready\r\n"[..],
        &record(22, &certificates(&[b"before the hello"])),
        &record(22, &message(2, &[3, 3, 7])),
        &record(22, &[2, 0xff, 0xff, 0xff]),
        &[22, 3, 3, 0xff, 0xff],
        &record(21, &[2, 40]),
    ] {
        assert_eq!(heard(octets), Agreed::default(), "{octets:?}");
    }
}

#[test]
fn a_message_is_kept_up_to_a_limit() {
    // Just kept, and just too long.
    for head in [[11, 2, 0, 0], [11, 2, 0, 1]] {
        let mut listener = Listener::default();
        listener.feed(&[record(22, &hello(0x0303, [7; 32], 0xc02f, &[])), record(22, &head)].concat());
        for _ in 0..100 {
            listener.feed(&record(22, &[0xff; 1 << 10]));
            assert!(listener.messages.capacity() <= 2 * LONGEST_MESSAGE);
        }
        listener.feed(&record(22, &[0xff; 1 << 14]).repeat(20));
        assert!(listener.over && listener.messages.is_empty());
    }
}

proptest! {
    #[test]
    fn hostile_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..200), at in 0_usize..200) {
        let flight = [hello(0x0303, [7; 32], 0xc02f, &[(5, b"")]), certificates(&[b"leaf"]), message(12, &[3, 0, 23])].concat();
        let mut flight = record(22, &flight);
        let at = at.min(flight.len());
        flight.splice(at..(at + octets.len()).min(flight.len()), octets.iter().copied());
        heard(&flight);
        heard(&octets);
    }

    #[test]
    fn a_hello_is_read_as_it_was_written(version in 0x0301_u16..0x0304, suite in any::<u16>(), group in any::<u16>(), size in 1_usize..90) {
        let old = hello(version, [7; 32], suite, &[]);
        prop_assert_eq!(heard(&record(22, &old)), agreed(version, suite, None, None));
        let share = [&group.to_be_bytes()[..], &[0, 1, 9]].concat();
        let new = hello13(suite, &[(51, &share)]);
        let new: Vec<u8> = new.chunks(size).flat_map(|part| record(22, part)).collect();
        prop_assert_eq!(heard(&new), agreed(TLS13, suite, Some(group), Some(false)));
    }
}
