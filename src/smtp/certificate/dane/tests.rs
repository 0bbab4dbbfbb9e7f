//! Certificates of every kind against records of every kind.

use std::time::Duration;

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, PublicKeyData};
use ring::digest::{SHA256, SHA512, digest};

use super::*;

/// 2026-11-24.
const NOW: u64 = 1_795_478_400;

struct Authority {
    der: CertificateDer<'static>,
    spki: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2027, 1, 1));
    params
}

impl Authority {
    fn root(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = params("root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { der, spki: key.subject_public_key_info(), issuer: Issuer::new(params, key) }
    }

    fn below(&self, name: &str) -> Self {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { der, spki: key.subject_public_key_info(), issuer: Issuer::new(params, key) }
    }

    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, Vec<u8>) {
        let mut params = params("leaf");
        params.subject_alt_names = vec![rcgen::SanType::DnsName("mx.test".try_into().unwrap())];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().der().clone(), key.subject_public_key_info())
    }
}

fn record(usage: u8, selector: u8, matching: u8, selected: &[u8]) -> Record {
    let data = match matching {
        0 => selected.to_vec(),
        1 => digest(&SHA256, selected).as_ref().to_vec(),
        _ => digest(&SHA512, selected).as_ref().to_vec(),
    };
    Record { usage, selector, matching, data }
}

