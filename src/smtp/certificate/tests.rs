//! Every fault of a certificate that a chain check can see, with its RFC 8460 type.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, NameConstraints, RevokedCertParams, SanType, SerialNumber,
    date_time_ymd,
};

use super::*;
use crate::smtp::anchors::Search;

/// 2026-11-24.
const NOW: u64 = 1_795_478_400;

type Authority = Issuer<'static, KeyPair>;

fn params(names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = params(&[]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn root() -> (CertificateDer<'static>, Authority) {
    let (params, key) = (authority_params("Test Root"), KeyPair::generate().unwrap());
    (params.self_signed(&key).unwrap().der().clone(), Issuer::new(params, key))
}

fn below(issuer: &Authority, params: CertificateParams) -> (CertificateDer<'static>, Authority) {
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().der().clone(), Issuer::new(params, key))
}

fn leaf_of(issuer: &Authority, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = params(&["mx.test"]);
    change(&mut params);
    below(issuer, params).0
}

fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
    let mut params = params(&["mx.test"]);
    change(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
}

fn bundle(certificates: &[&CertificateDer<'_>]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let block =
        |der: &&CertificateDer<'_>| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
    certificates.iter().map(block).collect()
}

fn verdict(chain: &[CertificateDer<'_>], trusted: &[&CertificateDer<'_>], name: &str, revoked: Option<&str>) -> Verdict {
    let (name, bundle) = (ServerName::try_from(name.to_owned()).unwrap(), bundle(trusted));
    let peer = Peer { chain, name: &name, now: UnixTime::since_unix_epoch(Duration::from_secs(NOW)) };
    let mut search = Search::new(chain);
    search.feed(bundle.as_bytes());
    by_authority(peer, Authorities { anchors: search.finish().as_ref(), origin: "ca.pem", revoked: revoked.map(str::as_bytes) })
}

fn failure_of(verdict: &Verdict) -> &'static str {
    verdict.as_ref().map_or_else(|finding| finding.failure.as_str(), |_| "trusted")
}

const NOT_TRUSTED: &str = "certificate-not-trusted";
const MISMATCH: &str = "certificate-host-mismatch";
const EXPIRED: &str = "certificate-expired";

#[test]
fn a_single_fault_of_the_leaf_has_its_type() {
    let (root, ca) = root();
    let purpose = |purpose| move |p: &mut CertificateParams| p.extended_key_usages = vec![purpose];
    let critical = |p: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        p.custom_extensions.push(extension);
    };
    let san = |name: SanType| move |p: &mut CertificateParams| p.subject_alt_names = vec![name];
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let common_name = |p: &mut CertificateParams| {
        p.subject_alt_names.clear();
        p.distinguished_name.push(DnType::CommonName, "mx.test");
    };
    let table = [
        ("sound", leaf_of(&ca, |_| ()), "mx.test", "trusted"),
        ("in capitals", leaf_of(&ca, |_| ()), "MX.Test", "trusted"),
        ("for servers", leaf_of(&ca, purpose(ExtendedKeyUsagePurpose::ServerAuth)), "mx.test", "trusted"),
        ("wildcard", leaf_of(&ca, san(dns("*.mx.test"))), "a.mx.test", "trusted"),
        ("address", leaf_of(&ca, san(SanType::IpAddress([192, 0, 2, 1].into()))), "192.0.2.1", "trusted"),
        ("expired", leaf_of(&ca, |p| p.not_after = date_time_ymd(2026, 11, 23)), "mx.test", EXPIRED),
        ("not yet valid", leaf_of(&ca, |p| p.not_before = date_time_ymd(2026, 12, 1)), "mx.test", EXPIRED),
        ("wrong host", leaf_of(&ca, |_| ()), "other.test", MISMATCH),
        ("wildcard over two labels", leaf_of(&ca, san(dns("*.mx.test"))), "b.a.mx.test", MISMATCH),
        ("wildcard over a whole top-level domain", leaf_of(&ca, san(dns("*.test"))), "mx.test", MISMATCH),
        ("wildcard within a label", leaf_of(&ca, san(dns("m*.mx.test"))), "mx.mx.test", MISMATCH),
        ("wildcard below the name", leaf_of(&ca, san(dns("*.mx.test"))), "mx.test", MISMATCH),
        ("NUL in a name", leaf_of(&ca, san(dns("mx.test\0.evil.test"))), "mx.test", MISMATCH),
        ("CN without SAN", leaf_of(&ca, common_name), "mx.test", MISMATCH),
        ("address wanted, names given", leaf_of(&ca, |_| ()), "192.0.2.1", MISMATCH),
        ("address as a DNS name", leaf_of(&ca, san(dns("192.0.2.1"))), "192.0.2.1", MISMATCH),
        ("name wanted, address given", leaf_of(&ca, san(SanType::IpAddress([192, 0, 2, 1].into()))), "mx.test", MISMATCH),
        ("for clients only", leaf_of(&ca, purpose(ExtendedKeyUsagePurpose::ClientAuth)), "mx.test", NOT_TRUSTED),
        ("unknown critical extension", leaf_of(&ca, critical), "mx.test", NOT_TRUSTED),
        ("an authority as server", leaf_of(&ca, |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "mx.test", NOT_TRUSTED),
        ("self-signed", self_signed(|_| ()), "mx.test", NOT_TRUSTED),
        ("self-signed authority", self_signed(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)), "mx.test", NOT_TRUSTED),
        ("unreadable", CertificateDer::from(vec![0x30, 0x03, 1, 2, 3]), "mx.test", NOT_TRUSTED),
    ];
    for (what, leaf, name, expected) in table {
        let seen = verdict(&[leaf], &[&root], name, None);
        assert_eq!(failure_of(&seen), expected, "{what}: {seen:?}");
    }
}

