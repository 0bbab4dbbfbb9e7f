//! How does the system's own library seal a connection? (OpenSSL, by way of native-tls)
//!
//! It reads and writes memory here, never the socket. What it does not tell, version, suite, group and before TLS 1.3 the chain, is
//! read from the same octets. It checks chains only while it shakes hands, and hides a certificate that it does not believe: on such
//! a refusal follows a connection on which it does not look, and the server is judged by what it shows there.

mod key;
mod words;

use std::{
    cell::RefCell,
    fmt,
    io::{self, IoSlice, Read, Write},
    rc::Rc,
};

use native_tls::{Certificate, HandshakeError, Identity, MidHandshakeTlsStream, Protocol, TlsConnector, TlsStream};
use rustls::pki_types::{CertificateDer, ServerName};

use super::{Broken, identity, trust::Rules, unfit};
use crate::{
    error::{Error, Exit},
    host::config,
    mail::{
        policy::Start,
        tls::{Facts, Finding, Verdict},
    },
    smtp::{hello::Listener, leaf},
};

/// Clear octets of one record (RFC 8446 5.1).
const RECORD: usize = 1 << 14;

/// Octets of one read: little, since records without content may come without end, and the deadline is looked at in between.
const READ: usize = 4096;

/// What all connections to one account's server share.
#[derive(Clone, Debug)]
pub(super) struct Client {
    connector: TlsConnector,
    checks: Checks,
    settings: Settings,
}

/// What a handshake needs of the account.
#[derive(Clone)]
struct Settings {
    identity: Option<Identity>,
    start: Start,
    min_version: config::Version,
    /// All certificates must be seen, which the library shows of none but the server's own: until TLS 1.2 they are overheard.
    chain: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What the library was asked to think of the chain.
#[derive(Clone, Debug)]
enum Checks {
    /// Nothing: trust is no matter of authorities.
    None,
    /// Whether an authority vouches for it; the handshake ends where none does.
    Chain,
    /// It has refused the server for this reason, or could not have checked it.
    Refused(Finding),
}

/// The state of TLS on one connection.
#[derive(Debug)]
pub(super) struct Engine {
    state: State,
    wire: Wire,
    listener: Listener,
    /// What was read and nobody took yet.
    clear: Vec<u8>,
    chain: Vec<CertificateDer<'static>>,
    checks: Checks,
    start: Start,
    min_version: config::Version,
}

#[derive(Debug)]
enum State {
    Shaking(MidHandshakeTlsStream<Wire>),
    Sealed(TlsStream<Wire>),
    /// The server said farewell.
    Over,
    Broken,
}

impl Client {
    /// Reads the client's own certificate where one is configured, and the authorities where trust needs them.
    pub(super) fn new(settings: &config::Tls, rules: &Rules) -> Result<Self, Error> {
        let own = settings.client_identity.as_ref();
        let identity = own.map(|(chain, key)| key::identity(identity(chain, key)?, chain, key)).transpose()?;
        let (checks, roots) = match rules.needs_authorities().then(|| rules.roots()) {
            None => (Checks::None, Vec::new()),
            Some(Ok(roots)) => (Checks::Chain, roots),
            // No fault of the configuration: as with rustls it is for the policy to weigh.
            Some(Err(finding)) => (Checks::Refused(finding), Vec::new()),
        };
        let (start, min_version) = (settings.demand.start, settings.min_version);
        let settings = Settings { identity, start, min_version, chain: rules.needs_chain() };
        Self::build(settings, checks, &roots).map_err(|why| match own {
            Some((chain, key)) => unfit(chain, key, why),
            None => Error::new(Exit::Software, "preparing TLS", why),
        })
    }

    /// Why the library refused the server before.
    pub(super) fn refusal(&self) -> Option<&Finding> {
        match &self.checks {
            Checks::Refused(finding) => Some(finding),
            Checks::None | Checks::Chain => None,
        }
    }

    /// The same without a look at the chain, for a server that was refused for `finding`.
    pub(super) fn looking_away(&self, finding: Finding) -> Result<Self, Error> {
        let built = Self::build(self.settings.clone(), Checks::Refused(finding), &[]);
        built.map_err(|why| Error::new(Exit::Software, "preparing TLS", why))
    }

