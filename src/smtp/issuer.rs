//! May a trusted certificate vouch for a chain of servers today? (RFC 5280 4.1.2.5, 4.2, 6.2)
//!
//! webpki takes of an anchor its name, key and name constraints only. What else the certificate says of itself holds here too, as
//! with OpenSSL: else whoever holds the key of a server's certificate that was added to the trusted ones could issue for others.

use rustls::pki_types::UnixTime;
use webpki::{Error, KeyUsage as Purpose, RequiredEkuNotFoundContext};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{BasicConstraints, ExtendedKeyUsage, KeyUsage, X509Extension},
    prelude::FromDer,
    time::ASN1Time,
    x509::X509Version,
};

use super::leaf;

/// Extensions of 2.5.29 (id-ce) that are heeded here or by webpki, and those that ask nothing of whoever lets any policy pass.
mod oid {
    pub(super) const SUBJECT_KEY: &[u8] = &[0x55, 0x1d, 14];
    pub(super) const KEY_USAGE: &[u8] = &[0x55, 0x1d, 15];
    pub(super) const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 17];
    pub(super) const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 19];
    pub(super) const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
    pub(super) const DISTRIBUTION_POINTS: &[u8] = &[0x55, 0x1d, 31];
    pub(super) const POLICIES: &[u8] = &[0x55, 0x1d, 32];
    pub(super) const AUTHORITY_KEY: &[u8] = &[0x55, 0x1d, 35];
    pub(super) const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 37];

    pub(super) const HEEDED: [&[u8]; 9] = [
        SUBJECT_KEY,
        KEY_USAGE,
        SUBJECT_ALT_NAME,
        BASIC_CONSTRAINTS,
        NAME_CONSTRAINTS,
        DISTRIBUTION_POINTS,
        POLICIES,
        AUTHORITY_KEY,
        EXTENDED_KEY_USAGE,
    ];
}

/// Whether the trusted certificate `der` may stand above a path with `between` intermediates that are not self-issued.
///
/// # Errors
/// In webpki's words, which path building then weighs against those of other paths: out of its dates, no authority, not for
/// servers, a path that is too long, something critical that nobody here knows.
pub(super) fn may_vouch(der: &[u8], between: usize, now: UnixTime) -> Result<(), Error> {
    let certificate = leaf::parse(der).ok_or(Error::BadDer)?;
    dates(&certificate, now)?;
    if certificate.version() != X509Version::V3 {
        // Without extensions none can say that it is an authority; old roots do it by having issued themselves.
        let own = certificate.subject().as_raw() == certificate.issuer().as_raw();
        return if own { Ok(()) } else { Err(Error::EndEntityUsedAsCa) };
    }
    let unknown = |extension: &X509Extension<'_>| extension.critical && !oid::HEEDED.contains(&extension.oid.as_bytes());
    if certificate.extensions().iter().any(unknown) {
        return Err(Error::UnsupportedCriticalExtension);
    }
    authority(&certificate, between)?;
    for_servers(&certificate)
}

fn dates(certificate: &X509Certificate<'_>, time: UnixTime) -> Result<(), Error> {
    let (not_before, not_after) = (seconds(certificate.validity().not_before), seconds(certificate.validity().not_after));
    if time < not_before {
        return Err(Error::CertNotValidYet { time, not_before });
    }
    if time > not_after {
        return Err(Error::CertExpired { time, not_after });
    }
    Ok(())
}

/// Before 1970 nobody looks at certificates.
fn seconds(time: ASN1Time) -> UnixTime {
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or_default()))
}

fn authority(certificate: &X509Certificate<'_>, between: usize) -> Result<(), Error> {
    let Some(constraints) = extension::<BasicConstraints>(certificate, oid::BASIC_CONSTRAINTS)?.filter(|it| it.ca) else {
        return Err(Error::EndEntityUsedAsCa);
    };
    if extension::<KeyUsage>(certificate, oid::KEY_USAGE)?.is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(Error::EndEntityUsedAsCa);
    }
    let longest = constraints.path_len_constraint.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    if between > longest { Err(Error::PathLenConstraintViolated) } else { Ok(()) }
}

