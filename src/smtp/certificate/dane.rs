//! Do the TLSA records of a server speak for its certificate? (RFC 7672 3, 7671 5, 6698 2.1)

use rustls::pki_types::{CertificateDer, Der, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath, anchor_from_trusted_cert};

use super::{Peer, failure, gravest, out_of_date, words, wrong_name};
use crate::{
    mail::tls::{Failure, Finding, Standing, Verdict},
    smtp::{
        issuer, leaf,
        tlsa::{Association, Matching, Record, Selector, Usage, usable},
    },
};

/// Records that a finding quotes.
const SHOWN: usize = 3;
/// Certificates of a chain that are looked at; honest ones have two to four.
const CHAIN: usize = 16;

/// Checks the certificate against records that DNSSEC vouches for. DANE-EE(3) is about the server's certificate or key alone, whatever
/// its names and dates; DANE-TA(2) about an authority above it, and then chain, dates and one of `names` count too.
///
/// # Errors
/// `dane-required` without any record, `tlsa-invalid` where none can be matched or none matches; where an authority matches and the
/// rest is wrong, what is wrong with it.
pub fn by_tlsa(chain: &[CertificateDer<'_>], records: &[Record], names: &[ServerName<'_>], now: UnixTime) -> Verdict {
    if records.is_empty() {
        return Err(Finding::new(Failure::DaneRequired, "there are no TLSA records to compare the server with"));
    }
    let associations = usable(records);
    if associations.is_empty() {
        let why = records.iter().find_map(Record::unusable).unwrap_or_default();
        return Err(Finding::new(Failure::TlsaInvalid, format!("no TLSA record is of a usable kind: {why}")));
    }
    let Some((der, above)) = chain.split_first() else {
        return Err(Finding::new(Failure::TlsaInvalid, "the server showed no certificate"));
    };
    if associations.iter().any(|one| one.usage == Usage::Server && one.matches(der)) {
        return Ok(Standing::Proven);
    }
    let above = above.get(..above.len().min(CHAIN)).unwrap_or_default();
    let authorities = authorities(&associations, der, above);
    if authorities.is_empty() {
        return Err(mismatch(records, der));
    }
    let certificate = EndEntityCert::try_from(der).map_err(|error| Finding::new(Failure::CertificateNotTrusted, words(&error)))?;
    let mut findings = Vec::new();
    if let Err(error) = chained(&certificate, above, &authorities, now) {
        let detail = match &error {
            Error::CertExpired { not_after: day, .. } | Error::CertNotValidYet { not_before: day, .. } => {
                out_of_date(&error, *day, chain)
            }
            Error::UnknownIssuer => "the authority that the TLSA records name did not issue it".to_owned(),
            _ => words(&error),
        };
        findings.push(Finding::new(failure(&error), detail));
    }
    findings.extend(misnamed(&certificate, chain, names, now));
    gravest(findings)
}

/// An authority that a record speaks of: a certificate, or a key under the name that a certificate of the chain calls its issuer.
enum Authority<'a> {
    Certificate(CertificateDer<'a>),
    Key(TrustAnchor<'a>),
}

/// The authorities that the records speak of, as far as they are in the chain or in the records themselves.
fn authorities<'a>(
    associations: &[Association<'a>],
    der: &'a CertificateDer<'_>,
    above: &'a [CertificateDer<'_>],
) -> Vec<Authority<'a>> {
    let mut found = Vec::new();
    for one in associations.iter().filter(|one| one.usage == Usage::Authority) {
        found.extend(above.iter().filter(|der| one.matches(der)).map(|der| Authority::Certificate(CertificateDer::from(&**der))));
        match (one.matching, one.selector) {
            (Matching::Full, Selector::Certificate) => found.push(Authority::Certificate(CertificateDer::from(one.data))),
            (Matching::Full, Selector::Key) => {
                let issued = std::iter::once(der).chain(above).filter_map(|der| EndEntityCert::try_from(der).ok());
                let mut issuers: Vec<Vec<u8>> = issued.map(|certificate| certificate.issuer().to_vec()).collect();
                issuers.dedup();
                found.extend(issuers.into_iter().filter_map(|issuer| key_of(issuer, one.data)).map(Authority::Key));
            }
            _ => {}
        }
    }
    found
}

