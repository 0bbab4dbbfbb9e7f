//! Do chains of certificates get the verdicts of x509-limbo from the system's library too? (tests/limbo.rs; tests/data/limbo)
//!
//! The library weighs a chain in a handshake only, at the Certificate message, before the server has to prove that it holds the key. So
//! a server that shows the chain of a case and signs with nonsense is refused either for the one or for the other. The cases of
//! one day are tried by a process of its own, whose clock stands at that day.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    time::Instant,
};

use self::cases::{Case, Differences};
use super::*;

#[path = "../../../../tests/limbo/cases.rs"]
mod cases;

/// Tells the process of one day which it is.
const DAY: &str = "SEALPOST_TEST_LIMBO_DAY";
/// What a verdict is told after, line by line.
const MARK: &str = "verdict: ";

/// To be refused there, believed by OpenSSL.
const ACCEPTED: Differences = &[
    (
        "the case sets a longest chain of its own, for which there is no setting",
        &["pathlen::max-chain-depth-0-exhausted", "pathlen::max-chain-depth-1-exhausted"],
    ),
    (
        "key identifiers are hints for finding an issuer (RFC 5280 4.2.1.1, 4.2.1.2); where one is missing it is found by its name",
        &[
            "rfc5280::aki::leaf-missing-aki",
            "rfc5280::aki::intermediate-missing-aki",
            "rfc5280::ski::root-missing-ski",
            "rfc5280::ski::intermediate-missing-ski",
            "webpki::aki::root-with-aki-missing-keyidentifier",
        ],
    ),
    (
        "OpenSSL takes .example.com for all names below example.com, in a constraint as in a name",
        &["rfc5280::nc::invalid-dnsname-leading-period", "rfc5280::nc::nc-permits-invalid-dns-san"],
    ),
    (
        "OpenSSL weighs *.example.com against a constraint as the name that it is, not as the hosts that it stands for; rustls \
         refuses these",
        &["cve::cve-2025-61727", "rfc5280::nc::nc-forbids-dnsname-wildcard-san"],
    ),
    ("OpenSSL passes over policies unless it is asked for them", &["rfc5280::pc::ica-noncritical-pc"]),
    (
        "a rule for who issues, not for who checks: it changes neither whom the certificate names nor who vouches for it",
        &[
            "rfc5280::leaf-ku-keycertsign",
            "rfc5280::root-non-critical-basic-constraints",
            "rfc5280::san::noncritical-with-empty-subject",
            "rfc5280::serial::negative",
            "rfc5280::serial::too-long",
            "rfc5280::serial::zero",
            "webpki::malformed-aia",
            "webpki::san::san-critical-with-nonempty-subject",
        ],
    ),
    (
        "whoever made a root a trusted one said that it is an authority; OpenSSL believes that where its key may sign certificates, \
         rustls does not",
        &["rfc5280::root-missing-basic-constraints"],
    ),
    (
        "the server's certificate says CA:TRUE, and that its key signs no certificates: OpenSSL looks at what it is used for, rustls \
         refuses it",
        &["webpki::ee-basicconstraints-ca"],
    ),
    (
        "OpenSSL still knows DSA, if only to check it: the case's 3072 bits are strong enough, but no handshake can be signed with \
         them here (tests/certificates.rs)",
        &["webpki::forbidden-dsa-root", "webpki::forbidden-dsa-leaf"],
    ),
];

/// To be believed there, refused by OpenSSL.
const REFUSED: Differences = &[
    (
        "OpenSSL follows one path, and believes an authority only where it ends with a certificate that issued itself: native-tls has \
         no way to ask for X509_V_FLAG_PARTIAL_CHAIN",
        &[
            "cve::cve-2024-0567",
            "rfc5280::nc::nc-forbids-alternate-chain-ica",
            "rfc5280::nc::nc-forbids-same-chain-ica",
            "rfc5280::root-and-intermediate-swapped",
        ],
    ),
    (
        "the server shows an authority's certificate, whose key is for signing others; added to ca_file itself it is believed",
        &["pathlen::validation-ignores-pathlen-in-leaf", "rfc5280::ca-as-leaf"],
    ),
    (
        "the very last second of a certificate does not count",
        &["rfc5280::validity::notafter-exact", "rfc5280::validity::notafter-fractional"],
    ),
];

/// Whether the account of the case could be configured: `crl_file` is an error with this library.
fn can_be_asked(case: &Case) -> bool {
    case.0["crls"].as_array().is_none_or(Vec::is_empty)
}