#[test]
fn a_fault_of_the_chain_is_not_trusted() {
    let (root_der, ca) = root();
    let other = root();
    let (middle_der, middle) = below(&ca, authority_params("Middle"));
    let (no_ca_der, no_ca) = below(&ca, params(&["no-ca.test"]));
    let (old_der, old) = below(&ca, {
        let mut params = authority_params("Old");
        params.not_after = date_time_ymd(2026, 2, 1);
        params
    });
    let (narrow_der, narrow) = below(&ca, {
        let mut params = authority_params("Narrow");
        let permitted_subtrees = vec![GeneralSubtree::DnsName("elsewhere.test".to_owned())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        params
    });
    let forged = leaf_of(&other.1, |_| ());
    let deep = leaf_of(&middle, |_| ());
    let table = [
        ("sound", vec![deep.clone(), middle_der.clone()], "trusted"),
        ("out of order, with strangers", vec![deep.clone(), no_ca_der.clone(), middle_der.clone(), root_der.clone()], "trusted"),
        ("unknown authority", vec![forged.clone()], NOT_TRUSTED),
        ("unknown authority, sent along", vec![forged, other.0.clone()], NOT_TRUSTED),
        ("intermediate missing", vec![deep], NOT_TRUSTED),
        ("issuer is no authority", vec![leaf_of(&no_ca, |_| ()), no_ca_der], NOT_TRUSTED),
        ("name constraints", vec![leaf_of(&narrow, |_| ()), narrow_der], NOT_TRUSTED),
        ("intermediate expired", vec![leaf_of(&old, |_| ()), old_der], EXPIRED),
        ("nothing", vec![], NOT_TRUSTED),
    ];
    for (what, chain, expected) in table {
        let seen = verdict(&chain, &[&root_der], "mx.test", None);
        assert_eq!(failure_of(&seen), expected, "{what}: {seen:?}");
    }
}

#[test]
fn a_trusted_intermediate_is_an_anchor_too() {
    let (_, ca) = root();
    let (middle_der, middle) = below(&ca, authority_params("Middle"));
    assert_eq!(verdict(&[leaf_of(&middle, |_| ())], &[&middle_der], "mx.test", None), Ok(Standing::Proven));
}

#[test]
fn a_server_certificate_in_the_bundle_is_its_own_anchor_with_name_and_dates() {
    let authority = |p: &mut CertificateParams| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let unknown = root().1;
    let table = [
        ("self-signed", self_signed(|_| ()), "mx.test", "trusted"),
        ("self-signed authority", self_signed(authority), "mx.test", "trusted"),
        ("issued by somebody unknown", leaf_of(&unknown, |_| ()), "mx.test", "trusted"),
        ("wrong name", self_signed(authority), "other.test", MISMATCH),
        (
            "expired",
            self_signed(|p| {
                authority(p);
                p.not_after = date_time_ymd(2026, 11, 1);
            }),
            "mx.test",
            EXPIRED,
        ),
        ("not yet valid", self_signed(|p| p.not_before = date_time_ymd(2026, 12, 1)), "mx.test", EXPIRED),
    ];
    for (what, leaf, name, expected) in table {
        let seen = verdict(std::slice::from_ref(&leaf), &[&leaf], name, None);
        assert_eq!(failure_of(&seen), expected, "{what}: {seen:?}");
    }
}

#[test]
fn another_certificate_with_the_name_of_a_trusted_one_is_refused() {
    let named = |p: &mut CertificateParams| p.distinguished_name.push(DnType::CommonName, "same");
    let (trusted, impostor) = (self_signed(named), self_signed(named));
    assert_eq!(failure_of(&verdict(&[impostor], &[&trusted], "mx.test", None)), NOT_TRUSTED);
}

#[test]
fn dates_that_cant_be_read_are_out_of_date_even_in_the_bundle() {
    let (sound, month, zone) = ("260101000000Z", "261301000000Z", "260101000000+");
    let table =
        [(sound, "270101000000Z", "trusted"), (month, "270101000000Z", EXPIRED), (sound, zone, EXPIRED), (sound, month, EXPIRED)];
    for (not_before, not_after, expected) in table {
        let mut der = self_signed(|_| ()).to_vec();
        for (old, new) in [(sound, not_before), ("270101000000Z", not_after)] {
            let at = memchr::memmem::find(&der, old.as_bytes()).unwrap();
            der[at..at + old.len()].copy_from_slice(new.as_bytes());
        }
        let leaf = CertificateDer::from(der);
        let seen = verdict(std::slice::from_ref(&leaf), &[&leaf], "mx.test", None);
        assert_eq!(failure_of(&seen), expected, "{not_before} to {not_after}: {seen:?}");
    }
}

#[test]
fn a_server_certificate_in_the_bundle_vouches_for_no_other() {
    let (params, key) = (params(&["mx.test"]), KeyPair::generate().unwrap());
    let (der, server) = (params.self_signed(&key).unwrap().der().clone(), Issuer::new(params, key));
    assert_eq!(verdict(std::slice::from_ref(&der), &[&der], "mx.test", None), Ok(Standing::Proven));
    let forged = leaf_of(&server, |p| p.subject_alt_names = vec![SanType::DnsName("other.test".try_into().unwrap())]);
    let finding = verdict(&[forged], &[&der], "other.test", None).unwrap_err();
    assert_eq!((finding.failure, finding.detail.contains("no authority")), (Failure::CertificateNotTrusted, true), "{finding}");
}

#[test]
fn an_authority_out_of_its_dates_is_passed_by_for_its_successor_and_told_where_there_is_none() {
    let key = KeyPair::generate().unwrap();
    let mut old = authority_params("Root");
    old.not_after = date_time_ymd(2026, 11, 1);
    let old_der = old.self_signed(&key).unwrap().der().clone();
    let new_der = authority_params("Root").self_signed(&key).unwrap().der().clone();
    let leaf = leaf_of(&Issuer::new(old, key), |_| ());
    let chain = [leaf];
    assert_eq!(verdict(&chain, &[&old_der, &new_der], "mx.test", None), Ok(Standing::Proven));
    let finding = verdict(&chain, &[&old_der], "mx.test", None).unwrap_err();
    assert_eq!(finding.failure, Failure::CertificateExpired);
    assert!(finding.detail.contains("authority above the server's expired at 2026-11-01T00:00:00Z"), "{finding}");
}

#[test]
fn what_is_wrong_is_told_in_words_that_help() {
    let (root, ca) = root();
    let authority = leaf_of(&ca, |p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let digits = leaf_of(&ca, |p| p.subject_alt_names = vec![SanType::DnsName("192.0.2.1".try_into().unwrap())]);
    let table = [
        (authority, "mx.test", "certificate of an authority (CA:TRUE), which counts only where it is itself in ca.pem"),
        (digits, "192.0.2.1", "has 192.0.2.1 only as the name of a host"),
    ];
    for (leaf, name, words) in table {
        let finding = verdict(&[leaf], &[&root], name, None).unwrap_err();
        assert!(finding.detail.contains(words), "{finding}");
    }
}

#[test]
fn of_several_faults_the_gravest_names_the_type_and_all_are_told() {
    let (root, ca) = root();
    let expired = |p: &mut CertificateParams| p.not_after = date_time_ymd(2026, 5, 1);
    let finding = verdict(&[self_signed(expired)], &[&root], "other.test", None).unwrap_err();
    assert_eq!(finding.failure, Failure::CertificateNotTrusted);
    for part in ["self-signed", "is for mx.test, not for other.test", "expired at 2026-05-01T00:00:00Z"] {
        assert!(finding.detail.contains(part), "{}", finding.detail);
    }
    let finding = verdict(&[leaf_of(&ca, expired)], &[&root], "other.test", None).unwrap_err();
    assert_eq!(finding.failure, Failure::CertificateHostMismatch);
    assert!(finding.detail.contains("expired"), "{}", finding.detail);
}

#[test]
fn the_detail_names_who_issued_and_what_is_missing() {
    let (root_der, ca) = root();
    let (_, middle) = below(&ca, authority_params("Middle"));
    let finding = verdict(&[leaf_of(&middle, |_| ())], &[&root_der], "mx.test", None).unwrap_err();
    assert!(finding.detail.contains("CN=Middle") && finding.detail.contains("ca.pem"), "{}", finding.detail);
}

#[test]
fn a_bundle_without_certificates_is_said_to_be_that() {
    let finding = verdict(&[self_signed(|_| ())], &[], "mx.test", None).unwrap_err();
    assert_eq!(finding.failure, Failure::ValidationFailure);
    assert!(finding.detail.contains("ca.pem holds no certificate"), "{}", finding.detail);
}

fn revocation_list(issuer: &Authority, serials: &[u64], until: (i32, u8, u8)) -> String {
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: date_time_ymd(2026, 3, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 3, 1),
        next_update: date_time_ymd(until.0, until.1, until.2),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    list.signed_by(issuer).unwrap().pem().unwrap()
}

#[test]
fn a_revocation_list_is_obeyed() {
    let (root_der, ca) = root();
    let leaf = leaf_of(&ca, |p| p.serial_number = Some(SerialNumber::from(42)));
    let (current, other) = ((2027, 1, 1), root().1);
    let table = [
        ("revoked", revocation_list(&ca, &[7, 42], current), NOT_TRUSTED),
        ("another is revoked", revocation_list(&ca, &[7], current), "trusted"),
        ("out of date", revocation_list(&ca, &[7], (2026, 4, 1)), NOT_TRUSTED),
        ("forged", revocation_list(&other, &[7], current), NOT_TRUSTED),
        ("no list in the file", "nothing".to_owned(), "validation-failure"),
        ("damaged", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".to_owned(), "validation-failure"),
    ];
    for (what, list, expected) in table {
        let seen = verdict(std::slice::from_ref(&leaf), &[&root_der], "mx.test", Some(&list));
        assert_eq!(failure_of(&seen), expected, "{what}: {seen:?}");
    }
    // Nor does it help to list the revoked certificate itself among the trusted ones.
    let list = revocation_list(&ca, &[42], current);
    let seen = verdict(std::slice::from_ref(&leaf), &[&root_der, &leaf], "mx.test", Some(&list));
    assert!(seen.unwrap_err().detail.contains("revoked"));
}

#[test]
fn a_pin_of_certificate_or_key_is_enough_whatever_else_is_wrong() {
    let leaf = self_signed(|p| p.not_after = date_time_ymd(2026, 2, 1));
    let (certificate, key) = (leaf::sha256(&leaf), leaf::sha256(leaf::public_key(&leaf).unwrap()));
    let chain = [leaf];
    assert_eq!(by_pin(&chain, &[certificate]), Ok(Standing::Proven));
    assert_eq!(by_pin(&chain, &[[0; 32], key]), Ok(Standing::Proven));
}

#[test]
fn a_pin_that_does_not_match_shows_what_was_wanted_what_came_and_how_to_accept_it() {
    let leaf = self_signed(|_| ());
    let key = leaf::hex(&leaf::sha256(leaf::public_key(&leaf).unwrap()));
    let finding = by_pin(std::slice::from_ref(&leaf), &[[0xab; 32]]).unwrap_err();
    assert_eq!(finding.failure, Failure::ValidationFailure);
    for part in ["ab".repeat(32), leaf::hex(&leaf::sha256(&leaf)), format!("pins = [\"sha256:{key}\"]")] {
        assert!(finding.detail.contains(&part), "{}", finding.detail);
    }
    assert!(by_pin(&[leaf], &[]).is_err());
    assert!(by_pin(&[], &[[0; 32]]).is_err());
}

#[test]
fn only_the_first_certificate_is_pinned() {
    let (root_der, ca) = root();
    let pin = leaf::sha256(&root_der);
    assert!(by_pin(&[leaf_of(&ca, |_| ()), root_der], &[pin]).is_err());
}
