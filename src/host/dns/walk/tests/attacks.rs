//! What is false is found out, and nothing false makes a signed zone look unsigned.

use proptest::prelude::*;

use super::*;

const UNSIGNED: &str = "its zone is signed, and it bears no signature";
const UNPROVEN: &str = "its zone is signed, and nothing proves that there is none";
const NOT_PROVEN: &str = "its zone is signed, and its denial is not proven";

/// What is believed of A records of mx.test. when they come so.
fn told_of(signed: impl FnOnce(&Signer) -> Vec<Record>) -> String {
    let mut stage = Stage::new();
    let message = answer(signed(&stage.test));
    stage.put("mx.test.", RecordType::A, message);
    stage.no_cut("mx.test.");
    stage.told("mx.test.", RecordType::A)
}

/// What is believed of it that test. has no such records of mx.test.
fn told_of_denial(kind: RecordType, proof: impl FnOnce(&Signer) -> Vec<Record>) -> String {
    let mut stage = Stage::new();
    stage.no_cut("mx.test.");
    let message = denial(proof(&stage.test));
    stage.put("mx.test.", kind, message);
    stage.told("mx.test.", kind)
}

#[test]
fn signatures_must_be_there_in_time_and_right() {
    assert_eq!(told_of(|_| address("mx.test.")), UNSIGNED);
    let sealed = |claim| told_of(move |test| test.sign_as(address("mx.test."), claim));
    assert_eq!(sealed(SOUND), "secure 1 records");
    for (expiration, good) in [(NOW, true), (NOW - 1, false)] {
        assert_eq!(sealed(Claim { expiration, ..SOUND }).starts_with("secure"), good);
    }
    for (inception, good) in [(NOW, true), (NOW + 1, false)] {
        assert_eq!(sealed(Claim { inception, ..SOUND }).starts_with("secure"), good);
    }
    let longer = told_of(|test| {
        let mut signed = test.sign(address("mx.test."));
        if let RData::DNSSEC(DNSSECRData::RRSIG(signature)) = &signed[1].data {
            let input = SigInput { num_labels: 3, ..signature.input().clone() };
            signed[1].data = RRSIG::from_sig(input, signature.sig().to_vec()).into_rdata();
        }
        signed
    });
    assert!(longer.ends_with("its signature is for a longer name"), "{longer}");
    let changed = told_of(|test| {
        let mut signed = test.sign(address("mx.test."));
        signed[0].data = A::new(127, 0, 0, 2).into_rdata();
        signed
    });
    assert!(changed.ends_with("its signature is wrong"), "{changed}");
    let added = told_of(|test| [test.sign(address("mx.test.")), vec![record(&name("mx.test."), A::new(127, 0, 0, 3))]].concat());
    assert!(added.ends_with("its signature is wrong"), "{added}");
    let foreign = told_of(|_| Signer::new("test.").sign(address("mx.test.")));
    assert!(foreign.ends_with("signed with a key that its zone does not have"), "{foreign}");
}

#[test]
fn only_a_zone_above_the_name_can_have_signed_it() {
    // A zone of somebody's own, signed and in order, but not above mx.test.
    let mut stage = Stage::new();
    let other = Signer::new("other.");
    stage.put("other.", RecordType::DNSKEY, other.keys());
    let message = answer(stage.root.sign(vec![record(&name("other."), other.ds())]));
    stage.put("other.", RecordType::DS, message);
    stage.no_cut("mx.test.");
    stage.put("mx.test.", RecordType::A, answer(other.sign(address("mx.test."))));
    assert_eq!(stage.told("mx.test.", RecordType::A), UNSIGNED);
    stage.put("mx.test.", RecordType::TLSA, denial(other.nsec("other.", "zzz.", &[RecordType::SOA])));
    assert_eq!(stage.told("mx.test.", RecordType::TLSA), UNPROVEN);
}

#[test]
fn an_unsigned_zone_elsewhere_proves_nothing() {
    let mut stage = Stage::new();
    let message = denial(stage.root.nsec("plain.", "zzz.", &[RecordType::NS]));
    stage.put("plain.", RecordType::DS, message);
    stage.no_cut("mx.test.");
    let plain = Signer::new("plain.");
    stage.put("mx.test.", RecordType::TLSA, denial(plain.nsec("plain.", "zzz.plain.", &[RecordType::SOA])));
    assert_eq!(stage.told("mx.test.", RecordType::TLSA), UNPROVEN);
    stage.put("mx.test.", RecordType::A, answer(plain.sign(address("mx.test."))));
    assert_eq!(stage.told("mx.test.", RecordType::A), UNSIGNED);
}

