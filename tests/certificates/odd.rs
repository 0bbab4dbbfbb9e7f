//! Do certificates that are huge, many, nameless or full of control characters end in a verdict that is right, soon and short?

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair, SanType};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
};
use sealpost::{
    mail::tls::{Failure, Standing, Verdict},
    smtp::{
        anchors::Search,
        certificate::{Authorities, Peer, by_authority, by_pin},
        leaf,
    },
};

use crate::common::{BACKENDS, MESSAGE, Run, Sealpost, script::Server};

/// Far more than any check takes, far less than anybody waits.
const LIMIT: Duration = Duration::from_secs(5);

/// Octets of a detail or a whole record that nobody minds in a log.
const SHORT: usize = 2048;
const RECORD: usize = 16 * 1024;

type Authority = CertifiedIssuer<'static, KeyPair>;
type Chain = Vec<CertificateDer<'static>>;

fn authority_params(name: &str, padding: usize) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4], octets(padding)));
    params
}

fn octets(count: usize) -> Vec<u8> {
    vec![0x2a; count]
}

fn root() -> Authority {
    Authority::self_signed(authority_params("Root", 0), KeyPair::generate().unwrap()).unwrap()
}

fn leaf_of(issuer: &Authority, change: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, KeyPair) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().der().clone(), key)
}

/// A leaf below `count` intermediates, each with `padding` octets more than it needs.
fn tower(root: Authority, count: usize, padding: usize) -> (Chain, KeyPair) {
    let (mut chain, mut top) = (Chain::new(), root);
    for floor in 0..count {
        let params = authority_params(&format!("Floor {floor}"), padding);
        top = Authority::signed_by(params, KeyPair::generate().unwrap(), &top).unwrap();
        chain.push(top.der().clone());
    }
    let (leaf, key) = leaf_of(&top, |_| ());
    chain.push(leaf);
    chain.reverse();
    (chain, key)
}

