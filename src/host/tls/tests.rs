//! Handshakes in this process: our client against rustls servers of every kind, byte by byte without a socket.

#[cfg(feature = "native-tls")]
mod limbo;

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

use super::{trust::system_bundle, *};
use crate::{
    host::{
        hybrid,
        net::{Link, Lost},
    },
    mail::{
        policy::{Demand, OnDowngrade, Policy, Request, Start, Tlsa, Trust},
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
    config::Tls {
        demand: Demand {
            policy: Policy::Required,
            trust,
            start: Start::Starttls,
            on_downgrade: OnDowngrade::Warn,
            tlsa: Tlsa::Unasked,
            request: Request::Nothing,
        },
        ca_file: None,
        crl_file: None,
        pins: Vec::new(),
        server_name: None,
        min_version: config::Version::Tls12,
        backend: config::Backend::Rustls,
        client_identity: None,
    }
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
fn each_kind_of_trust_judges_a_finished_handshake() {
    let world = World::new();
    let (good, bad) = (Scratch::new(&world.root.pem()), Scratch::new(&World::new().root.pem()));
    let identity = world.issue(|_| ());
    let pin = leaf::sha256(&identity.chain[0]);
    let system = |file: &Scratch| config::Tls { ca_file: Some(file.0.clone()), ..settings(Trust::System) };
    let pinned = |pin| config::Tls { pins: vec![pin], ..settings(Trust::Pin) };
    let other_name = config::Tls { server_name: Some("other.test".to_owned()), ..system(&good) };
    let table = [
        (system(&good), None),
        (system(&bad), Some(Failure::CertificateNotTrusted)),
        (other_name, Some(Failure::CertificateHostMismatch)),
        (pinned(pin), None),
        (pinned([0; 32]), Some(Failure::ValidationFailure)),
        (settings(Trust::Any), None),
    ];
    for (settings, expected) in table {
        for settings in with_each_backend(&settings) {
            let client = met(&settings, &target(), || server(&identity)).unwrap();
            assert_eq!(client.verdict().err().map(|finding| finding.failure), expected, "{settings:?}");
            assert_eq!(client.facts().certificate.unwrap().sha256, leaf::hex(&pin), "it is described in any case");
        }
    }
}

#[test]
fn a_certificate_that_is_itself_in_ca_file_needs_nobody_above_it_but_its_name_and_its_dates() {
    fn own(change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec!["mx.test".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Identity { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
    }
    let authority = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    };
    let expired = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    };
    let elsewhere = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.test".try_into().unwrap())];
    };
    let table = [
        ("self-signed", own(|_| ()), None),
        ("self-signed by an authority", own(authority), None),
        ("issued by a stranger", World::new().issue(|_| ()), None),
        ("an authority, issued by a stranger", World::new().issue(authority), None),
        ("self-signed, expired", own(expired), Some(Failure::CertificateExpired)),
        ("issued by a stranger, expired", World::new().issue(expired), Some(Failure::CertificateExpired)),
        ("self-signed, for another", own(elsewhere), Some(Failure::CertificateHostMismatch)),
        ("issued by a stranger, for another", World::new().issue(elsewhere), Some(Failure::CertificateHostMismatch)),
    ];
    for (what, identity, expected) in table {
        let pem = |der: &[u8]| {
            let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        let ca_file = Scratch::new(&format!("{}{}", World::new().root.pem(), pem(&identity.chain[0])));
        for settings in with_each_backend(&config::Tls { ca_file: Some(ca_file.0.clone()), ..settings(Trust::System) }) {
            let client = met(&settings, &target(), || server(&identity)).unwrap();
            let backend = settings.backend.as_str();
            assert_eq!(client.verdict().err().map(|finding| finding.failure), expected, "{what}, {backend}");
        }
    }
}

#[test]
fn of_two_faults_the_graver_is_told_first_whoever_found_it() {
    let world = World::new();
    let ca_file = Scratch::new(&world.root.pem());
    let identity = world.issue(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.test".try_into().unwrap())];
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    });
    for settings in with_each_backend(&config::Tls { ca_file: Some(ca_file.0.clone()), ..settings(Trust::System) }) {
        let finding = met(&settings, &target(), || server(&identity)).unwrap().verdict().unwrap_err();
        assert_eq!(finding.failure, Failure::CertificateHostMismatch);
        assert!(finding.detail.contains("other.test") && finding.detail.contains("expired"), "{finding}");
    }
}

#[test]
fn a_peer_that_does_not_hold_the_key_of_its_certificate_fails_the_handshake() {
    let world = World::new();
    let impostor = Identity { chain: world.issue(|_| ()).chain, key: KeyPair::generate().unwrap() };
    let odd = Identity { chain: world.issue(unknown_critical_extension).chain, key: KeyPair::generate().unwrap() };
    for identity in [impostor, odd] {
        for version in [&TLS13, &TLS12] {
            for settings in with_each_backend(&settings(Trust::Any)) {
                let mut client = handshake(&settings);
                let why = shake(&mut client, &mut server_with(&identity, hybrid::provider(), &[version])).unwrap_err();
                assert!(why.to_string().contains("could not prove"), "{why}");
                assert!(client.verdict().is_err());
            }
        }
    }
}

fn unknown_critical_extension(params: &mut CertificateParams) {
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
}

#[test]
fn a_certificate_that_no_chain_check_accepts_can_still_be_pinned_and_described() {
    let world = World::new();
    let ca_file = Scratch::new(&world.root.pem());
    let identity = world.issue(unknown_critical_extension);
    let pin = leaf::sha256(leaf::public_key(&identity.chain[0]).unwrap());
    let pinned = config::Tls { pins: vec![pin], ..settings(Trust::Pin) };
    let trusted = config::Tls { ca_file: Some(ca_file.0.clone()), ..settings(Trust::System) };
    for (version, backend) in [&TLS13, &TLS12].into_iter().flat_map(|version| BACKENDS.iter().map(move |it| (version, *it))) {
        let server = || server_with(&identity, hybrid::provider(), &[version]);
        let client = met(&config::Tls { backend, ..pinned.clone() }, &target(), server).unwrap();
        assert_eq!(client.verdict(), Ok(Standing::Proven));
        let client = met(&config::Tls { backend, ..trusted.clone() }, &target(), server).unwrap();
        assert_eq!(client.verdict().unwrap_err().failure, Failure::CertificateNotTrusted);
        assert_eq!(client.facts().certificate.unwrap().names, ["mx.test", "192.0.2.1"]);
    }
}

#[test]
fn names_are_indicated_addresses_are_not_and_both_are_verified() {
    let world = World::new();
    let ca_file = Scratch::new(&world.root.pem());
    let identity = world.issue(|_| ());
    let local = world.issue(|params| params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().unwrap())]);
    let table = [
        (config::Target::Name("mx.test".to_owned(), 25), &identity, Some("mx.test")),
        (config::Target::Address([192, 0, 2, 1].into(), 25), &identity, None),
        (config::Target::Name("192.0.2.1".to_owned(), 25), &identity, None),
        (config::Target::Unix("/run/smtp.sock".into()), &local, Some("localhost")),
    ];
    for (target, identity, indicated) in table {
        for settings in with_each_backend(&config::Tls { ca_file: Some(ca_file.0.clone()), ..settings(Trust::System) }) {
            let mut client = Connector::new(&settings, &target, Known::Nothing).unwrap().start().unwrap();
            let mut server = server(identity);
            shake(&mut client, &mut server).unwrap();
            assert_eq!(server.server_name(), indicated, "{target:?}");
            assert_eq!(client.verdict(), Ok(Standing::Proven), "{target:?}");
        }
    }
}

