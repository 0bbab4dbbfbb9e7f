//! How is a connection sealed, and what is then known of the peer? (RFC 8446, 5246; sealpost(1), "TLS policy")
//!
//! Bytes are moved by whoever drives a [`Handshake`]; nothing here touches a network. Trust never ends a handshake: it is
//! judged afterwards, from [`Handshake::verdict`], so that a peer who can't be trusted is still described.

#[cfg(feature = "native-tls")]
mod native;
mod rust;
mod trust;
mod words;

use std::{
    borrow::Cow,
    fmt,
    io::{self, IoSlice, Read, Write},
    path::Path,
    sync::Arc,
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem, pem::PemObject};
use trust::Rules;
use zeroize::Zeroizing;

use super::{careful, config};
use crate::{
    error::{Error, Exit},
    mail::tls::{Facts, Failure, Finding, Verdict},
    smtp::tlsa::Record,
};

/// The largest certificate chain or key of our own.
const LARGEST_IDENTITY: u64 = 1 << 20;

/// Makes the TLS side of connections to one account's server.
#[derive(Clone, Debug)]
pub struct Connector {
    client: Client,
    rules: Arc<Rules>,
}

#[derive(Clone, Debug)]
enum Client {
    Rust(rust::Client),
    #[cfg(feature = "native-tls")]
    Native(native::Client),
}

/// What was found out about a server before the connection, as far as the account's trust needs it.
#[derive(Clone, Debug, Default)]
pub enum Known {
    /// Nothing is needed.
    #[default]
    Nothing,
    /// `trust = "tofu"`: SHA-256 of the `SubjectPublicKeyInfo` that was seen first; `None`: this is the first time.
    Key(Option<[u8; 32]>),
    /// `trust = "dane"`: what DNSSEC vouches for (RFC 7672).
    Tlsa {
        /// The records; none where there are none.
        records: Vec<Record>,
        /// The TLSA base domain, which SNI names, then the host: what a certificate may bear where names count.
        names: Vec<String>,
    },
}

impl Connector {
    /// Prepares what all connections to `target` share. Reads the client's own certificate where one is configured; the
    /// authorities are read by the first verdict that needs them, with native-tls at once.
    ///
    /// # Errors
    /// `EX_CONFIG`: a server name that is none, a client certificate or key that can't be used, a backend that is not built in.
    pub fn new(settings: &config::Tls, target: &config::Target, known: Known) -> Result<Self, Error> {
        // A base domain that could be in no certificate is no name to ask for either.
        let base = match &known {
            Known::Tlsa { names, .. } => names.first().and_then(|name| ServerName::try_from(name.clone()).ok()),
            _ => None,
        };
        let name = base.map_or_else(|| server_name(settings, target), Ok)?;
        let rules = Rules::new(settings, name, known);
        let client = match settings.backend {
            // Where no TLS is wanted none is prepared that costs something.
            config::Backend::NativeTls if settings.demand.policy.wants_tls() => native(settings, &rules)?,
            _ => Client::Rust(rust::Client::new(settings)?),
        };
        Ok(Self { client, rules: Arc::new(rules) })
    }

    /// The same for another connection to a server whose certificate the library refused without showing it
    /// ([`Broken::Refused`]): this one looks away, so that the certificate is seen, and the verdict knows the finding.
    ///
    /// # Errors
    /// `EX_SOFTWARE`: the library can't be set up.
    pub fn looking_away(&self, finding: Finding) -> Result<Self, Error> {
        let client = match &self.client {
            Client::Rust(client) => Client::Rust(client.looking_away(finding)),
            #[cfg(feature = "native-tls")]
            Client::Native(client) => Client::Native(client.looking_away(finding)?),
        };
        Ok(Self { client, rules: self.rules.clone() })
    }

    /// Why the library refused the server on the connection before; `None` where there was none.
    pub fn refusal(&self) -> Option<&Finding> {
        match &self.client {
            Client::Rust(_) => None,
            #[cfg(feature = "native-tls")]
            Client::Native(client) => client.refusal(),
        }
    }

