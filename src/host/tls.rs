//! How is a connection sealed, and what is then known of the peer? (RFC 8446, 5246; sealpost(1), "TLS policy")
//!
//! Bytes are moved by whoever drives a [`Handshake`]; nothing here touches a network. Trust never ends a handshake: it is
//! judged afterwards, from [`Handshake::verdict`], so that a peer who can't be trusted is still described.

mod rust;
mod trust;

use std::{
    borrow::Cow,
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
};

/// The largest certificate chain or key of our own.
const LARGEST_IDENTITY: u64 = 1 << 20;

/// Makes the TLS side of connections to one account's server.
#[derive(Clone, Debug)]
pub struct Connector {
    client: rust::Client,
    rules: Arc<Rules>,
}

/// What was found out about a server before the connection, as far as the account's trust needs it.
#[derive(Clone, Debug, Default)]
pub enum Known {
    /// Nothing is needed.
    #[default]
    Nothing,
    /// `trust = "tofu"`: SHA-256 of the `SubjectPublicKeyInfo` that was seen first; `None`: this is the first time.
    Key(Option<[u8; 32]>),
}

impl Connector {
    /// Prepares what all connections to `target` share. Reads the client's own certificate where one is configured; the
    /// authorities are read by the first verdict that needs them.
    ///
    /// # Errors
    /// `EX_CONFIG`: a server name that is none, a client certificate or key that can't be used, a trust that is not there yet.
    pub fn new(settings: &config::Tls, target: &config::Target, known: Known) -> Result<Self, Error> {
        let rules = Rules::new(settings, server_name(settings, target)?, known);
        Ok(Self { client: rust::Client::new(settings)?, rules: Arc::new(rules) })
    }

    /// Begins a handshake; its first flight waits to be written.
    ///
    /// # Errors
    /// `EX_OSERR` where the system gives no random numbers.
    pub fn start(&self) -> Result<Handshake, Error> {
        Ok(Handshake { engine: self.client.start(&self.rules.name)?, rules: self.rules.clone() })
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
    engine: rust::Engine,
    rules: Arc<Rules>,
}

impl Handshake {
    /// Whether the handshake is still to be finished.
    pub fn is_handshaking(&self) -> bool {
        self.engine.is_handshaking()
    }

    /// Whether sealed bytes wait to be written.
    pub fn wants_write(&self) -> bool {
        self.engine.wants_write()
    }

    /// Writes sealed bytes, with one write; how many.
    ///
    /// # Errors
    /// Those of the write.
    pub fn write_tls(&mut self, into: &mut dyn Write) -> io::Result<usize> {
        self.engine.write_tls(into)
    }

    /// Reads sealed bytes, with one read; how many, none at the end of the stream. [`Handshake::process`] is to follow.
    ///
    /// # Errors
    /// Those of the read.
    pub fn read_tls(&mut self, from: &mut dyn Read) -> io::Result<usize> {
        self.engine.read_tls(from)
    }

    /// Makes of what was read what it is good for: the next flight of the handshake, or clear bytes. After an error an alert
    /// for the server may wait to be written, and the connection is of no more use.
    ///
    /// # Errors
    /// Why it failed, for a person: names the alert, and recognises a port that speaks something else.
    pub fn process(&mut self) -> Result<(), String> {
        self.engine.process()
    }

    /// Seals clear bytes, as much as goes together; how many.
    ///
    /// # Errors
    /// The connection is of no more use.
    pub fn seal(&mut self, clear: &[IoSlice<'_>]) -> io::Result<usize> {
        self.engine.seal(clear)
    }

    /// Takes clear bytes that came; none after the server's farewell.
    ///
    /// # Errors
    /// `WouldBlock` where nothing has come.
    pub fn open(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.engine.open(into)
    }

    /// What was agreed and shown; empty before the handshake is finished.
    pub fn facts(&self) -> Facts {
        self.engine.facts()
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
        self.rules.verdict(self.chain())
    }

    /// The channel binding `tls-exporter` for SCRAM-*-PLUS (RFC 9266); only TLS 1.3 has one that is safe and agreed upon.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        self.engine.channel_binding()
    }

    /// The certificates that the server showed, its own first; none before the handshake is finished.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.engine.chain()
    }
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

/// What PEM holds is never shown: it may be a key.
fn unusable_pem(what: &str, path: &Path, error: &pem::Error) -> Error {
    let because = match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => {
            format!("the file holds no {} in PEM form", if what == "client_key" { "private key" } else { "certificate" })
        }
        _ => "the file is not valid PEM".to_owned(),
    };
    Error::new(Exit::Config, format!("reading {what} {}", path.display()), because)
}

/// The configured name or the host, never one that DNS said. A unix socket is this machine.
fn server_name(settings: &config::Tls, target: &config::Target) -> Result<ServerName<'static>, Error> {
    let name = match (&settings.server_name, target) {
        (Some(name), _) | (None, config::Target::Name(name, _)) => name.as_str(),
        (None, config::Target::Address(address, _)) => return Ok(ServerName::from(*address)),
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
