//! Who is believed after a handshake, and who never gets so far?

use super::*;

#[test]
fn each_kind_of_trust_judges_a_finished_handshake() {
    let world = World::new();
    let (good, bad) = (Scratch::new(&world.root.pem()), Scratch::new(&World::new().root.pem()));
    let identity = world.issue(|_| ());
    let pin = leaf::sha256(&identity.chain[0]);
    let system = |file: &Scratch| config::Tls { ca_file: Some(file.0.clone()), ..settings(Trust::System) };
    let pinned = |pin| config::Tls { pins: vec![pin], ..settings(Trust::Pin) };
    let other_name = config::Tls { server_name: Some("other.test".to_owned()), ..system(&good) };
    let table = [
        (system(&good), None),
        (system(&bad), Some(Failure::CertificateNotTrusted)),
        (other_name, Some(Failure::CertificateHostMismatch)),
        (pinned(pin), None),
        (pinned([0; 32]), Some(Failure::ValidationFailure)),
        (settings(Trust::Any), None),
    ];
    for (settings, expected) in table {
        for settings in with_each_backend(&settings) {
            let client = met(&settings, &target(), || server(&identity)).unwrap();
            assert_eq!(client.verdict().err().map(|finding| finding.failure), expected, "{settings:?}");
            assert_eq!(client.facts().certificate.unwrap().sha256, leaf::hex(&pin), "it is described in any case");
        }
    }
}

#[test]
fn a_certificate_that_is_itself_in_ca_file_needs_nobody_above_it_but_its_name_and_its_dates() {
    fn own(change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec!["mx.test".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Identity { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
    }
    let authority = |params: &mut CertificateParams| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    };
    let expired = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    };
    let elsewhere = |params: &mut CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.test".try_into().unwrap())];
    };
    let table = [
        ("self-signed", own(|_| ()), None),
        ("self-signed by an authority", own(authority), None),
        ("issued by a stranger", World::new().issue(|_| ()), None),
        ("an authority, issued by a stranger", World::new().issue(authority), None),
        ("self-signed, expired", own(expired), Some(Failure::CertificateExpired)),
        ("issued by a stranger, expired", World::new().issue(expired), Some(Failure::CertificateExpired)),
        ("self-signed, for another", own(elsewhere), Some(Failure::CertificateHostMismatch)),
        ("issued by a stranger, for another", World::new().issue(elsewhere), Some(Failure::CertificateHostMismatch)),
    ];
    for (what, identity, expected) in table {
        let pem = |der: &[u8]| {
            let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        let ca_file = Scratch::new(&format!("{}{}", World::new().root.pem(), pem(&identity.chain[0])));
        for settings in with_each_backend(&config::Tls { ca_file: Some(ca_file.0.clone()), ..settings(Trust::System) }) {
            let client = met(&settings, &target(), || server(&identity)).unwrap();
            let backend = settings.backend.as_str();
            assert_eq!(client.verdict().err().map(|finding| finding.failure), expected, "{what}, {backend}");
        }
    }
}

#[test]
fn of_two_faults_the_graver_is_told_first_whoever_found_it() {
    let world = World::new();
    let ca_file = Scratch::new(&world.root.pem());
    let identity = world.issue(|params| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.test".try_into().unwrap())];
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2021, 1, 1));
    });
    for settings in with_each_backend(&config::Tls { ca_file: Some(ca_file.0.clone()), ..settings(Trust::System) }) {
        let finding = met(&settings, &target(), || server(&identity)).unwrap().verdict().unwrap_err();
        assert_eq!(finding.failure, Failure::CertificateHostMismatch);
        assert!(finding.detail.contains("other.test") && finding.detail.contains("expired"), "{finding}");
    }
}

#[test]
fn a_peer_that_does_not_hold_the_key_of_its_certificate_fails_the_handshake() {
    let world = World::new();
    let impostor = Identity { chain: world.issue(|_| ()).chain, key: KeyPair::generate().unwrap() };
    let odd = Identity { chain: world.issue(unknown_critical_extension).chain, key: KeyPair::generate().unwrap() };
    for identity in [impostor, odd] {
        for version in [&TLS13, &TLS12] {
            for settings in with_each_backend(&settings(Trust::Any)) {
                let mut client = handshake(&settings);
                let why = shake(&mut client, &mut server_with(&identity, hybrid::provider(), &[version])).unwrap_err();
                assert!(why.to_string().contains("could not prove"), "{why}");
                assert!(client.verdict().is_err());
            }
        }
    }
}

fn unknown_critical_extension(params: &mut CertificateParams) {
    let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(true);
    params.custom_extensions.push(extension);
}

#[test]
fn a_certificate_that_no_chain_check_accepts_can_still_be_pinned_and_described() {
    let world = World::new();
    let ca_file = Scratch::new(&world.root.pem());
    let identity = world.issue(unknown_critical_extension);
    let pin = leaf::sha256(leaf::public_key(&identity.chain[0]).unwrap());
    let pinned = config::Tls { pins: vec![pin], ..settings(Trust::Pin) };
    let trusted = config::Tls { ca_file: Some(ca_file.0.clone()), ..settings(Trust::System) };
    for (version, backend) in [&TLS13, &TLS12].into_iter().flat_map(|version| BACKENDS.iter().map(move |it| (version, *it))) {
        let server = || server_with(&identity, hybrid::provider(), &[version]);
        let client = met(&config::Tls { backend, ..pinned.clone() }, &target(), server).unwrap();
        assert_eq!(client.verdict(), Ok(Standing::Proven));
        let client = met(&config::Tls { backend, ..trusted.clone() }, &target(), server).unwrap();
        assert_eq!(client.verdict().unwrap_err().failure, Failure::CertificateNotTrusted);
        assert_eq!(client.facts().certificate.unwrap().names, ["mx.test", "192.0.2.1"]);
    }
}

#[test]
fn names_are_indicated_addresses_are_not_and_both_are_verified() {
    let world = World::new();
    let ca_file = Scratch::new(&world.root.pem());
    let identity = world.issue(|_| ());
    let local = world.issue(|params| params.subject_alt_names = vec![rcgen::SanType::DnsName("localhost".try_into().unwrap())]);
    let table = [
        (config::Target::Name("mx.test".to_owned(), 25), &identity, Some("mx.test")),
        (config::Target::Address([192, 0, 2, 1].into(), 25), &identity, None),
        (config::Target::Name("192.0.2.1".to_owned(), 25), &identity, None),
        (config::Target::Unix("/run/smtp.sock".into()), &local, Some("localhost")),
    ];
    for (target, identity, indicated) in table {
        for settings in with_each_backend(&config::Tls { ca_file: Some(ca_file.0.clone()), ..settings(Trust::System) }) {
            let mut client = Connector::new(&settings, &target, Known::Nothing).unwrap().start().unwrap();
            let mut server = server(identity);
            shake(&mut client, &mut server).unwrap();
            assert_eq!(server.server_name(), indicated, "{target:?}");
            assert_eq!(client.verdict(), Ok(Standing::Proven), "{target:?}");
        }
    }
}
