//! Handshakes in this process: our client against rustls servers of every kind, byte by byte without a socket.

mod files;
#[cfg(feature = "native-tls")]
mod limbo;
mod link;
mod verdict;

use std::{
    fs::File,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    HandshakeKind, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
    crypto::{CryptoProvider, SupportedKxGroup, ring::kx_group},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use super::*;
use crate::{
    host::{
        hybrid,
        net::{Link, Lost},
    },
    mail::{
        policy::{Demand, Policy, Start, Trust},
        tls::Standing,
    },
    smtp::{client::Flight, leaf},
};

/// The libraries that are built in.
const BACKENDS: &[config::Backend] =
    if cfg!(feature = "native-tls") { &[config::Backend::Rustls, config::Backend::NativeTls] } else { &[config::Backend::Rustls] };

/// A file that is gone when the test ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(content: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sealpost-tls-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

struct World {
    root: rcgen::Certificate,
    ca: Issuer<'static, KeyPair>,
}

impl World {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Test Root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self { root: params.self_signed(&key).unwrap(), ca: Issuer::new(params, key) }
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec!["mx.test".to_owned(), "192.0.2.1".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Identity { chain: vec![params.signed_by(&key, &self.ca).unwrap().der().clone()], key }
    }
}

fn settings(trust: Trust) -> config::Tls {
    config::Tls::new(Demand::new(Policy::Required, trust, Start::Starttls))
}

fn target() -> config::Target {
    config::Target::Name("mx.test".to_owned(), 587)
}

fn handshake(settings: &config::Tls) -> Handshake {
    Connector::new(settings, &target(), Known::Nothing).unwrap().start().unwrap()
}

/// The same settings for each library that is built in.
fn with_each_backend(settings: &config::Tls) -> Vec<config::Tls> {
    BACKENDS.iter().map(|backend| config::Tls { backend: *backend, ..settings.clone() }).collect()
}

/// Shakes hands as a send does: once more, looking away, where the library refuses the certificate by itself.
fn met(settings: &config::Tls, target: &config::Target, mut server: impl FnMut() -> ServerConnection) -> Result<Handshake, Broken> {
    let connector = Connector::new(settings, target, Known::Nothing).unwrap();
    let mut client = connector.start().unwrap();
    match shake(&mut client, &mut server()) {
        Err(Broken::Refused(finding)) => {
            assert_eq!(settings.backend, config::Backend::NativeTls, "rustls refuses nobody by itself");
            client = connector.looking_away(finding).unwrap().start().unwrap();
            shake(&mut client, &mut server())?;
        }
        shaken => shaken?,
    }
    Ok(client)
}

fn server_with(identity: &Identity, provider: CryptoProvider, versions: &[&'static SupportedProtocolVersion]) -> ServerConnection {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(versions).unwrap();
    // The resolver does not ask whether the key fits the certificate: an impostor would not either.
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let resolver = Fixed(Arc::new(CertifiedKey::new(identity.chain.clone(), key)));
    ServerConnection::new(Arc::new(builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver)))).unwrap()
}

fn server(identity: &Identity) -> ServerConnection {
    server_with(identity, hybrid::provider(), &[&TLS13, &TLS12])
}

fn server_of(identity: &Identity, change: impl FnOnce(&mut ServerConfig)) -> ServerConnection {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(hybrid::provider())).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(identity.chain.clone(), key).unwrap();
    change(&mut config);
    ServerConnection::new(Arc::new(config)).unwrap()
}

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Carries bytes to and fro until both are quiet; the client's error, if it has one, else the server's.
fn shake(client: &mut Handshake, server: &mut ServerConnection) -> Result<(), Broken> {
    loop {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut there).unwrap();
        }
        feed(&there, |bytes| server.read_tls(bytes));
        let served = server.process_new_packets();
        while server.wants_write() {
            server.write_tls(&mut back).unwrap();
        }
        feed(&back, |bytes| client.read_tls(bytes));
        client.process()?;
        served.map_err(|error| Broken::Failed(error.to_string()))?;
        if there.is_empty() && back.is_empty() {
            return Ok(());
        }
    }
}

