//! Do chains of certificates get the verdicts of x509-limbo, each exception for a reason? (RFC 5280, tests/data/limbo)
//!
//! The expected verdicts are those of a checker for browsers. Where a mail sender or webpki differs, the case is in
//! [`ACCEPTED`] or [`REFUSED`] below its reason; one that no longer differs must leave the list.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what is wrong by panicking")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject};
use sealpost::{
    mail::tls::{Failure, Verdict},
    smtp::{
        anchors::Search,
        certificate::{Authorities, Peer, by_authority},
    },
};
use serde_json::Value;

/// The day for cases that leave it open, when the vectors were compiled.
const OPEN_DAY: &str = "2026-06-29T00:00:00Z";

/// Cases of one reason.
type Differences = &'static [(&'static str, &'static [&'static str])];

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
    ("name constraints that are not critical are kept all the same", &["rfc5280::nc::permitted-dns-match-noncritical"]),
    ("webpki, as OpenSSL, takes .example.com for all names below example.com", &["rfc5280::nc::invalid-dnsname-leading-period"]),
    (
        "webpki: name constraints of a certificate that issues nothing, or that name nothing, constrain nothing",
        &[
            "rfc5280::nc::not-allowed-in-ee-noncritical",
            "rfc5280::nc::not-allowed-in-ee-critical",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
        ],
    ),
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
    ("hosts in private networks have underscores in their names, and certificates for them", &["rfc5280::san::underscore-dns"]),
    (
        "the common name does not count (RFC 9525 2), so whatever it says proves nothing and hurts nobody",
        &[
            "webpki::cn::case-mismatch",
            "webpki::cn::ipv4-hex-mismatch",
            "webpki::cn::ipv4-leading-zeros-mismatch",
            "webpki::cn::ipv6-non-rfc5952-mismatch",
            "webpki::cn::ipv6-uncompressed-mismatch",
            "webpki::cn::ipv6-uppercase-mismatch",
            "webpki::cn::not-in-san",
            "webpki::cn::punycode-not-in-san",
            "webpki::cn::utf8-vs-punycode-mismatch",
        ],
    ),
    (
        "how purposes are spelt is a rule for public authorities; one of a company's own may leave them out (RFC 5280 4.2.1.12)",
        &["webpki::eku::ee-anyeku", "webpki::eku::ee-critical-eku", "webpki::eku::ee-without-eku", "webpki::eku::root-has-eku"],
    ),
    (
        "needs the list of public suffixes; the name comes from a configuration, not from links that anybody makes",
        &["webpki::san::public-suffix-multi-label-wildcard-san", "webpki::san::public-suffix-private-namespace-wildcard-san"],
    ),
    (
        "the server's key is judged by the handshake, which such a key can't finish (tests/certificates.rs)",
        &["webpki::forbidden-p192-leaf", "webpki::forbidden-dsa-leaf", "webpki::forbidden-weak-rsa-in-leaf"],
    ),
    (
        "2052 bits are no weaker than 2048",
        &["webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf", "webpki::forbidden-rsa-not-divisible-by-8-in-root"],
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
    ("the case asks for no name: without one nobody is believed", &["rfc5280::nc::permitted-dn-match"]),
];

struct Case(Value);

impl Case {
    fn all() -> Vec<Self> {
        let Value::Object(mut file) = serde_json::from_str(include_str!("data/limbo/x509-limbo.json")).unwrap() else { panic!() };
        let Some(Value::Array(cases)) = file.remove("testcases") else { panic!() };
        cases.into_iter().map(Self).filter(|case| case.text("validation_kind") == Some("SERVER")).collect()
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.0[field].as_str()
    }

    fn pem(&self, field: &str) -> String {
        let parts: Vec<_> = self.0[field].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        parts.join("\n")
    }

    fn id(&self) -> &str {
        self.text("id").unwrap()
    }

    fn expected(&self) -> bool {
        self.text("expected_result") == Some("SUCCESS")
    }

    fn verdict(&self) -> Verdict {
        let chain = format!("{}\n{}", self.text("peer_certificate").unwrap(), self.pem("untrusted_intermediates"));
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
        let name = ServerName::try_from(self.0["expected_peer_name"]["value"].as_str().unwrap_or("unnamed.test")).unwrap();
        let day: jiff::Timestamp = self.text("validation_time").unwrap_or(OPEN_DAY).parse().unwrap();
        let now = UnixTime::since_unix_epoch(Duration::try_from(day.as_duration()).unwrap());
        let lists = self.pem("crls");
        let mut search = Search::new(&chain);
        search.feed(self.pem("trusted_certs").as_bytes());
        let anchors = search.finish();
        let revoked = (!lists.is_empty()).then_some(lists.as_bytes());
        by_authority(Peer { chain: &chain, name: &name, now }, Authorities { anchors: anchors.as_ref(), origin: "ca.pem", revoked })
    }
}

fn ids(differences: Differences) -> BTreeSet<&'static str> {
    differences.iter().flat_map(|(_, ids)| ids.iter().copied()).collect()
}

#[test]
fn every_chain_has_the_expected_verdict_or_a_reason_for_another() {
    let cases = Case::all();
    assert_eq!(cases.len(), 198);
    let (accepted, refused) = (ids(ACCEPTED), ids(REFUSED));
    let mut wrong = Vec::new();
    for case in &cases {
        let expected = match case.id() {
            id if accepted.contains(id) => true,
            id if refused.contains(id) => false,
            _ => case.expected(),
        };
        let verdict = case.verdict();
        if verdict.is_ok() != expected {
            wrong.push(format!("{}: {verdict:?}", case.id()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (listed, expected) in [(accepted, false), (refused, true)] {
        let stale: Vec<_> = listed.iter().filter(|id| !cases.iter().any(|c| c.id() == **id && c.expected() == expected)).collect();
        assert!(stale.is_empty(), "no difference, or no such case: {stale:?}");
    }
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
        assert_eq!(case.verdict().map_err(|finding| finding.failure), Err(failure), "{id}");
    }
}

#[test]
fn a_chain_made_to_be_slow_is_given_up_in_time_and_words() {
    const LIMIT: Duration = Duration::from_secs(5);
    for case in Case::all().iter().filter(|case| case.id().starts_with("pathological::")) {
        let started = Instant::now();
        let verdict = case.verdict();
        assert!(started.elapsed() < LIMIT, "{} took {:?}", case.id(), started.elapsed());
        if let Err(finding) = verdict {
            assert!(!finding.detail.contains("Exceeded"), "{}: {}", case.id(), finding.detail);
            assert!(finding.detail.len() < 1024, "{}: {} octets", case.id(), finding.detail.len());
        }
    }
}
