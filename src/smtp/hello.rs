//! What did a server agree to, as the unsealed part of its handshake says? (RFC 8446 4, 5.1; RFC 5246 7.4; RFC 8422 5.4)
//!
//! For a library that keeps it to itself. What is read here is what the library read, and both ends vouch for these very octets
//! in the Finished messages: once the library calls the handshake finished, they are facts.

use rustls::CipherSuite;

/// Octets of one handshake message that are kept. OpenSSL refuses certificates above 100 KiB; all else is small.
const LONGEST_MESSAGE: usize = 128 * 1024;
/// Octets of a record at most, with what sealing adds (RFC 5246 6.2.3).
const LONGEST_RECORD: usize = (1 << 14) + 2048;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const TLS13: u16 = 0x0304;

/// The random of a `ServerHello` that asks for another hello: SHA-256 of `HelloRetryRequest` (RFC 8446 4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a,
    0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What was agreed, in the numbers of IANA; `None` where the server has not said it, or said it sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// The version: `0x0304` is TLS 1.3.
    pub version: Option<u16>,
    /// The cipher suite.
    pub suite: Option<u16>,
    /// The group of the key exchange; `None` also where there is none (RSA), or one of the server's own making (DHE before TLS 1.3).
    pub group: Option<u16>,
    /// Whether an earlier session was taken up.
    pub resumed: Option<bool>,
    /// The certificates, the server's own first; sealed, and so empty, from TLS 1.3 on.
    pub chain: Vec<Vec<u8>>,
}

/// Listens to what a server sends, from its first octet on, in pieces of any size.
#[derive(Debug, Default)]
pub struct Listener {
    agreed: Agreed,
    /// The beginning of a record's header.
    header: Vec<u8>,
    /// The type of the record, and how much of it is still to come.
    record: (u8, usize),
    /// Handshake messages that are not complete yet.
    messages: Vec<u8>,
    /// The messages that are still to come say nothing, or can't be read.
    over: bool,
    /// These are no records.
    lost: bool,
    /// Handshake records since the server began to seal, in versions before TLS 1.3: the first is its Finished.
    sealed: Option<u8>,
}

impl Listener {
    /// Takes the next octets.
    pub fn feed(&mut self, mut octets: &[u8]) {
        while !self.lost && !octets.is_empty() {
            if self.record.1 == 0 {
                octets = self.begin_record(octets);
                continue;
            }
            let (here, behind) = octets.split_at(octets.len().min(self.record.1));
            self.record.1 -= here.len();
            octets = behind;
            match self.record.0 {
                HANDSHAKE if !self.over => self.hear(here),
                CHANGE_CIPHER_SPEC => self.seals_from_here(),
                _ => {}
            }
        }
    }

    /// What has been agreed so far.
    pub fn agreed(&self) -> &Agreed {
        &self.agreed
    }

    /// Whether something came that is no TLS.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether the server wants to negotiate anew, which TLS 1.3 abolished. Nobody needs it, and who is at the other end could
    /// change by it after the verdict.
    pub fn renegotiates(&self) -> bool {
        self.sealed.is_some_and(|handshakes| handshakes > 1)
    }