#[test]
fn an_internationalised_name_is_asked_for_in_ascii() {
    let target = config::Target::Name("bücher.test".to_owned(), 587);
    assert_eq!(server_name(&settings(Trust::System), &target).unwrap(), ServerName::try_from("xn--bcher-kva.test").unwrap());
}

#[test]
fn what_can_never_work_is_a_configuration_error_at_once() {
    let (missing, empty, root) = (PathBuf::from("/nonexistent/x.pem"), Scratch::new(""), Scratch::new(&World::new().root.pem()));
    let other = Scratch::new(&KeyPair::generate().unwrap().serialize_pem());
    let identity = |chain: &Path, key: &Path| config::Tls {
        client_identity: Some((chain.to_owned(), key.to_owned())),
        ..settings(Trust::System)
    };
    let table = [
        (config::Tls { server_name: Some("no name".to_owned()), ..settings(Trust::System) }, "no name"),
        (config::Tls { server_name: Some(String::new()), ..settings(Trust::System) }, "can't be a server's name"),
        (identity(&missing, &missing), "/nonexistent/x.pem"),
        (identity(&empty.0, &empty.0), "no certificate"),
        (identity(&root.0, &empty.0), "no private key"),
        (identity(&root.0, &other.0), "using client_cert"),
    ];
    for (settings, part) in table {
        for settings in with_each_backend(&settings) {
            let error = Connector::new(&settings, &target(), Known::Nothing).unwrap_err();
            assert_eq!(error.exit(), Exit::Config);
            assert!(error.summary().contains(part), "{error}");
        }
    }
}