#[test]
fn what_stands_above_an_anchor_proves_nothing_below_it() {
    let mut stage = Stage::new();
    let anchors = [Anchor { zone: name("test."), key: Trusted::Key(stage.test.dnskey.clone()) }];
    stage.no_cut("mx.test.");
    let signed = answer(stage.root.sign(address("mx.test.")));
    stage.put("mx.test.", RecordType::A, signed);
    assert_eq!(stage.told_by(&anchors, "mx.test.", RecordType::A), UNSIGNED);
    let proof = denial(stage.root.nsec("mx.test.", "zz.test.", &[RecordType::A]));
    stage.put("mx.test.", RecordType::TLSA, proof);
    assert_eq!(stage.told_by(&anchors, "mx.test.", RecordType::TLSA), UNPROVEN);
    // A DNAME above the anchor that nobody signed.
    let mut dname = record(&Name::root(), A::new(0, 0, 0, 0));
    dname.data = RData::Unknown { code: RecordType::DNAME, rdata: NULL::with(b"\x04evil\0".to_vec()) };
    let made = record(&name("mx.test."), CNAME(name("mx.test.evil.")));
    stage.put("mx.test.", RecordType::AAAA, answer(vec![dname, made]));
    assert_eq!(stage.told_by(&anchors, "mx.test.", RecordType::AAAA), UNSIGNED);
}

#[test]
fn a_name_that_is_no_zone_can_t_sign_for_itself() {
    let mut stage = Stage::new();
    let own = Signer::new("mx.test.");
    stage.no_cut("mx.test.");
    stage.put("mx.test.", RecordType::DNSKEY, own.keys());
    stage.put("mx.test.", RecordType::A, answer(own.sign(address("mx.test."))));
    assert_eq!(stage.told("mx.test.", RecordType::A), "signatures name it as a zone, and it is none");
    // Nor by a DS record of its own making: that is the zone's above.
    stage.put("mx.test.", RecordType::DS, answer(own.sign(vec![record(&name("mx.test."), own.ds())])));
    assert_eq!(stage.told("mx.test.", RecordType::A), UNSIGNED);
    stage.put("mx.test.", RecordType::DS, denial(own.nsec("mx.test.", "a.mx.test.", &[RecordType::NS])));
    assert_eq!(stage.told("mx.test.", RecordType::A), UNPROVEN);
}

#[test]
fn the_keys_of_a_zone_must_be_those_of_its_ds_and_sign_themselves() {
    let told = |keys: fn(&Signer) -> Message| {
        let mut stage = Stage::new();
        let message = keys(&stage.test);
        stage.put("test.", RecordType::DNSKEY, message);
        let message = answer(stage.test.sign(address("mx.test.")));
        stage.put("mx.test.", RecordType::A, message);
        stage.told("mx.test.", RecordType::A)
    };
    assert_eq!(told(Signer::keys), "secure 1 records");
    assert_eq!(told(|_| answer(Vec::new())), "the zone shows no key");
    assert_eq!(told(|_| Signer::new("test.").keys()), "the zone has none of the keys that are trusted");
    assert_eq!(told(|test| answer(vec![record(&name("test."), test.dnskey.clone())])), "no signature of test.");
    // The trusted key is there, but another one signs.
    assert_eq!(
        told(|test| {
            let other = Signer::new("test.");
            answer(other.sign(vec![record(&name("test."), test.dnskey.clone()), record(&name("test."), other.dnskey.clone())]))
        }),
        "it is signed with a key that its zone does not have"
    );
}

#[test]
fn keys_that_are_revoked_or_no_zone_s_sign_nothing() {
    for flags in [0x101 | 0x80, 1] {
        let mut stage = Stage::new();
        let test = Signer::with_flags("test.", flags);
        stage.put("test.", RecordType::DNSKEY, test.keys());
        let message = answer(stage.root.sign(vec![record(&name("test."), test.ds())]));
        stage.put("test.", RecordType::DS, message);
        stage.put("mx.test.", RecordType::A, answer(test.sign(address("mx.test."))));
        assert_eq!(stage.told("mx.test.", RecordType::A), "the zone shows no key", "{flags}");
    }
}