/// The verdict, which must come within [`LIMIT`] and in [`SHORT`] words.
fn verdict(chain: &[CertificateDer<'_>], ca: &str) -> Verdict {
    let started = Instant::now();
    let mut search = Search::new(chain);
    search.feed(ca.as_bytes());
    let (anchors, name) = (search.finish(), ServerName::try_from("localhost").unwrap());
    let peer = Peer { chain, name: &name, now: UnixTime::now() };
    let verdict = by_authority(peer, Authorities { anchors: anchors.as_ref(), origin: "ca.pem", revoked: None });
    assert!(started.elapsed() < LIMIT, "{:?}", started.elapsed());
    if let Err(finding) = &verdict {
        assert!(finding.detail.len() < SHORT, "{} octets: {}", finding.detail.len(), finding.detail);
    }
    verdict
}

fn kind(verdict: Verdict) -> Option<Failure> {
    verdict.err().map(|finding| finding.failure)
}

const NOT_TRUSTED: Option<Failure> = Some(Failure::CertificateNotTrusted);

#[test]
fn a_chain_may_have_six_intermediates_and_a_megabyte_of_them_is_refused() {
    for (count, padding, expected) in [(6, 0, None), (7, 0, NOT_TRUSTED), (100, 10 * 1024, NOT_TRUSTED)] {
        let root = root();
        let pem = root.pem();
        let (chain, _) = tower(root, count, padding);
        assert_eq!(kind(verdict(&chain, &pem)), expected, "{count} intermediates");
    }
}

#[test]
fn strangers_in_the_chain_cost_little_and_hide_nothing() {
    let root = root();
    let leaf = leaf_of(&root, |_| ()).0;
    let (strangers, _) = tower(self::root(), 100, 0);
    assert_eq!(kind(verdict(&[vec![leaf], strangers].concat(), &root.pem())), None);
}

#[test]
fn a_certificate_of_a_megabyte_is_described_shortly_never_trusted_and_can_be_pinned() {
    let root = root();
    let big =
        |p: &mut CertificateParams| p.custom_extensions.push(CustomExtension::from_oid_content(&[1, 2, 3, 4], octets(1 << 20)));
    let (leaf, _) = leaf_of(&root, big);
    assert!(leaf.len() > 1 << 20);
    assert_eq!(leaf::describe(&leaf).names, ["localhost"]);
    let pin = leaf::sha256(&leaf);
    let chain = [leaf];
    assert_eq!(kind(verdict(&chain, &root.pem())), NOT_TRUSTED);
    assert_eq!(by_pin(&chain, &[pin]), Ok(Standing::Proven));
    assert!(by_pin(&chain, &[[0; 32]]).unwrap_err().detail.len() < SHORT);
}

/// `00.a` to `rr.a` in base 36 and so on: short, so that 10 000 fit into a handshake.
fn short_name(number: u32) -> SanType {
    let digit = |place: u32| char::from_digit(number / 36_u32.pow(place) % 36, 36).unwrap();
    let name: String = [digit(2), digit(1), digit(0)].iter().collect();
    SanType::DnsName(name.try_into().unwrap())
}

fn many_names(p: &mut CertificateParams) {
    p.subject_alt_names = (0..10_000).map(short_name).collect();
}

#[test]
fn of_ten_thousand_names_the_right_one_counts_and_a_few_are_told() {
    let root = root();
    let localhost = SanType::DnsName("localhost".try_into().unwrap());
    let (right, _) = leaf_of(&root, |p| {
        many_names(p);
        p.subject_alt_names.push(localhost);
    });
    let (wrong, _) = leaf_of(&root, many_names);
    assert_eq!(kind(verdict(&[right], &root.pem())), None);
    assert!(leaf::describe(&wrong).names.len() <= 101);
    assert_eq!(kind(verdict(&[wrong], &root.pem())), Some(Failure::CertificateHostMismatch));
}

#[test]
fn names_that_are_none_of_hosts_are_a_mismatch() {
    let root = root();
    let nameless = |p: &mut CertificateParams| {
        p.subject_alt_names.clear();
        p.distinguished_name = rcgen::DistinguishedName::new();
    };
    let mail = SanType::Rfc822Name("postmaster@localhost".try_into().unwrap());
    let uri = SanType::URI("smtp://localhost".try_into().unwrap());
    let san = |name: SanType| move |p: &mut CertificateParams| p.subject_alt_names = vec![name];
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let table = [
        ("no name at all", leaf_of(&root, nameless)),
        ("a mail address", leaf_of(&root, san(mail))),
        ("a URI", leaf_of(&root, san(uri))),
        ("empty", leaf_of(&root, san(dns("")))),
        ("a space", leaf_of(&root, san(dns(" localhost")))),
        ("a NUL behind it", leaf_of(&root, san(dns("localhost\0.evil.test")))),
        ("a kilobyte", leaf_of(&root, san(dns(&"localhost.".repeat(100))))),
        ("a star for all", leaf_of(&root, san(dns("*")))),
    ];
    for (what, (leaf, _)) in table {
        assert_eq!(kind(verdict(&[leaf], &root.pem())), Some(Failure::CertificateHostMismatch), "{what}");
    }
}

/// A send to a server that shows `chain`, by a process that may have 64 MiB of addresses and no more.
fn send(chain: Chain, key: &KeyPair, ca: &str, policy: &str, backend: &str) -> Run {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(chain, key).unwrap());
    // Where the library refuses the certificate by itself, another connection shows it.
    let server = Server::start("tls\nhello:\nsession\n---\ntls\nhello:\nsession", Some(config));
    let mut sealpost = Sealpost::new(&format!(
        "[accounts.relay]\nhost = \"localhost\"\nport = {}\ntls.start = \"implicit\"\ntls.policy = {policy:?}\ntls.ca_file = \"ca.pem\"\ntls.backend = {backend:?}\n",
        server.port()
    ));
    sealpost.scratch.write("ca.pem", ca);
    sealpost.wrapper = ["sh", "-c", "ulimit -v 65536; exec \"$@\"", "sh"].map(str::to_owned).to_vec();
    let run = sealpost.send(&["ok@sink.test"], MESSAGE.as_bytes());
    server.finish();
    assert_eq!(run.oddities(), Vec::<String>::new());
    let record = run.last().to_string();
    assert!(record.len() < RECORD && run.stderr.len() < SHORT, "{} octets: {record}", record.len());
    run
}

#[test]
fn a_megabyte_of_certificates_ends_the_handshake_without_filling_the_memory() {
    let root = root();
    let pem = root.pem();
    let (chain, key) = tower(root, 100, 10 * 1024);
    for backend in BACKENDS {
        let run = send(chain.clone(), &key, &pem, "required", backend);
        assert_eq!((run.code, run.field("/tls/result"), run.field("/tls/failure")), (75, "none", "validation-failure"), "{run:?}");
    }
}

#[test]
fn the_record_of_a_certificate_with_ten_thousand_names_is_short_and_says_that_there_are_more() {
    let root = root();
    let (leaf, key) = leaf_of(&root, many_names);
    for backend in BACKENDS {
        let run = send(vec![leaf.clone()], &key, &root.pem(), "opportunistic", backend);
        assert_eq!((run.code, run.field("/tls/result")), (0, "unverified"), "{run:?}");
        assert_eq!(run.field("/tls/failure"), "certificate-host-mismatch");
        let names = run.last()["tls"]["certificate"]["names"].as_array().unwrap();
        assert_eq!((names.len(), names.last().unwrap().as_str()), (101, Some("…")));
    }
}

#[test]
fn control_characters_in_names_reach_neither_the_terminal_nor_the_log() {
    let root = root();
    let evil = "localhost\0\x1b]0;owned\x07\r\nforged: line";
    let (leaf, key) = leaf_of(&root, |p| {
        p.subject_alt_names = vec![SanType::DnsName(evil.try_into().unwrap())];
        p.distinguished_name.push(DnType::CommonName, evil);
    });
    // `oddities` and the reading of the log look for them.
    for backend in BACKENDS {
        let run = send(vec![leaf.clone()], &key, &root.pem(), "required", backend);
        assert_eq!((run.code, run.field("/tls/failure")), (75, "certificate-host-mismatch"), "{run:?}");
    }
}