fn for_servers(certificate: &X509Certificate<'_>) -> Result<(), Error> {
    match extension::<ExtendedKeyUsage<'_>>(certificate, oid::EXTENDED_KEY_USAGE)? {
        Some(usage) if !usage.server_auth && !usage.any => {
            let context = RequiredEkuNotFoundContext { required: Purpose::server_auth(), present: Vec::new() };
            Err(Error::RequiredEkuNotFoundContext(context))
        }
        _ => Ok(()),
    }
}

fn extension<'a, T: FromDer<'a, x509_parser::error::X509Error>>(
    certificate: &'a X509Certificate<'_>,
    oid: &[u8],
) -> Result<Option<T>, Error> {
    let Some(extension) = certificate.extensions().iter().find(|extension| extension.oid.as_bytes() == oid) else {
        return Ok(None);
    };
    T::from_der(extension.value).map(|(_, value)| Some(value)).map_err(|_| Error::ExtensionValueInvalid)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

    use super::*;

    /// 2026-11-24.
    const NOW: u64 = 1_795_478_400;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn judged(between: usize, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        change(&mut params);
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let error = may_vouch(der.der(), between, at(NOW)).err().map(|error| format!("{error:?}")).unwrap_or_default();
        error.split([' ', '(']).next().unwrap_or_default().to_owned()
    }

    fn critical(oid: &'static [u64]) -> impl FnOnce(&mut CertificateParams) {
        move |params| {
            let mut extension = CustomExtension::from_oid_content(oid, vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        }
    }

    #[test]
    fn what_an_authority_says_of_itself_holds() {
        let constrained = |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        let usage = |usage| move |p: &mut CertificateParams| p.key_usages = vec![usage];
        let purpose = |purpose| move |p: &mut CertificateParams| p.extended_key_usages = vec![purpose];
        let table = [
            ("sound", judged(9, |_| ()), ""),
            ("expired", judged(0, |p| p.not_after = rcgen::date_time_ymd(2026, 11, 23)), "CertExpired"),
            ("not yet valid", judged(0, |p| p.not_before = rcgen::date_time_ymd(2026, 11, 25)), "CertNotValidYet"),
            ("silent about being one", judged(0, |p| p.is_ca = IsCa::NoCa), "EndEntityUsedAsCa"),
            ("expressly none", judged(0, |p| p.is_ca = IsCa::ExplicitNoCa), "EndEntityUsedAsCa"),
            ("may sign certificates", judged(0, usage(KeyUsagePurpose::KeyCertSign)), ""),
            ("may sign lists only", judged(0, usage(KeyUsagePurpose::CrlSign)), "EndEntityUsedAsCa"),
            ("length reached", judged(1, constrained), ""),
            ("length surpassed", judged(2, constrained), "PathLenConstraintViolated"),
            ("for servers", judged(0, purpose(ExtendedKeyUsagePurpose::ServerAuth)), ""),
            ("for anything", judged(0, purpose(ExtendedKeyUsagePurpose::Any)), ""),
            ("for mail signatures", judged(0, purpose(ExtendedKeyUsagePurpose::EmailProtection)), "RequiredEkuNotFoundContext"),
            ("critical and known", judged(0, critical(&[2, 5, 29, 32])), ""),
            ("critical and unknown", judged(0, critical(&[1, 2, 3, 4])), "UnsupportedCriticalExtension"),
        ];
        for (what, seen, expected) in table {
            assert_eq!(seen, expected, "{what}");
        }
    }

    #[test]
    fn the_first_and_the_last_second_count() {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2026, 11, 24);
        params.not_after = rcgen::date_time_ymd(2026, 11, 25);
        let der = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone();
        let passes = |seconds| may_vouch(&der, 0, at(seconds)).is_ok();
        assert_eq!([NOW - 1, NOW, NOW + 86_400, NOW + 86_401].map(passes), [false, true, true, false]);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
            let mut der = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
            der.is_ca = IsCa::Ca(BasicConstraints::Constrained(3));
            let mut der = der.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
            for (index, byte) in flips {
                *index.get_mut(&mut der) = byte;
            }
            let _ = may_vouch(&der, 1, at(NOW));
        }
    }
}
