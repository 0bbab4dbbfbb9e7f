//! How is a connection sealed, and what is then known of the peer? (RFC 8446, 5246; sealpost(1), "TLS policy")
//!
//! Bytes are moved by whoever drives [`Handshake::connection`]; nothing here blocks on a network. Trust never ends a
//! handshake: it is judged afterwards, from [`Handshake::verdict`], so that a peer who can't be trusted is still described.

use std::{
    borrow::Cow,
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, PeerMisbehaved, ProtocolVersion,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime, pem, pem::PemObject},
    version::{TLS12, TLS13},
};
use webpki::{EndEntityCert, RawPublicKeyEntity};
use zeroize::Zeroizing;

use super::{careful, config, hybrid};
use crate::{
    error::{Error, Exit},
    mail::{
        policy::{Start, Trust},
        tls::{Facts, Failure, Finding, Standing, Verdict},
    },
    smtp::{
        anchors::{Anchors, Search},
        certificate::{self, Authorities, Peer},
        leaf,
    },
};

/// Where systems keep their authorities as one file: Debian, Fedora, RHEL, openSUSE, Alpine and the BSDs, FreeBSD, NetBSD.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
    "/etc/openssl/certs/ca-certificates.crt",
];

/// The largest bundle or revocation list, in octets; real ones have a few hundred KiB.
const LARGEST: u64 = 64 << 20;
/// The largest certificate chain or key of our own.
const LARGEST_IDENTITY: u64 = 1 << 20;

/// Makes the TLS side of connections to one account's server.
#[derive(Clone, Debug)]
pub struct Connector {
    config: Arc<ClientConfig>,
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

/// What an account asks of the peer.
#[derive(Debug)]
struct Rules {
    name: ServerName<'static>,
    start: Start,
    only_tls13: bool,
    trust: Trust,
    ca_file: Option<PathBuf>,
    crl_file: Option<PathBuf>,
    pins: Vec<[u8; 32]>,
    known: Known,
}

impl Connector {
    /// Prepares what all connections to `target` share. Reads the client's own certificate where one is configured; the
    /// authorities are read by the first verdict that needs them.
    ///
    /// # Errors
    /// `EX_CONFIG`: a server name that is none, a client certificate or key that can't be used, a trust that is not there yet.
    pub fn new(settings: &config::Tls, target: &config::Target, known: Known) -> Result<Self, Error> {
        let rules = Rules::new(settings, server_name(settings, target)?, known);
        Ok(Self { config: Arc::new(client_config(settings)?), rules: Arc::new(rules) })
    }

    /// Begins a handshake; its first flight waits in the connection.
    ///
    /// # Errors
    /// `EX_OSERR` where the system gives no random numbers.
    pub fn start(&self) -> Result<Handshake, Error> {
        let connection = ClientConnection::new(self.config.clone(), self.rules.name.clone())
            .map_err(|error| Error::new(Exit::OsErr, "starting TLS", error.to_string()))?;
        Ok(Handshake { connection, rules: self.rules.clone() })
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

/// One handshake, and the sealed connection that comes of it.
#[derive(Debug)]
pub struct Handshake {
    /// The state of TLS: its bytes are to be carried between it and the socket.
    pub connection: ClientConnection,
    rules: Arc<Rules>,
}

impl Handshake {
    /// What was agreed and shown; empty before the handshake is finished.
    pub fn facts(&self) -> Facts {
        let connection = &self.connection;
        Facts {
            version: connection.protocol_version().map(words::version_name),
            cipher: connection.negotiated_cipher_suite().map(|suite| words::cipher_name(suite.suite())),
            group: connection.negotiated_key_exchange_group().map(|group| words::group_name(group.name())),
            resumed: connection.handshake_kind().map(|kind| kind == HandshakeKind::Resumed),
            certificate: self.chain().first().map(|der| leaf::describe(der)),
        }
    }

    /// What the account's trust says of the peer. Reads authorities and revocation lists where that trust needs them.
    ///
    /// With `trust = "any"` the answer is always yes, and that nobody looked.
    ///
    /// # Errors
    /// The finding: what is wrong with the peer, or why it could not be checked.
    pub fn verdict(&self) -> Verdict {
        if self.connection.is_handshaking() {
            return Err(Finding::new(Failure::ValidationFailure, "the TLS handshake is not finished"));
        }
        self.rules.verdict(self.chain())
    }

    /// The channel binding `tls-exporter` for SCRAM-*-PLUS (RFC 9266); only TLS 1.3 has one that is safe and agreed upon.
    pub fn channel_binding(&self) -> Option<[u8; 32]> {
        let sealed = self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let export = || self.connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).ok();
        if sealed { export() } else { None }
    }

    /// Why the handshake failed, for a person: names the alert, and recognises a port that speaks something else.
    pub fn explain(&self, error: &rustls::Error) -> String {
        if matches!(error, rustls::Error::InvalidMessage(_)) && !self.connection.is_handshaking() {
            return format!("what came is no TLS: {error}");
        }
        words::explain(error, self.rules.start, self.rules.only_tls13)
    }

    /// The certificates that the server showed, its own first; none before the handshake is finished.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }
}

impl Rules {
    fn new(settings: &config::Tls, name: ServerName<'static>, known: Known) -> Self {
        Self {
            name,
            known,
            start: settings.demand.start,
            only_tls13: settings.only_tls13,
            trust: settings.demand.trust,
            ca_file: settings.ca_file.clone(),
            crl_file: settings.crl_file.clone(),
            pins: settings.pins.clone(),
        }
    }

