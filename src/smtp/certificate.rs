//! How far is a peer's certificate trusted: by an authority and its name, a pin, or TLSA records? (RFC 5280 6, 9525, 7672; sealpost(1), "TLS policy")
//!
//! Says what is wrong in the words of RFC 8460 section 4.3; never decides to send.

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime, pem::PemObject};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage, OwnedCertRevocationList, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath, anchor_from_trusted_cert,
};

pub use dane::by_tlsa;

use super::{anchors::Anchors, issuer, leaf};
use crate::mail::tls::{Failure, Finding, Standing, Verdict};

mod dane;

/// What a server showed, and what it was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    /// The certificates as the server sent them, its own first.
    pub chain: &'a [CertificateDer<'a>],
    /// The name or address that the account wants to reach.
    pub name: &'a ServerName<'a>,
    /// The time to check dates against.
    pub now: UnixTime,
}

/// Who is believed besides the peer itself.
#[derive(Clone, Copy, Debug)]
pub struct Authorities<'a> {
    /// What the bundle of trusted certificates holds for this chain; `None` where it holds no certificate at all.
    pub anchors: Option<&'a Anchors>,
    /// Where they come from, for people.
    pub origin: &'a str,
    /// Revocation lists, PEM; `None`: revocation is not checked.
    pub revoked: Option<&'a [u8]>,
}

/// Checks chain, dates, purpose, revocation and name. A server certificate that is itself in the bundle, byte for byte, is its
/// own anchor: what `openssl req -x509` makes; dates and name count there too.
///
/// # Errors
/// Of several faults the gravest gives the type: not trusted, then the wrong name, then the dates; the detail has them all.
pub fn by_authority(peer: Peer<'_>, authorities: Authorities<'_>) -> Verdict {
    let lists = match authorities.revoked.map(revocation_lists).transpose() {
        Ok(lists) => lists.unwrap_or_default(),
        Err(why) => return Err(Finding::new(Failure::ValidationFailure, why)),
    };
    let Some((der, intermediates)) = peer.chain.split_first() else {
        return Err(Finding::new(Failure::CertificateNotTrusted, "the server showed no certificate"));
    };
    let Some(anchors) = authorities.anchors else {
        return Err(nobody(authorities.origin));
    };
    let certificate = match EndEntityCert::try_from(der) {
        Ok(certificate) => certificate,
        Err(error) => return Err(Finding::new(Failure::CertificateNotTrusted, words(&error))),
    };
    let path = Path { certificate: &certificate, intermediates, anchors, lists: &lists };
    let mut findings = path.findings(peer, authorities.origin);
    if let Err(error) = certificate.verify_is_valid_for_subject_name(peer.name) {
        findings.push(wrong_name(&error, peer));
    }
    gravest(findings)
}

/// `origin` holds no certificate at all.
pub fn nobody(origin: &str) -> Finding {
    Finding::new(Failure::ValidationFailure, format!("{origin} holds no certificate in PEM form: nobody can be trusted"))
}

/// Checks the name alone, of a server whose chain another has accepted.
///
/// # Errors
/// `certificate-host-mismatch`; `certificate-not-trusted` where there is no certificate whose names could be read.
pub fn by_name(peer: Peer<'_>) -> Verdict {
    let Some(der) = peer.chain.first() else {
        return Err(Finding::new(Failure::CertificateNotTrusted, "the server showed no certificate"));
    };
    let certificate = EndEntityCert::try_from(der).map_err(|error| Finding::new(Failure::CertificateNotTrusted, words(&error)))?;
    let named = certificate.verify_is_valid_for_subject_name(peer.name);
    named.map(|()| Standing::Proven).map_err(|error| wrong_name(&error, peer))
}

/// What is wrong with a server whose chain another has refused for `finding`: that, and its name where that is wrong too.
pub fn also_by_name(peer: Peer<'_>, finding: &Finding) -> Finding {
    let name = by_name(peer).err().filter(|name| name.failure == Failure::CertificateHostMismatch);
    gravest([Some(finding.clone()), name].into_iter().flatten().collect()).err().unwrap_or_else(|| finding.clone())
}