#[test]
fn a_key_file_is_never_quoted_in_an_error() {
    let key = Scratch::new("-----BEGIN PRIVATE KEY---\nc2VjcmV0\n-----END PRIVATE KEY-----\n");
    let chain = Scratch::new(&World::new().root.pem());
    let settings = config::Tls { client_identity: Some((chain.0.clone(), key.0.clone())), ..settings(Trust::Any) };
    let error = Connector::new(&settings, &target(), Known::Nothing).unwrap_err();
    assert!(!error.render("x").contains("c2Vj") && error.summary().contains("not valid PEM"), "{error}");
}

#[test]
fn authorities_that_cant_be_read_are_a_finding_that_names_the_file() {
    let world = World::new();
    let identity = world.issue(|_| ());
    let (root, empty) = (Scratch::new(&world.root.pem()), Scratch::new("no certificates"));
    let missing = PathBuf::from("/nonexistent/ca.pem");
    let table = [
        (config::Tls { ca_file: Some(missing.clone()), ..settings(Trust::System) }, "/nonexistent/ca.pem"),
        (config::Tls { ca_file: Some(empty.0.clone()), ..settings(Trust::System) }, "holds no certificate"),
        (
            config::Tls { ca_file: Some(root.0.clone()), crl_file: Some(missing), ..settings(Trust::System) },
            "crl_file /nonexistent",
        ),
    ];
    // What rustls alone looks at, native-tls is not asked for.
    let backends =
        |settings: &config::Tls| with_each_backend(settings).into_iter().take(settings.crl_file.as_ref().map_or(2, |_| 1));
    for (settings, part) in table.iter().flat_map(|(settings, part)| backends(settings).map(move |settings| (settings, part))) {
        let client = met(&settings, &target(), || server(&identity)).unwrap();
        let finding = client.verdict().unwrap_err();
        assert_eq!(finding.failure, Failure::ValidationFailure);
        assert!(finding.detail.contains(part), "{}", finding.detail);
    }
}