/// The verdict in a word, for a server that is to be mx.test.
fn told(chain: &[&CertificateDer<'static>], records: &[Record]) -> &'static str {
    told_as(chain, records, &["mx.test"])
}

fn told_as(chain: &[&CertificateDer<'static>], records: &[Record], names: &[&str]) -> &'static str {
    let chain: Vec<CertificateDer<'_>> = chain.iter().map(|der| (*der).clone()).collect();
    let names: Vec<_> = names.iter().map(|name| ServerName::try_from(*name).unwrap()).collect();
    match by_tlsa(&chain, records, &names, UnixTime::since_unix_epoch(Duration::from_secs(NOW))) {
        Ok(standing) => {
            assert_eq!(standing, Standing::Proven);
            "proven"
        }
        Err(finding) => finding.failure.as_str(),
    }
}

#[test]
fn every_selector_and_matching_type_finds_the_server_and_its_authorities() {
    let root = Authority::root(|_| ());
    let middle = root.below("middle");
    let (leaf, key) = middle.leaf(|_| ());
    let chain = [&leaf, &middle.der, &root.der];
    for matching in 0..3 {
        for (usage, selector, selected) in
            [(3, 0, leaf.as_ref()), (3, 1, &key), (2, 0, &root.der), (2, 1, &root.spki), (2, 0, &middle.der), (2, 1, &middle.spki)]
        {
            let record = record(usage, selector, matching, selected);
            assert_eq!(told(&chain, std::slice::from_ref(&record)), "proven", "{record}");
            // The same under the other usage speaks of somebody else.
            let other = Record { usage: 5 - usage, ..record };
            assert_ne!(told(&chain, std::slice::from_ref(&other)), "proven", "{other}");
        }
    }
}

#[test]
fn an_authority_in_the_record_itself_need_not_be_sent() {
    let root = Authority::root(|_| ());
    let middle = root.below("middle");
    let (leaf, _) = middle.leaf(|_| ());
    for (selector, selected) in [(0, root.der.as_ref()), (1, &root.spki)] {
        assert_eq!(told(&[&leaf, &middle.der], &[record(2, selector, 0, selected)]), "proven");
        // Without the one between nothing leads there.
        assert_eq!(told(&[&leaf], &[record(2, selector, 0, selected)]), "certificate-not-trusted");
        assert_eq!(told(&[&leaf, &middle.der], &[record(2, selector, 1, selected)]), "tlsa-invalid");
    }
    assert_eq!(told(&[&leaf], &[record(2, 1, 0, &middle.spki)]), "proven");
}

#[test]
fn the_server_s_own_record_asks_neither_for_names_nor_dates_nor_purpose() {
    let root = Authority::root(|_| ());
    let (leaf, key) = root.leaf(|params| {
        params.not_after = rcgen::date_time_ymd(2026, 2, 1);
        params.subject_alt_names = Vec::new();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    });
    assert_eq!(told(&[&leaf], &[record(3, 1, 1, &key)]), "proven");
    assert_eq!(told_as(&[&leaf], &[record(3, 0, 2, &leaf)], &[]), "proven");
}

#[test]
fn below_an_authority_chain_dates_purpose_and_name_count() {
    let root = Authority::root(|_| ());
    let own = |change: fn(&mut CertificateParams)| {
        let (leaf, _) = root.leaf(change);
        told(&[&leaf, &root.der], &[record(2, 0, 1, &root.der)])
    };
    assert_eq!(own(|_| ()), "proven");
    assert_eq!(own(|params| params.not_after = rcgen::date_time_ymd(2026, 2, 1)), "certificate-expired");
    assert_eq!(own(|params| params.not_before = rcgen::date_time_ymd(2026, 12, 1)), "certificate-expired");
    assert_eq!(own(|params| params.subject_alt_names = Vec::new()), "certificate-host-mismatch");
    assert_eq!(own(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]), "certificate-not-trusted");
    // Somebody else's leaf, with the authority beside it.
    let (stranger, _) = Authority::root(|_| ()).leaf(|_| ());
    assert_eq!(told(&[&stranger, &root.der], &[record(2, 0, 1, &root.der)]), "certificate-not-trusted");
}

#[test]
fn an_authority_must_be_one() {
    for (change, expected) in [
        ((|params| params.is_ca = IsCa::ExplicitNoCa) as fn(&mut CertificateParams), "certificate-not-trusted"),
        (|params| params.not_after = rcgen::date_time_ymd(2026, 2, 1), "certificate-expired"),
    ] {
        let root = Authority::root(change);
        let (leaf, _) = root.leaf(|_| ());
        assert_eq!(told(&[&leaf, &root.der], &[record(2, 0, 1, &root.der)]), expected);
    }
}

#[test]
fn one_of_the_names_suffices() {
    let root = Authority::root(|_| ());
    let (leaf, _) = root.leaf(|_| ());
    let records = [record(2, 1, 1, &root.spki)];
    let told = |names: &[&str]| told_as(&[&leaf, &root.der], &records, names);
    assert_eq!(told(&["base.test", "mx.test"]), "proven");
    assert_eq!(told(&["mx.test", "host.test"]), "proven");
    assert_eq!(told(&["base.test", "host.test"]), "certificate-host-mismatch");
    assert_eq!(told(&[]), "certificate-host-mismatch");
}

#[test]
fn a_self_signed_server_is_not_its_own_authority() {
    let key = KeyPair::generate().unwrap();
    let mut params = params("own");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.subject_alt_names = vec![rcgen::SanType::DnsName("mx.test".try_into().unwrap())];
    let leaf = params.self_signed(&key).unwrap().der().clone();
    assert_eq!(told(&[&leaf], &[record(2, 0, 1, &leaf)]), "tlsa-invalid");
    assert_eq!(told(&[&leaf], &[record(3, 0, 1, &leaf)]), "proven");
}

#[test]
fn without_records_without_usable_ones_or_without_a_match_it_is_said_which() {
    let root = Authority::root(|_| ());
    let (leaf, _) = root.leaf(|_| ());
    let told = |records: &[Record]| {
        let names = [ServerName::try_from("mx.test").unwrap()];
        by_tlsa(std::slice::from_ref(&leaf), records, &names, UnixTime::now()).unwrap_err().to_string()
    };
    assert!(told(&[]).starts_with("dane-required (there are no TLSA records"));
    assert!(told(&[record(1, 0, 1, &leaf)]).starts_with("tlsa-invalid (no TLSA record is of a usable kind: usages 0 and 1"));
    let many: Vec<Record> = (0..9).map(|n| record(3, 1, 1, &[n])).collect();
    let detail = told(&many);
    assert!(detail.starts_with(&format!("tlsa-invalid (no TLSA record matches: they are {}, {}, ", many[0], many[1])), "{detail}");
    let seen = format!("and 6 more; the server's certificate is sha256:{}", leaf::hex(&leaf::sha256(&leaf)));
    assert!(detail.contains(&seen), "{detail}");
    assert_eq!(by_tlsa(&[], &many, &[], UnixTime::now()).unwrap_err().failure, Failure::TlsaInvalid);
}

proptest! {
    #[test]
    fn hostile_chains_and_records_never_panic_and_never_pass(
        chain in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4),
        data in prop::collection::vec(any::<u8>(), 0..70),
        kind in (0_u8..5, 0_u8..3, 0_u8..4),
    ) {
        let chain: Vec<CertificateDer<'_>> = chain.into_iter().map(CertificateDer::from).collect();
        let names = [ServerName::try_from("mx.test").unwrap()];
        let records = [Record { usage: kind.0, selector: kind.1, matching: kind.2, data: [&[0x30], data.as_slice()].concat() }];
        prop_assert!(by_tlsa(&chain, &records, &names, UnixTime::now()).is_err());
    }
}