#[test]
fn sha1_does_not_count_beside_a_better_digest() {
    let mut stage = Stage::new();
    let other = Signer::new("test.");
    let sha1 = stage.test.ds_with(DigestType::SHA1);
    let message = answer(stage.root.sign(vec![record(&name("test."), sha1.clone()), record(&name("test."), other.ds())]));
    stage.put("test.", RecordType::DS, message);
    let signed = answer(stage.test.sign(address("mx.test.")));
    stage.put("mx.test.", RecordType::A, signed);
    assert_eq!(stage.told("mx.test.", RecordType::A), "the zone has none of the keys that are trusted");
    let message = answer(stage.root.sign(vec![record(&name("test."), sha1)]));
    stage.put("test.", RecordType::DS, message);
    assert_eq!(stage.told("mx.test.", RecordType::A), "secure 1 records");
}

#[test]
fn a_ds_that_was_taken_out_is_missed() {
    let mut stage = Stage::new();
    stage.put("test.", RecordType::DS, answer(Vec::new()));
    stage.put("mx.test.", RecordType::A, answer(address("mx.test.")));
    assert_eq!(stage.told("mx.test.", RecordType::A), UNPROVEN);
    // The zone's own NSEC is of the wrong side of the cut: it can't know of DS.
    let message = denial(stage.test.nsec("test.", "mx.test.", &[RecordType::NS, RecordType::SOA]));
    stage.put("test.", RecordType::DS, message);
    assert_eq!(stage.told("mx.test.", RecordType::A), UNPROVEN);
    let message = denial(stage.root.nsec("test.", "zzz.", &[RecordType::NS, RecordType::SOA]));
    stage.put("test.", RecordType::DS, message);
    assert_eq!(stage.told("mx.test.", RecordType::A), NOT_PROVEN);
}

#[test]
fn denials_must_speak_of_the_name_and_the_type() {
    let kind = RecordType::TLSA;
    let sound = told_of_denial(kind, |test| test.nsec("mx.test.", "zz.test.", &[RecordType::A]));
    assert_eq!(sound, "secure no data");
    let table: [(&str, Proof); 14] = [
        ("another name", |test| test.nsec("my.test.", "zz.test.", &[RecordType::A])),
        ("the type is there", |test| test.nsec("mx.test.", "zz.test.", &[RecordType::TLSA])),
        ("an alias is there", |test| test.nsec("mx.test.", "zz.test.", &[RecordType::CNAME])),
        ("the name is a cut", |test| test.nsec("mx.test.", "zz.test.", &[RecordType::NS])),
        ("covered, the wildcard is not", |test| test.nsec("aa.test.", "zz.test.", &[RecordType::A])),
        ("the wildcard has it", |test| {
            [test.nsec("aa.test.", "zz.test.", &[]), test.nsec("*.test.", "aa.test.", &[RecordType::TLSA])].concat()
        }),
        ("of a wildcard's making", |test| {
            let mut made = test.sign_as(
                vec![record(&name("*.test."), NSEC::new_cover_self(name("zz.test."), [RecordType::A]))],
                Claim { labels: Some(1), ..SOUND },
            );
            for record in &mut made {
                record.name = name("mx.test.");
            }
            made
        }),
        ("out of date", |test| {
            test.sign_as(
                vec![record(&name("mx.test."), NSEC::new_cover_self(name("zz.test."), [RecordType::A]))],
                Claim { expiration: NOW - 1, ..SOUND },
            )
        }),
        ("the type is there, by hash", |test| test.nsec3("mx.test.", true, (false, 1), &[RecordType::TLSA])),
        ("the name is a cut, by hash", |test| test.nsec3("mx.test.", true, (false, 1), &[RecordType::NS])),
        ("no encloser", |test| {
            [test.nsec3("mx.test.", false, (false, 1), &[]), test.nsec3("*.test.", false, (false, 1), &[])].concat()
        }),
        ("the encloser is a cut", |test| {
            [
                test.nsec3("test.", true, (false, 1), &[RecordType::DNAME]),
                test.nsec3("mx.test.", false, (false, 1), &[]),
                test.nsec3("*.test.", false, (false, 1), &[]),
            ]
            .concat()
        }),
        ("chains are mixed", |test| {
            [
                test.nsec3("test.", true, (false, 1), &[RecordType::SOA]),
                test.nsec3("mx.test.", false, (false, 2), &[]),
                test.nsec3("*.test.", false, (false, 1), &[]),
            ]
            .concat()
        }),
        ("too much work", |test| test.nsec3("mx.test.", true, (false, 501), &[RecordType::A])),
    ];
    for (what, proof) in table {
        assert_eq!(told_of_denial(kind, proof), NOT_PROVEN, "{what}");
    }
    assert_eq!(told_of_denial(kind, |_| Vec::new()), UNPROVEN);
    let unsigned = told_of_denial(kind, |test| test.nsec("mx.test.", "zz.test.", &[RecordType::A])[..1].to_vec());
    assert_eq!(unsigned, UNPROVEN);
}