#[test]
fn the_systems_authorities_are_the_named_file_or_the_first_that_exists() {
    let (one, two) = (Scratch::new("one"), Scratch::new("two"));
    let path = |file: &Scratch| file.0.to_str().unwrap().to_owned();
    let places = ["/nonexistent/a", &path(&one), &path(&two)];
    let held = |(_, file): (PathBuf, io::Take<File>)| std::io::read_to_string(file).unwrap();
    assert_eq!(held(system_bundle(None, &places).unwrap()), "one");
    assert_eq!(held(system_bundle(Some("".into()), &places).unwrap()), "one");
    assert_eq!(held(system_bundle(Some(two.0.clone().into()), &places).unwrap()), "two");
    assert!(system_bundle(Some("/nonexistent/b".into()), &places).unwrap_err().contains("/nonexistent/b"));
    assert!(system_bundle(None, &["/nonexistent/a"]).unwrap_err().contains("ca-certificates"));
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

#[test]
fn a_small_flight_is_one_record() {
    for settings in with_each_backend(&settings(Trust::Any)) {
        let identity = World::new().issue(|_| {});
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let serving = std::thread::spawn(move || {
            let mut server = server(&identity);
            rustls::Stream::new(&mut server, &mut theirs).read_exact(&mut [0; 6]).unwrap();
            rustls::Stream::new(&mut server, &mut theirs).write_all(b"250 mx\r\n").unwrap();
            let mut raw = Vec::new();
            theirs.read_to_end(&mut raw).unwrap();
            raw
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut link = Link::new(ours.into(), None);
        link.seal(handshake(&settings), deadline).unwrap();
        let flight = |head, content, tail| Flight { head, content, tail, masked: None };
        link.say(flight(b"EHLO\r\n", b"", b""), deadline).unwrap();
        assert_eq!(link.hear(deadline).unwrap(), b"250 mx\r\n");
        link.say(flight(b"BDAT 4 LAST\r\n", b"hi\r\n", b"tail"), deadline).unwrap();
        drop(link);
        let raw = serving.join().unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([raw[3], raw[4]])), raw.len() - 5, "more than one record: {raw:?}");
    }
}

#[test]
fn a_large_flight_arrives_whole_however_it_is_cut() {
    let content: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1]).collect();
    for settings in with_each_backend(&settings(Trust::Any)) {
        let identity = World::new().issue(|_| {});
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let length = content.len() + 8;
        let serving = std::thread::spawn(move || {
            let mut server = server(&identity);
            let mut stream = rustls::Stream::new(&mut server, &mut theirs);
            let mut heard = vec![0; length];
            stream.read_exact(&mut heard).unwrap();
            stream.write_all(&heard).unwrap();
            heard
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut link = Link::new(ours.into(), None);
        link.seal(handshake(&settings), deadline).unwrap();
        link.say(Flight { head: b"head", content: &content, tail: b"tail", masked: None }, deadline).unwrap();
        let mut echo = Vec::new();
        while echo.len() < length {
            echo.extend_from_slice(link.hear(deadline).unwrap());
        }
        assert!(echo == [b"head", content.as_slice(), b"tail"].concat() && echo == serving.join().unwrap());
        assert_eq!(link.hear(deadline), Err(Lost::Broken("the server closed it".to_owned())));
    }
}

#[test]
fn records_that_say_nothing_do_not_keep_the_deadline_from_being_looked_at() {
    for settings in with_each_backend(&settings(Trust::Any)) {
        let identity = World::new().issue(|_| {});
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut socket = ours.try_clone().unwrap();
        let serving = std::thread::spawn(move || {
            let mut server = server_of(&identity, |config| config.send_tls13_tickets = 4000);
            server.set_buffer_limit(None);
            // Until the socket is full of tickets, and nobody reads.
            theirs.set_write_timeout(Some(Duration::from_millis(50))).unwrap();
            let stuck = rustls::Stream::new(&mut server, &mut theirs).read_exact(&mut [0; 6]);
            assert_eq!(stuck.unwrap_err().kind(), io::ErrorKind::WouldBlock);
            theirs
        });
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut link = Link::new(ours.into(), None);
        link.seal(handshake(&settings), deadline).unwrap();
        link.say(Flight { head: b"EHLO\r\n", content: b"", tail: b"", masked: None }, deadline).unwrap();
        let _theirs = serving.join().unwrap();
        assert_eq!(link.hear(Instant::now()), Err(Lost::TimedOut));
        assert!(socket.read(&mut [0; 1]).is_ok(), "it read to the end of what never ends");
    }
}

#[test]
fn a_handshake_that_never_gets_anywhere_ends_at_its_deadline() {
    // HelloRequest, which OpenSSL passes over before TLS 1.3 as often as it comes.
    let nothing = [22, 3, 3, 0, 4, 0, 0, 0, 0].repeat(1000);
    for settings in with_each_backend(&settings(Trust::Any)) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let begun = Instant::now();
        let nothing = nothing.clone();
        let talking =
            std::thread::spawn(move || while begun.elapsed() < Duration::from_secs(10) && theirs.write_all(&nothing).is_ok() {});
        let mut link = Link::new(ours.into(), None);
        assert!(link.seal(handshake(&settings), begun + Duration::from_millis(300)).is_err());
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        drop(link);
        talking.join().unwrap();
    }
}

#[test]
fn what_is_no_file_is_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    assert!(system_bundle(Some(fifo.clone().into()), &[]).unwrap_err().contains("it is a FIFO"));
    assert!(identity(&fifo, &fifo).unwrap_err().because().contains("it is a FIFO"));
    let endless = Path::new("/dev/zero");
    assert!(identity(endless, endless).unwrap_err().because().contains("larger than 1 MiB"));
}