/// Checks that the certificate or its key is one of `pins` (SHA-256), whoever signed it, whatever its dates and names.
///
/// # Errors
/// `validation-failure` with the digests wanted and seen, and how to accept what was seen.
pub fn by_pin(chain: &[CertificateDer<'_>], pins: &[[u8; 32]]) -> Verdict {
    let Some(der) = chain.first() else {
        return Err(Finding::new(Failure::ValidationFailure, "the server showed no certificate"));
    };
    let certificate = leaf::sha256(der);
    let key = leaf::public_key(der).map(leaf::sha256);
    if pins.iter().any(|pin| *pin == certificate || Some(*pin) == key) {
        return Ok(Standing::Proven);
    }
    let wanted = match pins {
        [] => "no pin is configured".to_owned(),
        [first] => format!("the pin is sha256:{}", leaf::hex(first)),
        [first, rest @ ..] => format!("the pins are sha256:{} and {} more", leaf::hex(first), rest.len()),
    };
    let seen = key.map(|key| format!(", its key sha256:{}", leaf::hex(&key))).unwrap_or_default();
    let accept = leaf::hex(&key.unwrap_or(certificate));
    let certificate = leaf::hex(&certificate);
    Err(Finding::new(
        Failure::ValidationFailure,
        format!(
            "{wanted}; the server's certificate is sha256:{certificate}{seen}; if the server's owner confirms it: pins = [\"sha256:{accept}\"]"
        ),
    ))
}

/// Checks that the key is the one that was seen first (`remembered`: SHA-256 of its `SubjectPublicKeyInfo`), whoever signed for it.
///
/// # Errors
/// `validation-failure` with both digests, where the key changed.
pub fn by_first_use(chain: &[CertificateDer<'_>], remembered: Option<&[u8; 32]>) -> Verdict {
    let Some(key) = chain.first().and_then(|der| leaf::public_key(der)).map(leaf::sha256) else {
        return Err(Finding::new(Failure::ValidationFailure, "the server showed no certificate with a key that can be read"));
    };
    match remembered {
        None => Ok(Standing::FirstUse),
        Some(first) if *first == key => Ok(Standing::Proven),
        Some(first) => Err(Finding::new(
            Failure::ValidationFailure,
            format!("the server's key changed: remembered is sha256:{}, shown is sha256:{}", leaf::hex(first), leaf::hex(&key)),
        )),
    }
}

/// A leaf and what may lead from it to somebody trusted.
struct Path<'a> {
    certificate: &'a EndEntityCert<'a>,
    intermediates: &'a [CertificateDer<'a>],
    anchors: &'a Anchors,
    lists: &'a [CertRevocationList<'static>],
}

