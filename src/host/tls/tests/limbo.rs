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

use serde_json::Value;

use super::*;

/// The day for cases that leave it open, when the vectors were compiled.
const OPEN_DAY: &str = "2026-06-29T00:00:00Z";
/// Tells the process of one day which it is.
const DAY: &str = "SEALPOST_TEST_LIMBO_DAY";
/// What a verdict is told after, line by line.
const MARK: &str = "verdict: ";

/// Cases of one reason.
type Differences = &'static [(&'static str, &'static [&'static str])];

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
    ("name constraints that are not critical are kept all the same", &["rfc5280::nc::permitted-dns-match-noncritical"]),
    (
        "OpenSSL takes .example.com for all names below example.com, in a constraint as in a name",
        &["rfc5280::nc::invalid-dnsname-leading-period", "rfc5280::nc::nc-permits-invalid-dns-san"],
    ),
    (
        "OpenSSL weighs *.example.com against a constraint as the name that it is, not as the hosts that it stands for; rustls \
         refuses these",
        &["cve::cve-2025-61727", "rfc5280::nc::nc-forbids-dnsname-wildcard-san"],
    ),
    (
        "name constraints of a certificate that issues nothing, or that name nothing, constrain nothing",
        &[
            "rfc5280::nc::not-allowed-in-ee-noncritical",
            "rfc5280::nc::not-allowed-in-ee-critical",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
        ],
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
        "OpenSSL still knows DSA, if only to check it: the case's 3072 bits are strong enough, but no handshake can be signed with \
         them here (tests/certificates.rs)",
        &["webpki::forbidden-dsa-root", "webpki::forbidden-dsa-leaf"],
    ),
    (
        "2052 bits are no weaker than 2048",
        &["webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf", "webpki::forbidden-rsa-not-divisible-by-8-in-root"],
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
    ("the case asks for no name: without one nobody is believed", &["rfc5280::nc::permitted-dn-match"]),
];

struct Case(Value);

impl Case {
    fn all() -> Vec<Self> {
        let text = include_str!("../../../../tests/data/limbo/x509-limbo.json");
        let Value::Object(mut file) = serde_json::from_str(text).unwrap() else { panic!() };
        let Some(Value::Array(cases)) = file.remove("testcases") else { panic!() };
        let cases = cases.into_iter().map(Self).filter(|case| case.text("validation_kind") == Some("SERVER"));
        cases.collect()
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

    fn day(&self) -> String {
        self.text("validation_time").unwrap_or(OPEN_DAY).to_owned()
    }

    /// Whether the account of the case could be configured: `crl_file` is an error with this library.
    fn can_be_asked(&self) -> bool {
        self.0["crls"].as_array().is_none_or(Vec::is_empty)
    }

    fn verdict(&self) -> Verdict {
        let chain = format!("{}\n{}", self.text("peer_certificate").unwrap(), self.pem("untrusted_intermediates"));
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect();
        let ca_file = Scratch::new(&self.pem("trusted_certs"));
        let name = self.0["expected_peer_name"]["value"].as_str().unwrap_or("unnamed.test");
        let settings = config::Tls {
            ca_file: Some(ca_file.0.clone()),
            server_name: Some(name.to_owned()),
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

fn ids(differences: Differences) -> BTreeSet<&'static str> {
    differences.iter().flat_map(|(_, ids)| ids.iter().copied()).collect()
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
    for case in Case::all().iter().filter(|case| case.day() == day && case.can_be_asked()) {
        let started = Instant::now();
        let verdict = case.verdict();
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
    assert_eq!(cases.len(), 198);
    assert_eq!(cases.iter().filter(|case| !case.can_be_asked()).count(), 8, "cases with revocation lists");
    let days: BTreeSet<String> = cases.iter().filter(|case| case.can_be_asked()).map(Case::day).collect();
    let said: Vec<String> = days.iter().map(|day| judged(day)).collect();
    let verdicts = said.iter().flat_map(|said| said.lines()).filter_map(|line| line.strip_prefix(MARK)?.split_once(' '));
    let verdicts: BTreeMap<&str, &str> = verdicts.collect();
    let (accepted, refused) = (ids(ACCEPTED), ids(REFUSED));
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| case.can_be_asked()) {
        let expected = match case.id() {
            id if accepted.contains(id) => true,
            id if refused.contains(id) => false,
            _ => case.expected(),
        };
        let verdict = verdicts.get(case.id()).unwrap_or_else(|| panic!("no verdict on {}", case.id()));
        if (*verdict == "Proven") != expected {
            wrong.push(format!("{}: {verdict}", case.id()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (listed, expected) in [(accepted, false), (refused, true)] {
        let stale: Vec<_> = listed.iter().filter(|id| !cases.iter().any(|c| c.id() == **id && c.expected() == expected)).collect();
        assert!(stale.is_empty(), "no difference, or no such case: {stale:?}");
    }
}
