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
mod tests;