#[test]
fn names_below_a_cut_are_not_denied_from_above() {
    // test. has a DS for sub.test.; its own NSEC at the cut covers all names below in order, and says nothing of them.
    let mut stage = Stage::new();
    let sub = Signer::new("sub.test.");
    let message = answer(stage.test.sign(vec![record(&name("sub.test."), sub.ds())]));
    stage.put("sub.test.", RecordType::DS, message);
    stage.put("sub.test.", RecordType::DNSKEY, sub.keys());
    stage.put("mx.sub.test.", RecordType::DS, denial(sub.nsec("mx.sub.test.", "sub.test.", &[RecordType::A])));
    let proof = [
        stage.test.nsec("sub.test.", "zz.test.", &[RecordType::NS, RecordType::DS]),
        stage.test.nsec("test.", "aa.test.", &[RecordType::SOA]),
    ];
    stage.put("mx.sub.test.", RecordType::A, denial(proof.concat()));
    assert_eq!(stage.told("mx.sub.test.", RecordType::A), NOT_PROVEN);
    stage.put("sub.test.", RecordType::A, denial(stage.test.nsec("sub.test.", "zz.test.", &[RecordType::NS, RecordType::DS])));
    assert_eq!(stage.told("sub.test.", RecordType::A), NOT_PROVEN);
}

#[test]
fn a_wildcard_s_answer_needs_the_proof_that_it_applies() {
    let told = |proof: fn(&Signer) -> Vec<Record>| {
        let mut stage = Stage::new();
        let claim = Claim { labels: Some(1), ..SOUND };
        let mut signed = stage.test.sign_as(vec![record(&name("*.test."), A::new(127, 0, 0, 1))], claim);
        for record in &mut signed {
            record.name = name("a.b.test.");
        }
        let message = with(answer(signed), proof(&stage.test));
        stage.put("a.b.test.", RecordType::A, message);
        stage.no_cut("b.test.");
        stage.no_cut("a.b.test.");
        stage.told("a.b.test.", RecordType::A)
    };
    let table: [Proof; 5] = [
        |_| Vec::new(),
        |test| test.nsec("mx.test.", "test.", &[RecordType::A]),
        // b.test. is there: the wildcard below test. does not reach beyond it.
        |test| test.nsec("b.test.", "mx.test.", &[RecordType::A]),
        |test| test.nsec("0.b.test.", "mx.test.", &[RecordType::A]),
        |test| test.nsec3("a.b.test.", false, (false, 1), &[]),
    ];
    for (index, proof) in table.into_iter().enumerate() {
        assert!(told(proof).ends_with("nothing proves that the wildcard it came of applies"), "{index}");
    }
}

#[test]
fn aliases_that_were_bent_are_false() {
    let mut stage = Stage::new();
    stage.no_cut("www.test.");
    let alias = |target| record(&name("www.test."), CNAME(name(target)));
    stage.put("www.test.", RecordType::A, answer(vec![alias("elsewhere.")]));
    assert_eq!(stage.told("www.test.", RecordType::A), UNSIGNED);
    let message = answer(stage.test.sign(vec![alias("mx.test."), alias("elsewhere.")]));
    stage.put("www.test.", RecordType::AAAA, message);
    assert_eq!(stage.told("www.test.", RecordType::AAAA), "it is an alias of several names");
}