fn feed(mut bytes: &[u8], mut read: impl FnMut(&mut &[u8]) -> io::Result<usize>) {
    while !bytes.is_empty() {
        read(&mut bytes).unwrap();
    }
}

fn ring_with(groups: &[&'static dyn SupportedKxGroup]) -> CryptoProvider {
    CryptoProvider { kx_groups: groups.to_vec(), ..rustls::crypto::ring::default_provider() }
}

#[test]
fn a_trusted_server_is_verified_over_tls13_with_hybrid_keys_and_its_facts_are_known() {
    let world = World::new();
    let ca_file = Scratch::new(&world.root.pem());
    let identity = world.issue(|params| params.distinguished_name.push(DnType::CommonName, "mx.test"));
    for settings in with_each_backend(&config::Tls { ca_file: Some(ca_file.0.clone()), ..settings(Trust::System) }) {
        let mut client = handshake(&settings);
        assert!(client.verdict().is_err(), "nothing is known before the handshake");
        assert_eq!(client.facts(), Facts::default());
        let mut server = server(&identity);
        shake(&mut client, &mut server).unwrap();
        assert_eq!(client.verdict(), Ok(Standing::Proven));
        let facts = client.facts();
        assert_eq!(facts.version.as_deref(), Some("TLSv1.3"));
        assert_eq!(facts.cipher.as_deref(), Some("TLS_AES_256_GCM_SHA384"));
        // OpenSSL has the hybrid from 3.5 on.
        let group = facts.group.unwrap();
        assert!(group == "X25519MLKEM768" || settings.backend == config::Backend::NativeTls && group == "x25519", "{group}");
        assert_eq!(facts.resumed, Some(false));
        let certificate = facts.certificate.unwrap();
        assert!(certificate.issuer.starts_with("CN=Test Root"));
        assert_eq!(certificate.names, ["mx.test", "192.0.2.1"]);
        assert_eq!(certificate.sha256, leaf::hex(&leaf::sha256(&identity.chain[0])));
        assert_eq!(server.server_name(), Some("mx.test"));
    }
}

#[test]
fn a_server_without_the_hybrid_needs_no_second_round_trip() {
    let identity = World::new().issue(|_| ());
    let table: [(&[&'static dyn SupportedKxGroup], &str, HandshakeKind); 3] = [
        (&[&kx_group::X25519].map(|group| *group), "x25519", HandshakeKind::Full),
        (&[kx_group::SECP256R1, kx_group::X25519], "x25519", HandshakeKind::Full),
        (&[kx_group::SECP384R1], "secp384r1", HandshakeKind::FullWithHelloRetryRequest),
    ];
    for (groups, name, kind) in table {
        let mut client = handshake(&settings(Trust::Any));
        let mut server = server_with(&identity, ring_with(groups), &[&TLS13]);
        shake(&mut client, &mut server).unwrap();
        assert_eq!(client.facts().group.as_deref(), Some(name));
        assert_eq!(server.handshake_kind(), Some(kind));
    }
}

#[test]
fn tls12_has_its_names_too_and_never_the_hybrid() {
    let identity = World::new().issue(|_| ());
    for settings in with_each_backend(&settings(Trust::Any)) {
        let mut client = handshake(&settings);
        shake(&mut client, &mut server_with(&identity, hybrid::provider(), &[&TLS12])).unwrap();
        let facts = client.facts();
        assert_eq!(facts.version.as_deref(), Some("TLSv1.2"));
        assert_eq!(facts.cipher.as_deref(), Some("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"));
        assert_eq!(facts.group.as_deref(), Some("x25519"));
        assert_eq!(facts.resumed, Some(false));
        assert_eq!(client.channel_binding(), None);
    }
}

#[test]
fn a_client_certificate_is_shown_only_where_one_is_configured() {
    let world = World::new();
    let identity = world.issue(|_| ());
    let wanted = || {
        let mut roots = RootCertStore::empty();
        roots.add(world.root.der().clone()).unwrap();
        let provider = Arc::new(hybrid::provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]).unwrap();
        let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
        let config = builder.with_client_cert_verifier(verifier).with_single_cert(identity.chain.clone(), key).unwrap();
        ServerConnection::new(Arc::new(config)).unwrap()
    };
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(Vec::new()).unwrap().signed_by(&key, &world.ca).unwrap();
    let (chain, key) = (Scratch::new(&certificate.pem()), Scratch::new(&key.serialize_pem()));
    for none in with_each_backend(&settings(Trust::Any)) {
        let (mut client, mut server) = (handshake(&none), wanted());
        shake(&mut client, &mut server).unwrap_err();
        assert!(server.peer_certificates().is_none());
        let own = config::Tls { client_identity: Some((chain.0.clone(), key.0.clone())), ..none };
        let (mut client, mut server) = (handshake(&own), wanted());
        shake(&mut client, &mut server).unwrap();
        assert_eq!(server.peer_certificates().unwrap(), [certificate.der().clone()]);
    }
}

#[test]
fn both_ends_derive_the_same_channel_binding() {
    let identity = World::new().issue(|_| ());
    let (mut client, mut server) = (handshake(&settings(Trust::Any)), server(&identity));
    shake(&mut client, &mut server).unwrap();
    let theirs = server.export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", Some(&[])).unwrap();
    assert_eq!(client.channel_binding(), Some(theirs));
}

#[test]
fn a_second_connection_is_never_resumed() {
    let identity = World::new().issue(|_| ());
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(Arc::new(hybrid::provider())).with_protocol_versions(&[&TLS13, &TLS12]).unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(identity.chain, key).unwrap());
    let connectors = with_each_backend(&settings(Trust::Any)).into_iter();
    let connectors = connectors.map(|settings| Connector::new(&settings, &target(), Known::Nothing).unwrap());
    for connector in connectors.flat_map(|connector| [connector.clone(), connector]) {
        let mut client = connector.start().unwrap();
        shake(&mut client, &mut ServerConnection::new(config.clone()).unwrap()).unwrap();
        assert_eq!(client.facts().resumed, Some(false));
        assert!(client.facts().certificate.is_some());
    }
}

/// What a client says of a server that answers its hello with `bytes`.
fn explained(settings: &config::Tls, bytes: &[u8]) -> String {
    let mut client = handshake(settings);
    client.write_tls(&mut Vec::new()).unwrap();
    feed(bytes, |bytes| client.read_tls(bytes));
    client.process().unwrap_err().to_string()
}

#[test]
fn a_failed_handshake_is_explained() {
    let starttls = settings(Trust::Any);
    let mut implicit = settings(Trust::Any);
    implicit.demand.start = Start::Implicit;
    let only_tls13 = config::Tls { min_version: config::Version::Tls13, ..settings(Trust::Any) };
    let alert = |number: u8| vec![21, 3, 1, 0, 2, 2, number];
    let greeting = b"220 mx.test ESMTP ready\r\n".to_vec();
    // A ServerHello of TLS 1.1: TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no session, no extension.
    let tls11 = [&[22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    let table = [
        (&implicit, greeting.clone(), "start = \"starttls\""),
        (&starttls, greeting, "in plaintext after STARTTLS"),
        (&starttls, alert(40), "handshake_failure"),
        (&starttls, alert(70), "only TLS older than 1.2"),
        (&starttls, tls11, "only TLS older than 1.2"),
        (&only_tls13, alert(70), "only TLS older than 1.3"),
        (&starttls, alert(116), "client_cert"),
        (&starttls, alert(112), "unrecognized_name"),
    ];
    for (settings, bytes, part) in table {
        for settings in with_each_backend(settings) {
            let text = explained(&settings, &bytes);
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn a_minimum_of_tls13_is_kept() {
    let identity = World::new().issue(|_| ());
    for settings in with_each_backend(&config::Tls { min_version: config::Version::Tls13, ..settings(Trust::Any) }) {
        let mut client = handshake(&settings);
        shake(&mut client, &mut server_with(&identity, hybrid::provider(), &[&TLS12])).unwrap_err();
        assert!(client.is_handshaking());
    }
}
