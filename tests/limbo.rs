//! Do chains of certificates get the verdicts of x509-limbo, each exception for a reason? (RFC 5280, tests/data/limbo)
//!
//! The expected verdicts are those of a checker for browsers. Where a mail sender or webpki differs, the case is in
//! [`ACCEPTED`] or [`REFUSED`] below its reason, here or in `cases`; one that no longer differs must leave the list.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::time::{Duration, Instant};

#[path = "limbo/cases.rs"]
mod cases;

use cases::{Case, Differences};
use rustls::pki_types::{ServerName, UnixTime};
use sealpost::{
    mail::tls::{Failure, Verdict},
    smtp::{
        anchors::Search,
        certificate::{Authorities, Peer, by_authority},
    },
};

/// To be refused there, believed here.
const ACCEPTED: Differences = &[
    (
        "a revocation list can only refuse here, since what no list speaks of passes: an odd one makes nobody trusted",
        &["crl::crlnumber-missing", "crl::crlnumber-critical", "crl::issuer-missing-crlsign"],
    ),
    (
        "the case sets a longest chain of its own, for which there is no setting: it is webpki's, six intermediates",
        &["pathlen::max-chain-depth-0-exhausted", "pathlen::max-chain-depth-1-exhausted"],
    ),
    (
        "key identifiers are hints for finding an issuer (RFC 5280 4.2.1.1, 4.2.1.2); webpki finds it by name and signature",
        &[
            "rfc5280::aki::critical-aki",
            "rfc5280::aki::leaf-missing-aki",
            "rfc5280::aki::intermediate-missing-aki",
            "rfc5280::aki::cross-signed-root-missing-aki",
            "rfc5280::ski::critical-ski",
            "rfc5280::ski::root-missing-ski",
            "rfc5280::ski::intermediate-missing-ski",
            "webpki::aki::root-with-aki-missing-keyidentifier",
            "webpki::aki::root-with-aki-authoritycertissuer",
            "webpki::aki::root-with-aki-authoritycertserialnumber",
            "webpki::aki::root-with-aki-all-fields",
            "webpki::aki::root-with-aki-ski-mismatch",
        ],
    ),
    ("webpki, as OpenSSL, takes .example.com for all names below example.com", &["rfc5280::nc::invalid-dnsname-leading-period"]),
    ("webpki passes over policies; critical constraints on them are refused", &["rfc5280::pc::ica-noncritical-pc"]),
    (
        "a rule for who issues, not for who checks: it changes neither whom the certificate names nor who vouches for it",
        &[
            "rfc5280::ca-empty-subject",
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
        "the server's key is judged by the handshake, which such a key can't finish (tests/certificates.rs)",
        &["webpki::forbidden-p192-leaf", "webpki::forbidden-dsa-leaf", "webpki::forbidden-weak-rsa-in-leaf"],
    ),
];

/// To be believed there, refused here.
const REFUSED: Differences = &[
    (
        "the server shows an authority's certificate: webpki refuses it, as browsers do; added to ca_file itself it is believed",
        &["pathlen::validation-ignores-pathlen-in-leaf", "rfc5280::ca-as-leaf"],
    ),
    (
        "webpki applies lengths and names to self-issued intermediates too",
        &["pathlen::self-issued-certs-pathlen", "rfc5280::nc::permitted-self-issued"],
    ),
];

fn verdict(case: &Case) -> Verdict {
    let chain = case.chain();
    let name = ServerName::try_from(case.name()).unwrap();
    let day: jiff::Timestamp = case.day().parse().unwrap();
    let now = UnixTime::since_unix_epoch(Duration::try_from(day.as_duration()).unwrap());
    let lists = case.pem("crls");
    let mut search = Search::new(&chain);
    search.feed(case.pem("trusted_certs").as_bytes());
    let anchors = search.finish();
    let revoked = (!lists.is_empty()).then_some(lists.as_bytes());
    by_authority(Peer { chain: &chain, name: &name, now }, Authorities { anchors: anchors.as_ref(), origin: "ca.pem", revoked })
}

#[test]
fn every_chain_has_the_expected_verdict_or_a_reason_for_another() {
    cases::hold(Case::all().iter(), (ACCEPTED, REFUSED), |case| verdict(case).map(drop).map_err(|finding| finding.to_string()));
}

#[test]
fn a_chain_out_of_its_dates_is_told_from_one_for_another_host_and_one_of_nobody() {
    let table = [
        ("rfc5280::validity::expired-leaf", Failure::CertificateExpired),
        ("rfc5280::validity::expired-intermediate", Failure::CertificateExpired),
        ("rfc5280::validity::expired-root", Failure::CertificateExpired),
        ("rfc5280::validity::not-yet-valid-1-second", Failure::CertificateExpired),
        ("webpki::san::mismatch-domain-san", Failure::CertificateHostMismatch),
        ("webpki::san::no-san", Failure::CertificateHostMismatch),
        ("webpki::san::wildcard-match-across-labels-san", Failure::CertificateHostMismatch),
        ("rfc5280::chain-untrusted-root", Failure::CertificateNotTrusted),
        ("rfc5280::nc::excluded-dns-match", Failure::CertificateNotTrusted),
        ("rfc5280::eku::ee-wrong-eku", Failure::CertificateNotTrusted),
        ("rfc5280::unknown-critical-extension-ee", Failure::CertificateNotTrusted),
        ("rfc5280::root-missing-basic-constraints", Failure::CertificateNotTrusted),
        ("crl::revoked-certificate-with-crl", Failure::CertificateNotTrusted),
        ("webpki::v1-cert", Failure::CertificateNotTrusted),
    ];
    let cases = Case::all();
    for (id, failure) in table {
        let case = cases.iter().find(|case| case.id() == id).unwrap();
        assert_eq!(verdict(case).map_err(|finding| finding.failure), Err(failure), "{id}");
    }
}

#[test]
fn a_chain_made_to_be_slow_is_given_up_in_time_and_words() {
    const LIMIT: Duration = Duration::from_secs(5);
    for case in Case::all().iter().filter(|case| case.id().starts_with("pathological::")) {
        let started = Instant::now();
        let verdict = verdict(case);
        assert!(started.elapsed() < LIMIT, "{} took {:?}", case.id(), started.elapsed());
        if let Err(finding) = verdict {
            assert!(!finding.detail.contains("Exceeded"), "{}: {}", case.id(), finding.detail);
            assert!(finding.detail.len() < 1024, "{}: {} octets", case.id(), finding.detail.len());
        }
    }
}
