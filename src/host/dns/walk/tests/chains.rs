//! What is right is believed, and as far as it reaches.

use super::*;

#[test]
fn a_signed_answer_is_secure_whatever_the_order_case_and_ttl_of_its_records() {
    let mut stage = Stage::new();
    let mut set = address("mx.test.");
    set.push(record(&name("mx.test."), A::new(10, 0, 0, 1)));
    let mut signed = stage.test.sign(set);
    signed[0].ttl = 1;
    signed[1].name = name("mX.tEst.");
    signed.push(signed[1].clone());
    signed.reverse();
    stage.put("mx.test.", RecordType::A, answer(signed));
    assert_eq!(stage.told("MX.test.", RecordType::A), "secure 3 records");
    assert_eq!(stage.scene.asked.get(), 4, "A, DNSKEY of test, DS of test, DNSKEY of the root");
}

#[test]
fn denials_are_secure_as_far_as_they_are_proven() {
    let table: &[(&str, RecordType, Proof, &str)] = &[
        ("mx.test.", RecordType::TLSA, |test| test.nsec("mx.test.", "test.", &[RecordType::A]), "secure no data"),
        ("mx.test.", RecordType::DS, |test| test.nsec("mx.test.", "test.", &[RecordType::NS]), "secure delegation"),
        ("test.", RecordType::A, |test| test.nsec("test.", "mx.test.", &[RecordType::NS, RecordType::SOA]), "secure no data"),
        // Behind mx is nothing, and where the wildcard would be nothing either.
        (
            "a.nobody.test.",
            RecordType::A,
            |test| [test.nsec("mx.test.", "test.", &[RecordType::A]), test.nsec("test.", "mx.test.", &[RecordType::SOA])].concat(),
            "secure no name",
        ),
        // A name that has only names below it.
        ("ent.test.", RecordType::A, |test| test.nsec("aa.test.", "x.ent.test.", &[RecordType::A]), "secure no data"),
        // A wildcard that lacks the type.
        (
            "some.test.",
            RecordType::TLSA,
            |test| [test.nsec("mx.test.", "test.", &[RecordType::A]), test.nsec("*.test.", "mx.test.", &[RecordType::A])].concat(),
            "secure no data",
        ),
        // The same by hashes.
        ("mx.test.", RecordType::TLSA, |test| test.nsec3("mx.test.", true, (false, 3), &[RecordType::A]), "secure no data"),
        ("sub.test.", RecordType::DS, |test| test.nsec3("sub.test.", true, (false, 3), &[RecordType::NS]), "secure delegation"),
        (
            "a.nobody.test.",
            RecordType::A,
            |test| {
                [
                    test.nsec3("test.", true, (false, 3), &[RecordType::SOA]),
                    test.nsec3("nobody.test.", false, (false, 3), &[]),
                    test.nsec3("*.test.", false, (false, 3), &[]),
                ]
                .concat()
            },
            "secure no name",
        ),
        (
            "some.test.",
            RecordType::TLSA,
            |test| {
                [
                    test.nsec3("test.", true, (false, 0), &[RecordType::SOA]),
                    test.nsec3("some.test.", false, (false, 0), &[]),
                    test.nsec3("*.test.", true, (false, 0), &[RecordType::A]),
                ]
                .concat()
            },
            "secure no data",
        ),
        // Left out: there may be a zone that nobody signed.
        (
            "sub.test.",
            RecordType::DS,
            |test| {
                [test.nsec3("test.", true, (true, 0), &[RecordType::SOA]), test.nsec3("sub.test.", false, (true, 0), &[])].concat()
            },
            "insecure no data",
        ),
    ];
    for (owner, kind, proof, expected) in table {
        let mut stage = Stage::new();
        let message = denial(proof(&stage.test));
        stage.put(owner, *kind, message);
        assert_eq!(stage.told(owner, *kind), *expected, "{owner} {kind}");
    }
}

#[test]
fn a_wildcard_answers_for_names_that_nothing_is_closer_to() {
    for (proof, expected) in [(false, "secure 1 records"), (true, "insecure 1 records")] {
        let mut stage = Stage::new();
        let claim = Claim { labels: Some(1), ..SOUND };
        let mut signed = stage.test.sign_as(vec![record(&name("*.test."), A::new(127, 0, 0, 1))], claim);
        for record in &mut signed {
            record.name = name("a.b.test.");
        }
        let by_hash = stage.test.nsec3("b.test.", false, (proof, 1), &[]);
        stage.put("a.b.test.", RecordType::A, with(answer(signed), by_hash));
        assert_eq!(stage.told("a.b.test.", RecordType::A), expected);
    }
    let mut stage = Stage::new();
    let claim = Claim { labels: Some(1), ..SOUND };
    let mut signed = stage.test.sign_as(vec![record(&name("*.test."), A::new(127, 0, 0, 1))], claim);
    for record in &mut signed {
        record.name = name("a.b.test.");
    }
    let by_name = stage.test.nsec("*.test.", "mx.test.", &[RecordType::A]);
    stage.put("a.b.test.", RecordType::A, with(answer(signed), by_name));
    assert_eq!(stage.told("a.b.test.", RecordType::A), "secure 1 records");
}