    /// With `roots`, or the library's own where there are none.
    fn build(settings: Settings, checks: Checks, roots: &[Vec<u8>]) -> Result<Self, String> {
        let looks = matches!(checks, Checks::Chain);
        let mut builder = TlsConnector::builder();
        builder.min_protocol_version(Some(protocol(settings.min_version)));
        if settings.chain && settings.min_version <= config::Version::Tls12 {
            builder.max_protocol_version(Some(Protocol::Tlsv12));
        }
        // Names are judged afterwards, by the same code as with rustls: OpenSSL lets a common name count.
        builder.danger_accept_invalid_hostnames(true);
        // So is everything where the chain is no matter. That the server holds the key is proven all the same: its signature under
        // the handshake, or that it could read what was encrypted for the key, is no part of what this leaves out.
        builder.danger_accept_invalid_certs(!looks);
        builder.disable_built_in_roots(!looks || !roots.is_empty());
        // What OpenSSL can't read vouches for nobody.
        for root in roots.iter().filter_map(|der| Certificate::from_der(der).ok()) {
            builder.add_root_certificate(root);
        }
        if let Some(identity) = &settings.identity {
            builder.identity(identity.clone());
        }
        let connector = builder.build().map_err(|error| words::plainly(&error.to_string()))?;
        Ok(Self { connector, checks, settings })
    }

    pub(super) fn start(&self, name: &ServerName<'static>) -> Result<Engine, Error> {
        let wire = Wire::default();
        let name = name.to_str();
        let state = match self.connector.connect(name.trim_end_matches('.'), wire.clone()) {
            Ok(stream) => State::Sealed(stream),
            Err(HandshakeError::WouldBlock(shaking)) => State::Shaking(shaking),
            Err(HandshakeError::Failure(error)) => {
                return Err(Error::new(Exit::OsErr, "starting TLS", words::plainly(&error.to_string())));
            }
        };
        let Settings { start, min_version, .. } = self.settings;
        let checks = self.checks.clone();
        let (listener, clear, chain) = (Listener::default(), Vec::new(), Vec::new());
        Ok(Engine { state, wire, listener, clear, chain, checks, start, min_version })
    }
}

fn protocol(version: config::Version) -> Protocol {
    match version {
        config::Version::Tls10 => Protocol::Tlsv10,
        config::Version::Tls11 => Protocol::Tlsv11,
        config::Version::Tls12 => Protocol::Tlsv12,
        config::Version::Tls13 => Protocol::Tlsv13,
    }
}

impl Engine {
    pub(super) fn is_handshaking(&self) -> bool {
        !matches!(self.state, State::Sealed(_) | State::Over)
    }

    pub(super) fn wants_write(&self) -> bool {
        !self.wire.0.borrow().going.is_empty()
    }

    pub(super) fn write_tls(&mut self, into: &mut dyn Write) -> io::Result<usize> {
        let going = &mut self.wire.0.borrow_mut().going;
        let written = into.write(going)?;
        going.drain(..written);
        Ok(written)
    }

    pub(super) fn read_tls(&mut self, from: &mut dyn Read) -> io::Result<usize> {
        let coming = &mut self.wire.0.borrow_mut().coming;
        let before = coming.len();
        coming.resize(before + READ, 0);
        let read = from.read(coming.get_mut(before..).unwrap_or_default());
        coming.truncate(before + read.as_ref().map_or(0, |length| *length));
        self.listener.feed(coming.get(before..).unwrap_or_default());
        read
    }

    pub(super) fn process(&mut self) -> Result<(), Broken> {
        if self.listener.renegotiates() {
            self.state = State::Broken;
            return Err(Broken::Failed("the server wants to negotiate TLS anew, which nobody needs".to_owned()));
        }
        self.state = match std::mem::replace(&mut self.state, State::Broken) {
            State::Shaking(shaking) => match shaking.handshake() {
                Ok(stream) => {
                    self.chain = shown(&stream, &self.listener);
                    State::Sealed(stream)
                }
                Err(HandshakeError::WouldBlock(shaking)) => State::Shaking(shaking),
                Err(HandshakeError::Failure(error)) => return Err(self.broken(&error.to_string())),
            },
            other => other,
        };
        self.decipher()
    }