#[test]
fn a_deep_name_runs_out_of_questions_not_of_time() {
    let mut stage = Stage::new();
    let deep = format!("{}test.", "a.".repeat(120));
    let message = denial(stage.root.nsec("test.", "zzz.", &[RecordType::A]));
    stage.put("test.", RecordType::DS, message);
    stage.put(&deep, RecordType::A, answer(address(&deep)));
    assert!(stage.told(&deep, RecordType::A) == UNPROVEN, "each label's DS is asked for, and not proven");
    assert!(stage.scene.asked.get() <= QUESTIONS, "{}", stage.scene.asked.get());
}

#[test]
fn many_keys_with_one_tag_cost_no_more_than_is_allowed() {
    let mut stage = Stage::new();
    let claims = |n: u32| Claim { inception: NOW - n, ..SOUND };
    // A signature that each of the keys may have made, and none has; many times.
    let mut signed = stage.test.sign_as(address("mx.test."), claims(1));
    for n in 2..64 {
        let mut more = stage.test.sign_as(address("mx.test."), claims(n));
        signed.push(more.pop().unwrap());
    }
    signed[0].data = A::new(127, 0, 0, 9).into_rdata();
    stage.no_cut("mx.test.");
    stage.put("mx.test.", RecordType::A, answer(signed));
    let anchors = stage.anchors();
    let validator = Validator::new(&stage.scene, &anchors, NOW);
    assert!(validator.look(&name("mx.test."), RecordType::A).is_err());
    assert!(SIGNATURES - validator.signatures.get() < 20, "{}", validator.signatures.get());
}

proptest! {
    #[test]
    fn no_change_of_octets_makes_another_secure_answer_or_an_insecure_one(
        which in 0_usize..6,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
    ) {
        let mut stage = Stage::new();
        stage.no_cut("mx.test.");
        let message = answer(stage.test.sign(address("mx.test.")));
        stage.put("mx.test.", RecordType::A, message);
        let message = denial(stage.test.nsec("mx.test.", "zz.test.", &[RecordType::A]));
        stage.put("mx.test.", RecordType::TLSA, message);
        let questions = [("mx.test.", RecordType::A), ("mx.test.", RecordType::TLSA), ("test.", RecordType::DNSKEY),
                         ("test.", RecordType::DS), (".", RecordType::DNSKEY), ("mx.test.", RecordType::DS)];
        let (owner, kind) = questions[which];
        let mut octets = stage.scene.answers[&Question { name: name(owner), kind }].to_vec().unwrap();
        for (at, flip) in flips {
            *at.get_mut(&mut octets) ^= flip;
        }
        // What can't be read is no answer at all.
        let Ok(bent) = Message::from_vec(&octets) else { return Ok(()) };
        stage.put(owner, kind, bent);
        let there = stage.told("mx.test.", RecordType::A);
        prop_assert!(there == "secure 1 records" || !there.contains("secure "), "{}", there);
        let missing = stage.told("mx.test.", RecordType::TLSA);
        prop_assert!(missing == "secure no data" || !missing.contains("secure "), "{}", missing);
    }
}

#[test]
fn unusable_keys_and_signatures_never_panic() {
    let mut stage = Stage::new();
    for key in [Vec::new(), vec![0; 3], vec![0; 64]] {
        for algorithm in [Algorithm::RSASHA256, Algorithm::ECDSAP256SHA256, Algorithm::ED25519, Algorithm::Unknown(99)] {
            let dnskey = DNSKEY::with_flags(257, PublicKeyBuf::new(key.clone(), algorithm));
            let digest = dnskey.to_digest(&name("test."), DigestType::SHA256).unwrap().as_ref().to_vec();
            let ds = DS::new(dnskey.calculate_key_tag().unwrap(), algorithm, DigestType::SHA256, digest);
            let message = answer(stage.root.sign(vec![record(&name("test."), ds)]));
            stage.put("test.", RecordType::DS, message);
            let message = answer(stage.test.sign(vec![record(&name("test."), dnskey)]));
            stage.put("test.", RecordType::DNSKEY, message);
            let message = answer(stage.test.sign(address("mx.test.")));
            stage.put("mx.test.", RecordType::A, message);
            assert!(!stage.told("mx.test.", RecordType::A).starts_with("secure"));
        }
    }
}