impl Path<'_> {
    fn findings(&self, peer: Peer<'_>, origin: &str) -> Vec<Finding> {
        let Err(first) = self.check(peer.now) else { return Vec::new() };
        // Path building stops at the first fault, and looks at dates first: asked again about a day when the certificate was
        // valid it tells what else is wrong.
        let valid_day = match &first {
            Error::CertExpired { not_after, .. } => Some(*not_after),
            Error::CertNotValidYet { not_before, .. } => Some(*not_before),
            _ => None,
        };
        let second = valid_day.and_then(|day| self.check(day).err()).filter(|error| failure(error) != Failure::CertificateExpired);
        let finding = |error: Error| {
            let detail = match error {
                Error::UnknownIssuer => unknown_issuer(peer.chain, origin),
                Error::CaUsedAsEndEntity if self.certificate.issuer() == self.certificate.subject() => {
                    unknown_issuer(peer.chain, origin)
                }
                Error::CaUsedAsEndEntity => format!(
                    "the server showed the certificate of an authority (CA:TRUE), which counts only where it is itself in {origin}"
                ),
                Error::CertExpired { not_after: day, .. } | Error::CertNotValidYet { not_before: day, .. } => {
                    out_of_date(&error, day, peer.chain)
                }
                _ => words(&error),
            };
            Finding::new(failure(&error), detail)
        };
        [Some(first), second].into_iter().flatten().map(finding).collect()
    }

    fn check(&self, now: UnixTime) -> Result<(), Error> {
        let found = self.build(self.anchors.candidates(), self.intermediates, now);
        match found {
            Err(Error::CertRevoked) | Ok(()) => found,
            // Without anchors no leaf can pass, but its dates are looked at before anything else.
            Err(_) if self.anchors.lists_leaf() => match self.build(&[], &[], now) {
                Err(
                    Error::UnknownIssuer
                    | Error::CaUsedAsEndEntity
                    | Error::RequiredEkuNotFoundContext(_)
                    | Error::EmptyEkuExtension,
                ) => Ok(()),
                dates => dates,
            },
            Err(_) => found,
        }
    }

    fn build(&self, anchors: &[CertificateDer<'_>], intermediates: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let read = |der| Some((anchor_from_trusted_cert(der).ok()?, der));
        let (anchors, ders): (Vec<_>, Vec<_>) = anchors.iter().filter_map(read).unzip();
        let lists: Vec<_> = self.lists.iter().collect();
        let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, KeyUsage::server_auth());
        let revocation = revocation(&lists);
        let may_end = |path: &VerifiedPath<'_>| {
            let between = path.intermediate_certificates().filter(|between| between.issuer() != between.subject()).count();
            let der = anchors.iter().zip(&ders).find(|(anchor, _)| std::ptr::eq(*anchor, path.anchor()));
            der.map_or(Err(Error::UnknownIssuer), |(_, der)| issuer::may_vouch(der, between, now))
        };
        self.certificate.verify_for_usage(algorithms, &anchors, intermediates, now, usage, revocation, Some(&may_end)).map(|_| ())
    }
}

/// A list that is out of date is an error, as with OpenSSL and GnuTLS: it would hide what was revoked since. A certificate that no
/// list speaks of passes.
fn revocation<'a>(lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let options = RevocationOptionsBuilder::new(lists).ok()?;
    Some(options.with_status_policy(UnknownStatusPolicy::Allow).with_expiration_policy(ExpirationPolicy::Enforce).build())
}

fn revocation_lists(pem: &[u8]) -> Result<Vec<CertRevocationList<'static>>, String> {
    let mut lists = Vec::new();
    for der in CertificateRevocationListDer::pem_slice_iter(pem) {
        let der = der.map_err(|_| "the revocation list is not valid PEM".to_owned())?;
        let list =
            OwnedCertRevocationList::from_der(&der).map_err(|error| format!("the revocation list can't be read: {error}"))?;
        lists.push(CertRevocationList::Owned(list));
    }
    if lists.is_empty() {
        return Err("the file of revocation lists holds none in PEM form (BEGIN X509 CRL)".to_owned());
    }
    Ok(lists)
}

fn gravest(mut findings: Vec<Finding>) -> Verdict {
    findings.sort_by_key(|finding| match finding.failure {
        Failure::CertificateNotTrusted => 0,
        Failure::CertificateHostMismatch => 1,
        _ => 2,
    });
    let Some(first) = findings.first() else { return Ok(Standing::Proven) };
    let details: Vec<_> = findings.iter().map(|finding| finding.detail.as_str()).collect();
    Err(Finding::new(first.failure, details.join("; ")))
}

/// RFC 8460 4.3: "not trusted" covers every fault of a chain that is neither its dates nor the name.
fn failure(error: &Error) -> Failure {
    match error {
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity | Error::BadDerTime => {
            Failure::CertificateExpired
        }
        Error::CertNotValidForName(_) => Failure::CertificateHostMismatch,
        _ => Failure::CertificateNotTrusted,
    }
}

