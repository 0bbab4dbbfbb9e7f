//! How does rustls seal a connection? (RFC 8446, 5246)

mod words;

use std::{
    io::{self, IoSlice, Read, Write},
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
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
    version::{TLS12, TLS13},
};
use webpki::{EndEntityCert, RawPublicKeyEntity};

use super::{Broken, identity, unfit};
use crate::{
    error::{Error, Exit},
    host::{config, hybrid},
    mail::{
        policy::Start,
        tls::{Facts, Finding},
    },
    smtp::leaf,
};

/// What all connections to one account's server share.
#[derive(Clone, Debug)]
pub(super) struct Client {
    config: Arc<ClientConfig>,
    start: Start,
    only_tls13: bool,
}

/// The state of TLS on one connection.
#[derive(Debug)]
pub(super) struct Engine {
    connection: ClientConnection,
    start: Start,
    only_tls13: bool,
}

impl Client {
    /// Reads the client's own certificate where one is configured.
    pub(super) fn new(settings: &config::Tls) -> Result<Self, Error> {
        let config = Arc::new(client_config(settings)?);
        Ok(Self { config, start: settings.demand.start, only_tls13: settings.min_version == config::Version::Tls13 })
    }

    /// It refuses nobody by itself.
    pub(super) fn looking_away(&self, _: Finding) -> Self {
        self.clone()
    }

    pub(super) fn start(&self, name: &ServerName<'static>) -> Result<Engine, Error> {
        let mut connection = ClientConnection::new(self.config.clone(), name.clone())
            .map_err(|error| Error::new(Exit::OsErr, "starting TLS", error.to_string()))?;
        connection.set_buffer_limit(None);
        Ok(Engine { connection, start: self.start, only_tls13: self.only_tls13 })
    }
}

impl Engine {
    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    pub(super) fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    pub(super) fn write_tls(&mut self, into: &mut dyn Write) -> io::Result<usize> {
        self.connection.write_tls(into)
    }

    pub(super) fn read_tls(&mut self, from: &mut dyn Read) -> io::Result<usize> {
        self.connection.read_tls(from)
    }

    pub(super) fn process(&mut self) -> Result<(), Broken> {
        self.connection.process_new_packets().map(|_| ()).map_err(|error| Broken::Failed(self.explain(&error)))
    }

    pub(super) fn seal(&mut self, clear: &[IoSlice<'_>]) -> io::Result<usize> {
        self.connection.writer().write_vectored(clear)
    }

    pub(super) fn open(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.connection.reader().read(into)
    }

    pub(super) fn facts(&self) -> Facts {
        let connection = &self.connection;
        Facts {
            version: connection.protocol_version().map(words::version_name),
            cipher: connection.negotiated_cipher_suite().map(|suite| words::cipher_name(suite.suite())),
            group: connection.negotiated_key_exchange_group().map(|group| words::group_name(group.name())),
            resumed: connection.handshake_kind().map(|kind| kind == HandshakeKind::Resumed),
            certificate: self.chain().first().map(|der| leaf::describe(der)),
        }
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        self.connection.peer_certificates().unwrap_or_default()
    }

    pub(super) fn channel_binding(&self) -> Option<[u8; 32]> {
        let sealed = self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let export = || self.connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None).ok();
        if sealed { export() } else { None }
    }

    fn explain(&self, error: &rustls::Error) -> String {
        if matches!(error, rustls::Error::InvalidMessage(_)) && !self.connection.is_handshaking() {
            return format!("what came is no TLS: {error}");
        }
        words::explain(error, self.start, self.only_tls13)
    }
}

fn client_config(settings: &config::Tls) -> Result<ClientConfig, Error> {
    let provider = hybrid::provider();
    let verifier = Recorder { algorithms: provider.signature_verification_algorithms };
    let versions: &[_] = if settings.min_version == config::Version::Tls13 { &[&TLS13] } else { &[&TLS13, &TLS12] };
    let unusable = |error: rustls::Error| Error::new(Exit::Software, "preparing TLS", error.to_string());
    let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions).map_err(unusable)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &settings.client_identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let (certificates, key_der) = identity(chain, key)?;
            builder.with_client_auth_cert(certificates, key_der).map_err(|error| unfit(chain, key, error.to_string()))?
        }
    };
    // A resumed session shows no certificate, so there would be nothing to judge.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Lets every certificate pass for now, but never a peer who can't prove that it holds the key: what passes here is judged by
/// [`super::Handshake::verdict`] before any message or secret may go.
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
