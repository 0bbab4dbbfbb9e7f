//! What does a certificate say of itself? (RFC 5280 4.1, RFC 4514 for names, RFC 3339 for dates)
//!
//! For people and the log, never for a decision: what can't be read is left empty, and the digests are there in any case.

use std::{fmt::Write, net::IpAddr};

use ring::digest::{SHA256, digest};
use x509_parser::{
    certificate::{X509Certificate, X509CertificateParser},
    der_parser::ber::Tag,
    extensions::{GeneralName, SubjectAlternativeName},
    nom::Parser,
    prelude::FromDer,
    time::ASN1Time,
    x509::{AttributeTypeAndValue, X509Name},
};

use crate::mail::tls::Certificate;

/// Names kept of one certificate: more say nothing to a person and would swell every log record. The log shows one fewer, and
/// that there are more.
const MOST_NAMES: usize = 101;
/// Octets kept of one name.
const LONGEST_NAME: usize = 1024;
/// subjectAltName, 2.5.29.17.
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

/// Describes the certificate `der`. Text is as the certificate has it, control characters included; sizes are bounded.
pub fn describe(der: &[u8]) -> Certificate {
    let mut seen = Certificate { sha256: hex(&sha256(der)), ..Certificate::default() };
    if let Some(certificate) = parse(der) {
        seen.subject = distinguished_name(certificate.subject());
        seen.issuer = distinguished_name(certificate.issuer());
        seen.names = subject_alt_names(&certificate);
        seen.not_before = date(certificate.validity().not_before);
        seen.not_after = date(certificate.validity().not_after);
        seen.spki_sha256 = hex(&sha256(certificate.public_key().raw));
    }
    seen
}

/// The SubjectPublicKeyInfo of the certificate `der`, as it stands there.
pub fn public_key(der: &[u8]) -> Option<&[u8]> {
    parse(der).map(|certificate| certificate.tbs_certificate.subject_pki.raw)
}

/// The SHA-256 digest.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut value = [0; 32];
    value.copy_from_slice(digest(&SHA256, bytes).as_ref());
    value
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Seconds since 1970 as RFC 3339 in UTC; empty where no calendar reaches.
pub fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

/// The certificate `der` with its extensions found but unread.
pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    // Extensions stay unread: one that is odd must not hide the rest.
    let (_, certificate) = X509CertificateParser::new().with_deep_parse_extensions(false).parse(der).ok()?;
    Some(certificate)
}

fn date(time: ASN1Time) -> String {
    rfc3339(time.timestamp())
}

fn subject_alt_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Some(extension) = certificate.extensions().iter().find(|extension| extension.oid.as_bytes() == SUBJECT_ALT_NAME) else {
        return Vec::new();
    };
    let Ok((_, names)) = SubjectAlternativeName::from_der(extension.value) else { return Vec::new() };
    names.general_names.iter().filter_map(general_name).take(MOST_NAMES).collect()
}

fn general_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(bounded((*name).to_owned())),
        GeneralName::Invalid(Tag(2), bytes) => Some(bounded(String::from_utf8_lossy(bytes).into_owned())),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// RFC 4514: the last RDN first, `,` between RDNs and `+` within one.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let rdns: Vec<_> = name.iter_rdn().collect();
    let mut text = String::new();
    for rdn in rdns.into_iter().rev() {
        for (index, attribute) in rdn.iter().enumerate() {
            if !text.is_empty() {
                text.push(if index == 0 { ',' } else { '+' });
            }
            write_attribute(&mut text, attribute);
        }
        if text.len() > LONGEST_NAME {
            break;
        }
    }
    bounded(text)
}

fn write_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    match short_name(attribute.attr_type().as_bytes()) {
        Some(name) => text.push_str(name),
        None => text.push_str(&attribute.attr_type().to_id_string()),
    }
    text.push('=');
    let value = attribute.attr_value();
    match value.tag() {
        Tag::BmpString => {
            let units: Vec<u16> = value.data.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            escape(text, &String::from_utf16_lossy(&units));
        }
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString | Tag::T61String | Tag::VisibleString => {
            escape(text, &String::from_utf8_lossy(value.data));
        }
        _ => {
            text.push('#');
            text.push_str(&hex(value.data));
        }
    }
}