fn wrong_name(error: &Error, peer: Peer<'_>) -> Finding {
    const SHOWN: usize = 10;
    let wanted = peer.name.to_str();
    let Error::CertNotValidForName(_) = error else {
        return Finding::new(Failure::CertificateHostMismatch, format!("the name {wanted} can't be checked: {}", words(error)));
    };
    let names = peer.chain.first().map(|der| leaf::describe(der).names).unwrap_or_default();
    let detail = match names.as_slice() {
        // RFC 9525 section 6.5.
        names if matches!(peer.name, ServerName::IpAddress(_)) && names.iter().any(|name| *name == wanted) => {
            format!("the certificate has {wanted} only as the name of a host, not as an address")
        }
        [] => {
            format!("the certificate names no host in its subjectAltName, and {wanted} was wanted (a common name does not count)")
        }
        names => {
            let more = if names.len() > SHOWN { ", …" } else { "" };
            format!("the certificate is for {}{more}, not for {wanted}", names[..names.len().min(SHOWN)].join(", "))
        }
    };
    Finding::new(Failure::CertificateHostMismatch, detail)
}

fn unknown_issuer(chain: &[CertificateDer<'_>], origin: &str) -> String {
    let parsed: Vec<_> = chain.iter().filter_map(|der| EndEntityCert::try_from(der).ok()).collect();
    let Some(first) = parsed.first() else { return "no trusted authority issued the certificate".to_owned() };
    let issuer = chain.first().map(|der| leaf::describe(der).issuer).unwrap_or_default();
    if first.issuer() == first.subject() {
        return format!("the certificate is self-signed and not itself among the trusted ones in {origin}");
    }
    if parsed.iter().any(|certificate| certificate.subject() == first.issuer()) {
        return format!("the chain by way of \"{issuer}\" leads to no authority trusted by {origin}");
    }
    format!(
        "it was issued by \"{issuer}\", which {origin} does not trust, and the server sent no certificate that leads on from there"
    )
}

/// Whose dates they are: the server's own certificate, or that of an authority above it.
fn out_of_date(error: &Error, day: UnixTime, chain: &[CertificateDer<'_>]) -> String {
    let (day, own) = (date(day), chain.first().map(|der| leaf::describe(der)).unwrap_or_default());
    let (own_day, what) = match error {
        Error::CertExpired { .. } => (own.not_after, "expired at"),
        _ => (own.not_before, "is not valid before"),
    };
    let whose = if day == own_day { "the certificate" } else { "the certificate of an authority above the server's" };
    format!("{whose} {what} {day}")
}

fn date(time: UnixTime) -> String {
    i64::try_from(time.as_secs()).map(leaf::rfc3339).unwrap_or_default()
}

fn words(error: &Error) -> String {
    let text = match error {
        Error::CrlExpired { next_update, .. } => return format!("the revocation list is out of date since {}", date(*next_update)),
        Error::InvalidCertValidity => "the certificate ends before it begins",
        Error::BadDerTime => "the certificate's dates can't be read",
        Error::CertRevoked => "the certificate was revoked",
        Error::EndEntityUsedAsCa => "the certificate was issued by one that is no authority",
        Error::PathLenConstraintViolated => "the chain is longer than one of its authorities allows",
        Error::NameConstraintViolation => "an authority in the chain may not issue for this name",
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => "the certificate is not meant for servers",
        Error::UnsupportedCriticalExtension => "a certificate demands something unknown (a critical extension)",
        Error::UnsupportedCertVersion => {
            "the certificate is of an old version without extensions; only X.509 version 3 can be checked"
        }
        Error::InvalidSignatureForPublicKey => {
            "a signature in the chain is wrong, or of a key that is too short (RSA below 2048 bits)"
        }
        Error::InvalidCrlSignatureForPublicKey => "the signature of the revocation list is wrong",
        Error::IssuerNotCrlSigner => "the issuer of the revocation list may not issue such lists",
        Error::MaximumPathDepthExceeded => "the chain is longer than anybody needs",
        Error::MaximumPathBuildCallsExceeded
        | Error::MaximumSignatureChecksExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => "the chain is made so that checking it would take too long",
        Error::UnsupportedSignatureAlgorithmContext(_) | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a signature in the chain is of a kind that is not accepted, such as SHA-1, DSA, or a curve other than P-256 and P-384"
        }
        other => return format!("the certificate can't be accepted: {other}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests;