fn verdict(case: &Case) -> Verdict {
    let chain = case.chain();
    let ca_file = Scratch::new(&case.pem("trusted_certs"));
    let settings = config::Tls {
        ca_file: Some(ca_file.0.clone()),
        server_name: Some(case.name().to_owned()),
        backend: config::Backend::NativeTls,
        ..settings(Trust::System)
    };
    let connector = Connector::new(&settings, &target(), Known::Nothing).unwrap();
    let mut client = connector.start().unwrap();
    client.write_tls(&mut Vec::new()).unwrap();
    feed(&flight(&chain), |octets| client.read_tls(octets));
    match client.process().unwrap_err() {
        Broken::Refused(finding) => connector.rules.refused(&chain, &finding),
        Broken::Failed(why) if AFTERWARDS.iter().any(|after| why.contains(after)) => connector.rules.vouched(&chain),
        Broken::Failed(why) => Err(Finding::new(Failure::ValidationFailure, why)),
    }
}

/// What OpenSSL has against a server whose chain it accepted, before or when it looks at the signature.
const AFTERWARDS: [&str; 2] = ["the signature is wrong", "wrong certificate type"];

/// The flight of a TLS 1.2 server that shows `chain`, and signs with nonsense.
fn flight(chain: &[CertificateDer<'_>]) -> Vec<u8> {
    let long = |length: usize| u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
    let message = |kind: u8, body: &[u8]| [vec![kind], long(body.len()), body.to_vec()].concat();
    // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, no session, and the proof that it knows of secure renegotiation.
    let hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2b, 0, 0, 5, 0xff, 1, 0, 1, 0]].concat();
    let list: Vec<u8> = chain.iter().flat_map(|der| [long(der.len()), der.to_vec()].concat()).collect();
    // x25519, a point, ecdsa_secp256r1_sha256.
    let key = [&[3, 0, 29, 32][..], &[9; 32], &[4, 3, 0, 8], &[0x30, 6, 2, 1, 1, 2, 1, 1]].concat();
    let certificates = [long(list.len()), list].concat();
    let messages = [message(2, &hello), message(11, &certificates), message(12, &key), message(14, b"")].concat();
    let record = |part: &[u8]| [&[22, 3, 3][..], &u16::try_from(part.len()).unwrap().to_be_bytes(), part].concat();
    messages.chunks(1 << 14).flat_map(record).collect()
}

/// The verdicts on the cases of `day`, by a process whose clock stands there.
fn judged(day: &str) -> String {
    let own = "host::tls::tests::limbo::the_cases_of_one_day";
    let clock: jiff::Timestamp = day.parse().unwrap();
    let mut command = Command::new("faketime");
    command.args(["-f", &clock.strftime("%Y-%m-%d %H:%M:%S").to_string()]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", own, "--ignored", "--nocapture"]).env(DAY, day).env("TZ", "UTC");
    // The system's own authorities, which native-tls reads whether they are wanted or not, cost time and change nothing.
    command.env("SSL_CERT_FILE", "/dev/null").env("SSL_CERT_DIR", "/dev/null");
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{day}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
#[ignore = "for the test below, which sets the clock"]
fn the_cases_of_one_day() {
    let day = std::env::var(DAY).unwrap();
    for case in Case::all().iter().filter(|case| case.day() == day && can_be_asked(case)) {
        let started = Instant::now();
        let verdict = verdict(case);
        assert!(started.elapsed() < Duration::from_secs(5), "{} took {:?}", case.id(), started.elapsed());
        let told = verdict.map_or_else(|finding| finding.to_string(), |standing| format!("{standing:?}"));
        println!("\n{MARK}{} {told}", case.id());
    }
}

#[test]
fn every_chain_has_the_expected_verdict_or_a_reason_for_another() {
    if !Command::new("faketime").arg("--version").output().is_ok_and(|output| output.status.success()) {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "faketime is missing");
        let _ = writeln!(io::stderr(), "SKIPPED: x509-limbo with native-tls: faketime is missing");
        return;
    }
    let cases = Case::all();
    let asked: Vec<_> = cases.iter().filter(|case| can_be_asked(case)).collect();
    assert_eq!(asked.len(), cases.len() - 8, "cases with revocation lists");
    let days: BTreeSet<&str> = asked.iter().map(|case| case.day()).collect();
    let said: Vec<String> = days.into_iter().map(judged).collect();
    let verdicts = said.iter().flat_map(|said| said.lines()).filter_map(|line| line.strip_prefix(MARK)?.split_once(' '));
    let verdicts: BTreeMap<&str, &str> = verdicts.collect();
    cases::hold(asked.into_iter(), (ACCEPTED, REFUSED), |case| {
        let verdict = verdicts.get(case.id()).unwrap_or_else(|| panic!("no verdict on {}", case.id()));
        if *verdict == "Proven" { Ok(()) } else { Err((*verdict).to_owned()) }
    });
}
