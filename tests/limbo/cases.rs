//! Which chains has x509-limbo, what does it expect of them, and where does a mail sender differ whatever library checks them?
//! (tests/data/limbo)

use std::collections::BTreeSet;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;

/// The day for cases that leave it open, when the vectors were compiled.
const OPEN_DAY: &str = "2026-06-29T00:00:00Z";

/// Cases of one reason.
pub(crate) type Differences = &'static [(&'static str, &'static [&'static str])];

/// To be refused there, believed here.
const ACCEPTED: Differences = &[
    ("name constraints that are not critical are kept all the same", &["rfc5280::nc::permitted-dns-match-noncritical"]),
    (
        "name constraints of a certificate that issues nothing, or that name nothing, constrain nothing",
        &[
            "rfc5280::nc::not-allowed-in-ee-noncritical",
            "rfc5280::nc::not-allowed-in-ee-critical",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
            "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
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
        "2052 bits are no weaker than 2048",
        &["webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf", "webpki::forbidden-rsa-not-divisible-by-8-in-root"],
    ),
];

/// To be believed there, refused here.
const REFUSED: Differences = &[("the case asks for no name: without one nobody is believed", &["rfc5280::nc::permitted-dn-match"])];

/// One chain, and what is asked of it.
pub(crate) struct Case(pub(crate) Value);

impl Case {
    /// Those of servers.
    pub(crate) fn all() -> Vec<Self> {
        let Value::Object(mut file) = serde_json::from_str(include_str!("../data/limbo/x509-limbo.json")).unwrap() else {
            panic!()
        };
        let Some(Value::Array(cases)) = file.remove("testcases") else { panic!() };
        let cases: Vec<_> = cases.into_iter().map(Self).filter(|case| case.text("validation_kind") == Some("SERVER")).collect();
        assert_eq!(cases.len(), 198);
        cases
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.0[field].as_str()
    }

    pub(crate) fn pem(&self, field: &str) -> String {
        let parts: Vec<_> = self.0[field].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
        parts.join("\n")
    }

    pub(crate) fn id(&self) -> &str {
        self.text("id").unwrap()
    }

    /// What the server shows, its own certificate first.
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        let chain = format!("{}\n{}", self.text("peer_certificate").unwrap(), self.pem("untrusted_intermediates"));
        CertificateDer::pem_slice_iter(chain.as_bytes()).map(Result::unwrap).collect()
    }

    /// The name that the server must have.
    pub(crate) fn name(&self) -> &str {
        self.0["expected_peer_name"]["value"].as_str().unwrap_or("unnamed.test")
    }

    /// When the chain is looked at (RFC 3339).
    pub(crate) fn day(&self) -> &str {
        self.text("validation_time").unwrap_or(OPEN_DAY)
    }

    fn expected(&self) -> bool {
        self.text("expected_result") == Some("SUCCESS")
    }
}

/// Holds the verdicts on `cases` (`Err` for whom nobody vouches) against those that are expected; `accepted` and `refused` are the
/// differences of one library alone. One that no longer is must leave its list.
pub(crate) fn hold<'c>(
    cases: impl Iterator<Item = &'c Case>,
    (accepted, refused): (Differences, Differences),
    verdict: impl Fn(&Case) -> Result<(), String>,
) {
    let ids =
        |lists: [Differences; 2]| -> BTreeSet<&str> { lists.concat().iter().flat_map(|(_, ids)| ids.iter().copied()).collect() };
    let (accepted, refused) = (ids([ACCEPTED, accepted]), ids([REFUSED, refused]));
    let mut wrong = Vec::new();
    for case in cases {
        let expected = match case.id() {
            id if accepted.contains(id) => true,
            id if refused.contains(id) => false,
            _ => case.expected(),
        };
        let verdict = verdict(case);
        if verdict.is_ok() != expected {
            wrong.push(format!("{}: {verdict:?}", case.id()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all = Case::all();
    for (listed, expected) in [(accepted, false), (refused, true)] {
        let stale: Vec<_> = listed.iter().filter(|id| !all.iter().any(|c| c.id() == **id && c.expected() == expected)).collect();
        assert!(stale.is_empty(), "no difference, or no such case: {stale:?}");
    }
}