    /// Begins a handshake; its first flight waits to be written.
    ///
    /// # Errors
    /// `EX_OSERR` where the system gives no random numbers.
    pub fn start(&self) -> Result<Handshake, Error> {
        let engine = match &self.client {
            Client::Rust(client) => Engine::Rust(client.start(&self.rules.name)?),
            #[cfg(feature = "native-tls")]
            Client::Native(client) => Engine::Native(client.start(&self.rules.name)?),
        };
        Ok(Handshake { engine, rules: self.rules.clone() })
    }
}

/// What `settings` would say of a server that showed `chain` to somebody who wanted `target`.
///
/// # Errors
/// The finding, as [`Handshake::verdict`] has it.
pub fn opinion(settings: &config::Tls, target: &config::Target, known: Known, chain: &[CertificateDer<'_>]) -> Verdict {
    let unnamed = |error: Error| Finding::new(Failure::ValidationFailure, error.because());
    let name = server_name(settings, target).map_err(unnamed)?;
    Rules::new(settings, name, known).verdict(chain)
}

/// One handshake, and the sealed connection that comes of it. Its sealed bytes are to be carried between it and the socket.
#[derive(Debug)]
pub struct Handshake {
    engine: Engine,
    rules: Arc<Rules>,
}

/// The library at work.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "one is made for a connection, and boxed there")]
enum Engine {
    Rust(rust::Engine),
    #[cfg(feature = "native-tls")]
    Native(native::Engine),
}

/// Does the same with the library at work, whichever it is.
macro_rules! either {
    ($engine:expr, $it:ident => $does:expr) => {
        match $engine {
            Engine::Rust($it) => $does,
            #[cfg(feature = "native-tls")]
            Engine::Native($it) => $does,
        }
    };
}

/// Why TLS ended before its time, for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The handshake failed, or what came is no TLS.
    Failed(String),
    /// The library does not believe the certificate, and did not show it: [`Connector::looking_away`] can.
    Refused(Finding),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => f.write_str(why),
            Self::Refused(finding) => finding.fmt(f),
        }
    }
}

impl Handshake {
    /// Whether the handshake is still to be finished.
    pub fn is_handshaking(&self) -> bool {
        either!(&self.engine, it => it.is_handshaking())
    }

    /// Whether sealed bytes wait to be written.
    pub fn wants_write(&self) -> bool {
        either!(&self.engine, it => it.wants_write())
    }

    /// Writes sealed bytes, with one write; how many.
    ///
    /// # Errors
    /// Those of the write.
    pub fn write_tls(&mut self, into: &mut dyn Write) -> io::Result<usize> {
        either!(&mut self.engine, it => it.write_tls(into))
    }

    /// Reads sealed bytes, with one read; how many, none at the end of the stream. [`Handshake::process`] is to follow.
    ///
    /// # Errors
    /// Those of the read.
    pub fn read_tls(&mut self, from: &mut dyn Read) -> io::Result<usize> {
        either!(&mut self.engine, it => it.read_tls(from))
    }

    /// Makes of what was read what it is good for: the next flight of the handshake, or clear bytes. After an error an alert
    /// for the server may wait to be written, and the connection is of no more use.
    ///
    /// # Errors
    /// Why it failed, for a person: names the alert, and recognises a port that speaks something else.
    pub fn process(&mut self) -> Result<(), Broken> {
        either!(&mut self.engine, it => it.process())
    }