    /// Reads as far as octets have come.
    fn decipher(&mut self) -> Result<(), Broken> {
        let mut record = [0; RECORD];
        while let State::Sealed(stream) = &mut self.state {
            match stream.read(&mut record) {
                Ok(0) => self.state = State::Over,
                Ok(length) => self.clear.extend_from_slice(record.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    let why = words::explain(&error.to_string(), self.start, self.min_version);
                    return Err(Broken::Failed(if self.listener.is_lost() { format!("what came is no TLS: {why}") } else { why }));
                }
            }
        }
        Ok(())
    }

    fn broken(&self, error: &str) -> Broken {
        if self.listener.is_lost() {
            return Broken::Failed(super::words::plaintext(self.start).to_owned());
        }
        match words::refusal(error).filter(|_| matches!(self.checks, Checks::Chain)) {
            Some(finding) => Broken::Refused(finding),
            None => Broken::Failed(words::explain(error, self.start, self.min_version)),
        }
    }

    /// Seals one record.
    pub(super) fn seal(&mut self, clear: &[IoSlice<'_>]) -> io::Result<usize> {
        let State::Sealed(stream) = &mut self.state else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut record = Vec::with_capacity(RECORD.min(clear.iter().map(|slice| slice.len()).sum()));
        for slice in clear {
            let room = RECORD - record.len();
            record.extend_from_slice(slice.get(..room).unwrap_or(slice));
        }
        stream.write(&record)
    }

    pub(super) fn open(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.clear.is_empty() {
            return if matches!(self.state, State::Over) { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let length = self.clear.as_slice().read(into)?;
        self.clear.drain(..length);
        Ok(length)
    }

    pub(super) fn facts(&self) -> Facts {
        if self.is_handshaking() {
            return Facts::default();
        }
        let agreed = self.listener.agreed();
        Facts {
            version: agreed.version.map(words::version_name),
            cipher: agreed.suite.map(words::cipher_name),
            group: agreed.group.map(words::group_name),
            resumed: agreed.resumed,
            certificate: self.chain.first().map(|der| leaf::describe(der)),
        }
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(super) fn verdict(&self, rules: &Rules) -> Verdict {
        match &self.checks {
            Checks::None => rules.verdict(&self.chain).map_err(|finding| self.unless_sealed(finding, rules)),
            Checks::Chain => rules.vouched(&self.chain),
            Checks::Refused(finding) => rules.refused(&self.chain, finding),
        }
    }
}

impl Engine {
    /// A finding, and that the certificates above the server's own were not seen where they might have mattered.
    fn unless_sealed(&self, finding: Finding, rules: &Rules) -> Finding {
        if !rules.needs_chain() || !self.listener.agreed().chain.is_empty() {
            return finding;
        }
        let why = "with native-tls and TLS 1.3 no certificate above the server's own is seen, of which usage 2 speaks";
        Finding::new(finding.failure, format!("{}; {why}", finding.detail))
    }
}

/// The certificates that are known of a server, its own first: all before TLS 1.3, later that one alone.
fn shown(stream: &TlsStream<Wire>, listener: &Listener) -> Vec<CertificateDer<'static>> {
    let own = stream.peer_certificate().ok().flatten().and_then(|certificate| certificate.to_der().ok());
    let chain = &listener.agreed().chain;
    let own: Vec<Vec<u8>> = own.into_iter().collect();
    // What the library holds for the server's own counts, whatever was overheard.
    let known = if chain.first() == own.first() { chain } else { &own };
    known.iter().cloned().map(CertificateDer::from).collect()
}

/// The library's idea of a socket: what has come, and what is to go.
#[derive(Clone, Debug, Default)]
struct Wire(Rc<RefCell<Buffers>>);

#[derive(Debug, Default)]
struct Buffers {
    coming: Vec<u8>,
    going: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let coming = &mut self.0.borrow_mut().coming;
        let length = coming.as_slice().read(into)?;
        coming.drain(..length);
        // The end of the stream is seen by whoever reads the socket.
        if length == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(length) }
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().going.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