/// The attribute types that have a short name: RFC 4514 section 3, and the e-mail address that hand-made certificates carry.
fn short_name(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        [0x55, 0x04, 0x03] => "CN",
        [0x55, 0x04, 0x06] => "C",
        [0x55, 0x04, 0x07] => "L",
        [0x55, 0x04, 0x08] => "ST",
        [0x55, 0x04, 0x09] => "STREET",
        [0x55, 0x04, 0x0a] => "O",
        [0x55, 0x04, 0x0b] => "OU",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19] => "DC",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01] => "UID",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01] => "emailAddress",
        _ => return None,
    })
}

/// RFC 4514 section 2.4.
fn escape(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        let edge = (c == ' ' && (index == 0 || index == last)) || (c == '#' && index == 0);
        if edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        if c == '\0' {
            text.push_str("\\00");
        } else {
            text.push(c);
        }
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > LONGEST_NAME {
        let end = (0..=LONGEST_NAME).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn sample(change: impl FnOnce(&mut CertificateParams)) -> (Vec<u8>, KeyPair) {
        let mut params =
            CertificateParams::new(vec!["mx.test".to_owned(), "*.mx.test".to_owned(), "192.0.2.1".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.not_before = date_time_ymd(2026, 1, 2);
        params.not_after = date_time_ymd(2036, 3, 4);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().der().to_vec(), key)
    }

    #[test]
    fn subject_names_dates_and_digests_are_read() {
        let (der, key) = sample(|params| {
            params.distinguished_name.push(DnType::OrganizationName, "Acme, Inc. ");
            params.distinguished_name.push(DnType::CommonName, "mx.test");
        });
        let seen = describe(&der);
        assert_eq!(seen.subject, "CN=mx.test,O=Acme\\, Inc.\\ ");
        assert_eq!(seen.issuer, seen.subject);
        assert_eq!(seen.names, ["mx.test", "*.mx.test", "192.0.2.1"]);
        assert_eq!((seen.not_before.as_str(), seen.not_after.as_str()), ("2026-01-02T00:00:00Z", "2036-03-04T00:00:00Z"));
        assert_eq!(seen.sha256, hex(&sha256(&der)));
        assert_eq!(seen.spki_sha256, hex(&sha256(public_key(&der).unwrap())));
        assert!(public_key(&der).unwrap().ends_with(key.public_key_raw()));
    }

    #[test]
    fn an_unreadable_certificate_still_has_its_digest() {
        let seen = describe(b"nonsense");
        assert_eq!(seen, Certificate { sha256: hex(&sha256(b"nonsense")), ..Certificate::default() });
    }

    #[test]
    fn a_certificate_with_thousands_of_names_stays_small() {
        let (der, _) = sample(|params| {
            let name = |n| rcgen::SanType::DnsName(format!("host{n}.test").try_into().unwrap());
            params.subject_alt_names = (0..2000).map(name).collect();
            params.distinguished_name.push(DnType::CommonName, "é".repeat(5000));
        });
        let seen = describe(&der);
        assert_eq!(seen.names.len(), MOST_NAMES);
        assert!(seen.subject.len() < LONGEST_NAME + 8);
    }

    #[test]
    fn the_digest_is_the_one_that_openssl_prints() {
        assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    proptest! {
        #[test]
        fn hostile_certificates_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12), cut in any::<prop::sample::Index>()) {
            let (mut der, _) = sample(|params| params.distinguished_name.push(DnType::CommonName, "mx.test"));
            for (at, byte) in flips {
                let at = at.index(der.len());
                der[at] = byte;
            }
            let seen = describe(&der);
            prop_assert!(seen.names.len() <= MOST_NAMES && !seen.sha256.is_empty());
            let _ = describe(&der[..cut.index(der.len())]);
        }
    }
}