    /// Seals clear bytes, as much as goes together; how many.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub fn seal(&mut self, clear: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(&mut self.engine, it => it.seal(clear))
    }

    /// Takes clear bytes that came; none after the server's farewell.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has come.
    pub fn open(&mut self, into: &mut [u8]) -> io::Result<usize> {
        either!(&mut self.engine, it => it.open(into))
    }

    /// What was agreed and shown; empty before the handshake is finished.
    pub fn facts(&self) -> Facts {
        either!(&self.engine, it => it.facts())
    }

    /// What the account's trust says of the peer. Reads authorities and revocation lists where that trust needs them.
    ///
    /// With `trust = "any"` the answer is always yes, and that nobody looked.
    ///
    /// # Errors
    /// The finding: what is wrong with the peer, or why it could not be checked.
    pub fn verdict(&self) -> Verdict {
        if self.is_handshaking() {
            return Err(Finding::new(Failure::ValidationFailure, "the TLS handshake is not finished"));
        }
        match &self.engine {
            Engine::Rust(engine) => self.rules.verdict(engine.chain()),
            #[cfg(feature = "native-tls")]
            Engine::Native(engine) => engine.verdict(&self.rules),
        }
    }

    /// The channel binding `tls-exporter` for SCRAM-*-PLUS (RFC 9266); only TLS 1.3 has one that is safe and agreed upon, and
    /// native-tls tells none.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        match &self.engine {
            Engine::Rust(engine) => engine.channel_binding(),
            #[cfg(feature = "native-tls")]
            Engine::Native(_) => None,
        }
    }

    /// The certificates that the server showed, its own first; none before the handshake is finished. native-tls tells its own
    /// alone, but those before TLS 1.3 are overheard.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        either!(&self.engine, it => it.chain())
    }
}

#[cfg(feature = "native-tls")]
fn native(settings: &config::Tls, rules: &Rules) -> Result<Client, Error> {
    native::Client::new(settings, rules).map(Client::Native)
}

#[cfg(not(feature = "native-tls"))]
fn native(_: &config::Tls, _: &Rules) -> Result<Client, Error> {
    Err(Error::new(Exit::Config, "preparing TLS", config::WITHOUT_NATIVE_TLS))
}

/// Our own certificates and their key.
fn identity(chain: &Path, key: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let read = |path: &Path| careful::read(path, LARGEST_IDENTITY).map(Zeroizing::new).map_err(pem::Error::Io);
    let certificates = read(chain).and_then(|text| CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>());
    let certificates = certificates.map_err(|error| unusable_pem("client_cert", chain, &error))?;
    if certificates.is_empty() {
        return Err(unusable_pem("client_cert", chain, &pem::Error::NoItemsFound));
    }
    let key_der =
        read(key).and_then(|text| PrivateKeyDer::from_pem_slice(&text)).map_err(|error| unusable_pem("client_key", key, &error))?;
    Ok((certificates, key_der))
}

/// What the library says of a certificate and a key of ours that don't go together.
fn unfit(chain: &Path, key: &Path, because: String) -> Error {
    Error::new(Exit::Config, format!("using client_cert {} with client_key {}", chain.display(), key.display()), because)
        .hint("the key must be the one of the first certificate in client_cert")
}

/// What PEM holds is never shown: it may be a key.
fn unusable_pem(what: &str, path: &Path, error: &pem::Error) -> Error {
    let because = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => {
            format!("the file holds no {} in PEM form", if what == "client_key" { "private key" } else { "certificate" })
        }
        _ => "the file is not valid PEM".to_owned(),
    };
    let exit = if let pem::Error::Io(error) = error { careful::exit(error) } else { Exit::Config };
    Error::new(exit, format!("reading {what} {}", path.display()), because)
}

/// The configured name or the host, never one that DNS said. A unix socket is this machine.
fn server_name(settings: &config::Tls, target: &config::Target) -> Result<ServerName<'static>, Error> {
    let name = match (&settings.server_name, target) {
        (Some(name), _) | (None, config::Target::Name(name, _)) => name.as_str(),
        (None, config::Target::Address(address, _)) => return Ok(ServerName::from(*address)),
        (None, config::Target::Service(domain)) => domain,
        (None, config::Target::Unix(_)) => "localhost",
    };
    let ascii = match name {
        name if name.is_ascii() => Some(Cow::Borrowed(name)),
        name => idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::EMPTY).ok(),
    };
    ascii.and_then(|name| ServerName::try_from(name.into_owned()).ok()).ok_or_else(|| {
        Error::new(Exit::Config, "preparing TLS", format!("\"{name}\" can't be a server's name in a certificate"))
            .hint("set server_name to the name that the server's certificate bears")
    })
}

#[cfg(test)]
mod tests;