fn key_of(issuer: Vec<u8>, key: &[u8]) -> Option<TrustAnchor<'_>> {
    let key = Der::from_slice(content(key)?);
    Some(TrustAnchor { subject: Der::from(issuer), subject_public_key_info: key, name_constraints: None })
}

/// What a DER SEQUENCE holds, which must be all that there is.
fn content(der: &[u8]) -> Option<&[u8]> {
    let (length, rest) = match der {
        [0x30, length @ ..=0x7f, rest @ ..] | [0x30, 0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x30, 0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    (rest.len() == length).then_some(rest)
}

/// Checks that the certificate leads to one of the authorities, and that this one may vouch for it today.
fn chained<'a>(
    certificate: &EndEntityCert<'_>,
    above: &[CertificateDer<'_>],
    authorities: &'a [Authority<'a>],
    now: UnixTime,
) -> Result<(), Error> {
    let anchor = |authority: &'a Authority<'a>| match authority {
        Authority::Certificate(der) => Some((anchor_from_trusted_cert(der).ok()?, Some(der))),
        Authority::Key(anchor) => Some((anchor.clone(), None)),
    };
    let (anchors, ders): (Vec<_>, Vec<_>) = authorities.iter().filter_map(anchor).unzip();
    let may_end = |path: &VerifiedPath<'_>| {
        let between = path.intermediate_certificates().filter(|between| between.issuer() != between.subject()).count();
        match anchors.iter().zip(&ders).find(|(anchor, _)| std::ptr::eq(*anchor, path.anchor())) {
            Some((_, Some(der))) => issuer::may_vouch(der, between, now),
            // Nothing is said of a bare key but that it is an authority's.
            Some((_, None)) => Ok(()),
            None => Err(Error::UnknownIssuer),
        }
    };
    let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, KeyUsage::server_auth());
    certificate.verify_for_usage(algorithms, &anchors, above, now, usage, None, Some(&may_end)).map(|_| ())
}

/// RFC 7672 3.2.3: one of the names suffices.
fn misnamed(
    certificate: &EndEntityCert<'_>,
    chain: &[CertificateDer<'_>],
    names: &[ServerName<'_>],
    now: UnixTime,
) -> Option<Finding> {
    let mut wrong = None;
    for name in names {
        match certificate.verify_is_valid_for_subject_name(name) {
            Ok(()) => return None,
            Err(error) => wrong = wrong.or_else(|| Some(wrong_name(&error, Peer { chain, name, now }))),
        }
    }
    wrong.or_else(|| Some(Finding::new(Failure::CertificateHostMismatch, "no name is known that the certificate could bear")))
}

/// What was wanted and what was seen, in digests.
fn mismatch(records: &[Record], der: &CertificateDer<'_>) -> Finding {
    let wanted: Vec<String> = records.iter().filter(|one| one.association().is_some()).map(ToString::to_string).collect();
    let more = if wanted.len() > SHOWN { format!(" and {} more", wanted.len() - SHOWN) } else { String::new() };
    let wanted = wanted.get(..wanted.len().min(SHOWN)).unwrap_or_default().join(", ");
    let key = leaf::public_key(der).map(|key| format!(", its key sha256:{}", leaf::hex(&leaf::sha256(key)))).unwrap_or_default();
    let seen = leaf::hex(&leaf::sha256(der));
    Finding::new(
        Failure::TlsaInvalid,
        format!("no TLSA record matches: they are {wanted}{more}; the server's certificate is sha256:{seen}{key}"),
    )
}

#[cfg(test)]
mod tests;