#[test]
fn below_a_delegation_without_ds_everything_is_insecure() {
    let mut stage = Stage::new();
    let message = denial(stage.test.nsec("sub.test.", "zz.test.", &[RecordType::NS]));
    stage.put("sub.test.", RecordType::DS, message);
    stage.put("mx.sub.test.", RecordType::A, answer(address("mx.sub.test.")));
    assert_eq!(stage.told("mx.sub.test.", RecordType::A), "insecure 1 records");
    assert_eq!(stage.told("mx.sub.test.", RecordType::TLSA), "insecure no data");
    // Though it may be signed, for those who have its key: an island.
    let island = Signer::new("sub.test.");
    stage.put("is.sub.test.", RecordType::A, answer(island.sign(address("is.sub.test."))));
    stage.put("sub.test.", RecordType::DNSKEY, island.keys());
    assert_eq!(stage.told("is.sub.test.", RecordType::A), "insecure 1 records");
    let mut anchors = stage.anchors();
    anchors.push(Anchor { zone: name("sub.test."), key: Trusted::Key(island.dnskey.clone()) });
    assert_eq!(stage.told_by(&anchors, "is.sub.test.", RecordType::A), "secure 1 records");
}

#[test]
fn a_zone_whose_ds_records_nobody_here_can_check_is_insecure() {
    let strange = [
        DS::new(1, Algorithm::ED25519, DigestType::Unknown(3), vec![0; 32]),
        DS::new(1, Algorithm::Unknown(200), DigestType::SHA256, vec![0; 32]),
    ];
    for ds in strange {
        let mut stage = Stage::new();
        let message = answer(stage.root.sign(vec![record(&name("test."), ds)]));
        stage.put("test.", RecordType::DS, message);
        stage.put("mx.test.", RecordType::A, answer(address("mx.test.")));
        assert_eq!(stage.told("mx.test.", RecordType::A), "insecure 1 records");
    }
}

#[test]
fn what_no_anchor_is_above_is_insecure() {
    let mut stage = Stage::new();
    let anchors = [Anchor { zone: name("other."), key: Trusted::Digest(stage.root.ds()) }];
    let message = answer(stage.test.sign(address("mx.test.")));
    stage.put("mx.test.", RecordType::A, message);
    stage.put("plain.test.", RecordType::A, answer(address("plain.test.")));
    assert_eq!(stage.told_by(&anchors, "mx.test.", RecordType::A), "insecure 1 records");
    assert_eq!(stage.told_by(&anchors, "plain.test.", RecordType::A), "insecure 1 records");
}

#[test]
fn aliases_are_told_and_those_made_of_a_dname_are_as_good_as_it() {
    let mut stage = Stage::new();
    let alias = record(&name("www.test."), CNAME(name("mx.test.")));
    let message = answer(stage.test.sign(vec![alias]));
    stage.put("www.test.", RecordType::A, message);
    assert_eq!(stage.told("www.test.", RecordType::A), "secure alias mx.test.");
    // hickory knows no DNAME, so it is given as octets: mx.test.
    let target = NULL::with(b"\x02mx\x04test\0".to_vec());
    let mut dname = record(&name("old.test."), A::new(0, 0, 0, 0));
    dname.data = RData::Unknown { code: RecordType::DNAME, rdata: target };
    let mut records = stage.test.sign(vec![dname]);
    // What the server made of it is not looked at: it could be wrong.
    records.push(record(&name("a.old.test."), CNAME(name("elsewhere.test."))));
    stage.put("a.old.test.", RecordType::A, answer(records));
    assert_eq!(stage.told("a.old.test.", RecordType::A), "secure alias a.mx.test.");
}

#[test]
fn keys_may_be_exchanged_one_of_two_suffices() {
    let mut stage = Stage::new();
    let next = Signer::new("test.");
    // Two keys, signed by the old one; two DS records; answers signed by the new one too.
    let keys = vec![record(&name("test."), stage.test.dnskey.clone()), record(&name("test."), next.dnskey.clone())];
    let message = answer(stage.test.sign(keys));
    stage.put("test.", RecordType::DNSKEY, message);
    let message = answer(stage.root.sign(vec![record(&name("test."), next.ds()), record(&name("test."), stage.test.ds())]));
    stage.put("test.", RecordType::DS, message);
    stage.put("mx.test.", RecordType::A, answer(next.sign(address("mx.test."))));
    assert_eq!(stage.told("mx.test.", RecordType::A), "secure 1 records");
}