    /// Takes what is missing of a record's header, and gives back the rest.
    fn begin_record<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        let missing = 5_usize.saturating_sub(self.header.len());
        let (here, behind) = octets.split_at(missing.min(octets.len()));
        self.header.extend_from_slice(here);
        if let [kind, major, _, high, low] = *self.header {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let known = matches!(kind, CHANGE_CIPHER_SPEC | ALERT | HANDSHAKE | APPLICATION_DATA);
            self.lost = !known || major != 3 || length > LONGEST_RECORD;
            self.record = (kind, length);
            self.header.clear();
            if kind == HANDSHAKE {
                self.sealed = self.sealed.map(|handshakes| handshakes.saturating_add(1));
            }
        }
        behind
    }

    fn hear(&mut self, octets: &[u8]) {
        let mut messages = std::mem::take(&mut self.messages);
        messages.extend_from_slice(octets);
        let mut read = 0;
        while let Some((&[kind, high, middle, low], body)) = messages.get(read..).and_then(<[u8]>::split_first_chunk) {
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            self.over |= length > LONGEST_MESSAGE;
            let Some(body) = body.get(..length).filter(|_| !self.over) else { break };
            self.over |= self.message(kind, body).is_none();
            read += 4 + length;
        }
        if !self.over {
            messages.drain(..read);
            self.messages = messages;
        }
    }

    /// Reads a message; `None` where it is none that a server may send.
    fn message(&mut self, kind: u8, body: &[u8]) -> Option<()> {
        match kind {
            // ServerHello: only the first counts, for no handshake has two.
            2 if self.agreed.version.is_none() => self.server_hello(Reader(body))?,
            11 if self.agreed.version.is_some() => {
                self.agreed.resumed = Some(false);
                self.agreed.chain = chain(Reader(body))?;
            }
            12 if self.agreed.suite.is_some_and(is_ecdhe) => {
                let mut reader = Reader(body);
                // named_curve; the other kinds are forbidden (RFC 8422 5.4).
                (reader.byte()? == 3).then_some(())?;
                self.agreed.group = Some(reader.word()?);
            }
            // ServerHelloDone.
            14 => self.over = true,
            _ => {}
        }
        Some(())
    }

    fn server_hello(&mut self, mut body: Reader<'_>) -> Option<()> {
        let mut version = body.word()?;
        let random = body.take(32)?;
        let session = usize::from(body.byte()?);
        body.take(session)?;
        let suite = body.word()?;
        body.byte()?;
        if random == RETRY {
            return Some(());
        }
        let mut extensions = if body.0.is_empty() { Reader(&[]) } else { body.vector()? };
        let mut by_ticket = false;
        while !extensions.0.is_empty() {
            let (kind, mut content) = (extensions.word()?, extensions.vector()?);
            match kind {
                43 => version = content.word()?,
                51 => self.agreed.group = Some(content.word()?),
                41 => by_ticket = true,
                _ => {}
            }
        }
        self.agreed.version = Some(version);
        self.agreed.suite = Some(suite);
        if version >= TLS13 {
            self.agreed.resumed = Some(by_ticket);
            self.over = true;
        }
        Some(())
    }

    /// Before TLS 1.3 the server does so at the end of its handshake, and if it took up an old session it has shown no certificate.
    /// In TLS 1.3 the record means nothing, but may stand between the two hellos.
    fn seals_from_here(&mut self) {
        if self.agreed.version.is_some_and(|version| version < TLS13) && self.sealed.is_none() {
            self.agreed.resumed.get_or_insert(true);
            self.sealed = Some(0);
            self.over = true;
        }
    }
}

/// The certificates of a Certificate message before TLS 1.3.
fn chain(mut body: Reader<'_>) -> Option<Vec<Vec<u8>>> {
    let mut list = Reader(body.long_vector()?);
    let mut chain = Vec::new();
    while !list.0.is_empty() {
        chain.push(list.long_vector()?.to_vec());
    }
    Some(chain)
}

/// Whether a suite before TLS 1.3 agrees on a key over a curve.
fn is_ecdhe(suite: u16) -> bool {
    CipherSuite::from(suite).as_str().is_some_and(|name| name.starts_with("TLS_ECDHE_"))
}

/// Octets that are read from the front.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (here, behind) = self.0.split_at_checked(length)?;
        self.0 = behind;
        Some(here)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn word(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// What has its length before it, in two octets.
    fn vector(&mut self) -> Option<Self> {
        let length = usize::from(self.word()?);
        self.take(length).map(Reader)
    }

    /// What has its length before it, in three octets.
    fn long_vector(&mut self) -> Option<&'a [u8]> {
        let (high, low) = (usize::from(self.byte()?), usize::from(self.word()?));
        self.take(high << 16 | low)
    }
}

#[cfg(test)]
mod tests {
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
        let expected =
            Agreed { chain: vec![b"leaf".to_vec(), b"issuer".to_vec()], ..agreed(0x0303, 0xc02f, Some(23), Some(false)) };
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
}