    fn verdict(&self, chain: &[CertificateDer<'_>]) -> Verdict {
        match (self.trust, &self.known) {
            (Trust::Any, _) => Ok(Standing::Unchecked),
            (Trust::Pin, _) => certificate::by_pin(chain, &self.pins),
            (Trust::System, _) => self.by_authority(chain),
            (Trust::Tofu, Known::Key(remembered)) => certificate::by_first_use(chain, remembered.as_ref()),
            (Trust::Tofu | Trust::Dane, _) => {
                Err(Finding::new(Failure::ValidationFailure, "nothing was found out about the server beforehand"))
            }
        }
    }

    fn by_authority(&self, chain: &[CertificateDer<'_>]) -> Verdict {
        let unreadable = |what: &str, path: &Path, error: &io::Error| {
            Finding::new(Failure::ValidationFailure, format!("can't read {what} {}: {error}", path.display()))
        };
        let bundle = match &self.ca_file {
            Some(path) => {
                careful::open_bounded(path, LARGEST).map(|file| (path.clone(), file)).map_err(|e| unreadable("ca_file", path, &e))
            }
            None => system_bundle(std::env::var_os("SSL_CERT_FILE"), SYSTEM_BUNDLES)
                .map_err(|why| Finding::new(Failure::ValidationFailure, why)),
        };
        let (origin, bundle) = bundle?;
        let anchors = search(bundle, chain).map_err(|error| unreadable("the certificate authorities in", &origin, &error))?;
        let lists = match &self.crl_file {
            Some(path) => Some(careful::read(path, LARGEST).map_err(|error| unreadable("crl_file", path, &error))?),
            None => None,
        };
        let peer = Peer { chain, name: &self.name, now: UnixTime::now() };
        certificate::by_authority(
            peer,
            Authorities { anchors: anchors.as_ref(), origin: &origin.to_string_lossy(), revoked: lists.as_deref() },
        )
    }
}

/// The bundle that `named` (`SSL_CERT_FILE`, as OpenSSL has it) says, else the first of `places` that exists.
fn system_bundle(named: Option<OsString>, places: &[&str]) -> Result<(PathBuf, io::Take<File>), String> {
    let unreadable =
        |path: &Path, error: &io::Error| format!("can't read the certificate authorities in {}: {error}", path.display());
    if let Some(path) = named.filter(|path| !path.is_empty()).map(PathBuf::from) {
        return careful::open_bounded(&path, LARGEST).map_err(|error| unreadable(&path, &error)).map(|file| (path, file));
    }
    for path in places.iter().map(PathBuf::from) {
        match careful::open_bounded(&path, LARGEST) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Err("this system has no bundle of certificate authorities: install ca-certificates, or set ca_file".to_owned())
}

/// Reads the bundle through once, without keeping it.
fn search(mut bundle: io::Take<File>, chain: &[CertificateDer<'_>]) -> io::Result<Option<Anchors>> {
    let mut search = Search::new(chain);
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match bundle.read(&mut buffer) {
            Ok(0) => return Ok(search.finish()),
            Ok(length) => search.feed(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn client_config(settings: &config::Tls) -> Result<ClientConfig, Error> {
    let provider = hybrid::provider();
    let verifier = Recorder { algorithms: provider.signature_verification_algorithms };
    let versions: &[_] = if settings.only_tls13 { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let unusable = |error: rustls::Error| Error::new(Exit::Software, "preparing TLS", error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions).map_err(unusable)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &settings.client_identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let (certificates, key_der) = client_identity(chain, key)?;
            builder.with_client_auth_cert(certificates, key_der).map_err(|error| {
                Error::new(
                    Exit::Config,
                    format!("using client_cert {} with client_key {}", chain.display(), key.display()),
                    error.to_string(),
                )
                .hint("the key must be the one of the first certificate in client_cert")
            })?
        }
    };
    // A resumed session shows no certificate, so there would be nothing to judge.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn client_identity(chain: &Path, key: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
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

/// Lets every certificate pass for now, but never a peer who can't prove that it holds the key: what passes here is judged by
/// [`Handshake::verdict`] before any message or secret may go.
#[derive(Debug)]
struct Recorder {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match bare_key(certificate) {
            None => verify_tls12_signature(message, certificate, signed, &self.algorithms),
            Some(key) => self.verify_tls12_with_key(message, &key, signed),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match bare_key(certificate) {
            None => verify_tls13_signature(message, certificate, signed, &self.algorithms),
            Some(key) => verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Recorder {
    /// In TLS 1.2 the scheme does not name the curve, so each algorithm of the scheme is tried.
    fn verify_tls12_with_key(
        &self,
        message: &[u8],
        key: &SubjectPublicKeyInfoDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = RawPublicKeyEntity::try_from(key).map_err(|_| CertificateError::BadEncoding)?;
        let (_, algorithms) = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        if algorithms.iter().any(|algorithm| key.verify_signature(*algorithm, message, signed.signature()).is_ok()) {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(CertificateError::BadSignature.into())
        }
    }
}

/// The key of a certificate that webpki won't read: X.509 version 1, as `openssl x509 -req` makes them, or odd extensions.
/// Such a server is never trusted by authority, but a pin or an opportunistic account can do with the proof of its key.
fn bare_key<'a>(certificate: &'a CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'a>> {
    match EndEntityCert::try_from(certificate) {
        Ok(_) => None,
        Err(_) => leaf::public_key(certificate).map(SubjectPublicKeyInfoDer::from),
    }
}

#[cfg(test)]
mod tests;
mod words;
